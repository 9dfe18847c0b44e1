#include "checkpoint/memory_source.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/format.h"
#include "tensor/convert.h"

namespace moe::checkpoint {

void MemorySource::add(const std::string& name, const Shape& shape, const View& data,
                       std::map<std::string, std::string> attributes) {
  if (data.numel() != shape.numel() || !data.is_contiguous()) {
    throw ShapeError(format("[add] {}: expected {} contiguous elements, got {}", name,
                            to_string(shape), data.numel()));
  }
  Entry& entry = entries_[name];
  entry.info = {shape, data.dtype, std::move(attributes)};
  entry.bytes.resize(static_cast<std::size_t>(data.bytes()));
  if (!entry.bytes.empty()) std::memcpy(entry.bytes.data(), data.data, entry.bytes.size());
  const auto at = std::ranges::lower_bound(names_, name);
  if (at == names_.end() || *at != name) names_.insert(at, name);
}

void MemorySource::add(const std::string& name, const Shape& shape, DType dtype,
                       std::span<const double> values) {
  std::vector<std::byte> bytes(values.size() * static_cast<std::size_t>(size_of(dtype)));
  const auto count = static_cast<std::int64_t>(values.size());
  const View converted = flat_view(bytes.data(), dtype, count);
  convert_elements(flat_view(values.data(), DType::F64, count), converted);
  add(name, shape, converted);
}

void MemorySource::remove(const std::string& name) {
  if (entries_.erase(name) > 0) names_.erase(std::ranges::lower_bound(names_, name));
}

const TensorInfo* MemorySource::find(const std::string& name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second.info;
}

std::optional<std::string> MemorySource::metadata(const std::string& key) const {
  const auto found = metadata_.find(key);
  if (found == metadata_.end()) return {};
  return found->second;
}

void MemorySource::read_slice(const std::string& name, const TensorInfo& info, const Slice& slice,
                              const View& out) const {
  const std::vector<std::byte>& bytes = entries_.at(name).bytes;
  const View all = flat_view(bytes.data(), info.dtype, info.shape.numel());
  for_each_run(slice, [&](std::int64_t global, std::int64_t box, std::int64_t count) {
    convert_elements(flat_part(all, global, count), flat_part(out, box - slice.flat_begin, count));
  });
}

}  // namespace moe::checkpoint
