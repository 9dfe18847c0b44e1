#include "checkpoint/tensor_source.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/format.h"

namespace moe::checkpoint {
namespace {

constexpr std::size_t kMessagesShown = 20;

/// Collects what is wrong with a source, and says it all at once.
class Complaints {
 public:
  void add(std::string text) {
    if (++count_ <= kMessagesShown) text_ += "\n  " + std::move(text);
  }
  void throw_if_any(const std::string& where) const {
    if (count_ == 0) return;
    const std::string more =
        count_ > kMessagesShown ? format("\n  and {} more", count_ - kMessagesShown) : "";
    throw CheckpointError(
        format("{}: the tensors do not match what is to be loaded:{}{}", where, text_, more));
  }

 private:
  std::size_t count_ = 0;
  std::string text_;
};

std::string near_hint(const TensorSource& source, const std::string& name) {
  const std::string near = nearest_name(name, source.names());
  return near.empty() ? "" : format(" (nearest: {})", near);
}

void compare(const TensorSource& source, const ExpectedTensor& wanted, Complaints& complaints) {
  const TensorInfo* found = source.find(wanted.name);
  if (found == nullptr) {
    complaints.add(format("missing: {} {}{}", wanted.name, to_string(wanted.shape),
                          near_hint(source, wanted.name)));
    return;
  }
  if (found->shape != wanted.shape) {
    complaints.add(format("shape of {}: expected {}, found {}", wanted.name,
                          to_string(wanted.shape), to_string(found->shape)));
  }
  if (wanted.dtype ? found->dtype != *wanted.dtype : !is_floating(found->dtype)) {
    complaints.add(format("dtype of {}: expected {}, found {}", wanted.name,
                          wanted.dtype ? to_string(*wanted.dtype) : "a floating type",
                          to_string(found->dtype)));
  }
}

}  // namespace

std::string TensorSource::place_of(const std::string& name, std::int64_t element) const {
  return format("{}: tensor '{}', element {}", description(), name, element);
}

std::optional<std::string> TensorSource::metadata(const std::string&) const {
  return {};
}

const TensorInfo& TensorSource::info(const std::string& name) const {
  if (const TensorInfo* found = find(name)) return *found;
  throw CheckpointError(
      format("{}: holds no tensor {}{}", description(), name, near_hint(*this, name)));
}

void TensorSource::read(const std::string& name, const Slice& slice, const View& out) const {
  const TensorInfo& stored = info(name);
  if (slice.global != stored.shape) {
    throw ShapeError(format("[read] {} of {}: expected a slice of {}, got {}", name, description(),
                            to_string(stored.shape), to_string(slice)));
  }
  if (out.numel() != slice.numel() || !out.is_contiguous()) {
    throw ShapeError(format("[read] {} of {}: expected {} contiguous elements for {}, got {}", name,
                            description(), slice.numel(), to_string(slice), out.numel()));
  }
  if (stored.dtype != out.dtype && !(is_floating(stored.dtype) && is_floating(out.dtype))) {
    throw DTypeError(format("[read] {} of {}: stored as {}, which does not convert to {}", name,
                            description(), to_string(stored.dtype), to_string(out.dtype)));
  }
  if (slice.numel() > 0) read_slice(name, stored, slice, out);
}

void TensorSource::read(const std::string& name, const View& out) const {
  read(name, whole(info(name).shape), out);
}

void require_tensors(const TensorSource& source, std::span<const ExpectedTensor> expected) {
  Complaints complaints;
  std::vector<std::string> wanted;
  wanted.reserve(expected.size());
  for (const ExpectedTensor& tensor : expected) {
    compare(source, tensor, complaints);
    wanted.push_back(tensor.name);
  }
  std::ranges::sort(wanted);
  for (const std::string& name : source.names()) {
    if (!std::ranges::binary_search(wanted, name)) complaints.add("unexpected: " + name);
  }
  complaints.throw_if_any(source.description());
}

View flat_view(const void* data, DType dtype, std::int64_t count) {
  return flat_view(const_cast<void*>(data), dtype, count);
}

View flat_view(void* data, DType dtype, std::int64_t count) {
  View view;
  view.data = data;
  view.dtype = dtype;
  view.rank = 1;
  view.dims[0] = count;
  view.strides[0] = 1;
  return view;
}

View flat_part(const View& view, std::int64_t begin, std::int64_t count) {
  return flat_view(view.as<std::byte>() + begin * size_of(view.dtype), view.dtype, count);
}

std::optional<DType> dtype_from(std::string_view name) {
  constexpr std::array kAll{DType::F32, DType::BF16, DType::F64, DType::I32,
                            DType::I64, DType::U8,   DType::U16, DType::F16};
  for (const DType dtype : kAll) {
    if (to_string(dtype) == name) return dtype;
  }
  return {};
}

}  // namespace moe::checkpoint
