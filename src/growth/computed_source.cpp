#include "growth/computed_source.h"

#include <algorithm>

#include "base/check.h"
#include "base/format.h"
#include "growth/slices.h"
#include "model/model.h"
#include "tensor/convert.h"

namespace moe::growth {

std::string dense_name(std::int64_t layer, const char* part) {
  return format("layers.{}.mlp.{}.weight", layer, part);
}

std::string sparse_name(std::int64_t layer, const char* part) {
  return format("layers.{}.moe.{}.weight", layer, part);
}

void ComputedSource::insert(const std::string& name, Entry entry) {
  const bool added = entries_.emplace(name, std::move(entry)).second;
  MOE_CHECK(added);
  names_.insert(std::ranges::lower_bound(names_, name), name);
}

void ComputedSource::add(const std::string& name, const Shape& shape, DType dtype,
                         ParameterKind kind, Fill fill) {
  insert(name, {{.shape = shape,
                 .dtype = dtype,
                 .attributes = {{"kind", std::string(to_string(kind))}}},
                std::move(fill)});
}

void ComputedSource::keep_others(const ModelConfig& config) {
  Model model(config);  // shapes only
  model.for_each_parameter([&](const nn::Parameter& parameter) {
    if (entries_.contains(parameter.name())) return;
    checkpoint::TensorInfo info = from_->info(parameter.name());
    info.attributes["kind"] = to_string(parameter.kind());
    insert(parameter.name(), {std::move(info), {}});
  });
}

const checkpoint::TensorInfo* ComputedSource::find(const std::string& name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second.info;
}

void ComputedSource::read_slice(const std::string& name, const checkpoint::TensorInfo& info,
                                const Slice& slice, const View& out) const {
  const Fill& fill = entries_.at(name).fill;
  if (!fill) return from_->read(name, slice, out);
  if (out.dtype == info.dtype) return fill(slice, out);
  std::vector<std::byte> scratch;
  for_each_chunk(slice, kChunkElements, [&](const Slice& part, std::int64_t offset) {
    scratch.resize(static_cast<std::size_t>(part.numel() * size_of(info.dtype)));
    const View held = checkpoint::flat_view(scratch.data(), info.dtype, part.numel());
    fill(part, held);
    convert_elements(held, checkpoint::flat_part(out, offset, part.numel()));
  });
}

}  // namespace moe::growth
