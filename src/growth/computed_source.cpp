#include "growth/computed_source.h"

#include <vector>

#include "base/format.h"
#include "growth/slices.h"
#include "model/model.h"
#include "tensor/convert.h"

namespace moe::growth {
namespace {

class FilledTensor : public TensorRecipe {
 public:
  explicit FilledTensor(ComputedSource::Fill fill) : fill_(std::move(fill)) {}

  void read(const checkpoint::TensorSource&, const checkpoint::TensorInfo& info, const Slice& slice,
            const View& out) const override {
    if (out.dtype == info.dtype) return fill_(slice, out);
    std::vector<std::byte> scratch;
    for_each_chunk(slice, kChunkElements, [&](const Slice& part, std::int64_t offset) {
      scratch.resize(static_cast<std::size_t>(part.numel() * size_of(info.dtype)));
      const View held = checkpoint::flat_view(scratch.data(), info.dtype, part.numel());
      fill_(part, held);
      convert_elements(held, checkpoint::flat_part(out, offset, part.numel()));
    });
  }

 private:
  ComputedSource::Fill fill_;
};

}  // namespace

std::string dense_name(std::int64_t layer, const char* part) {
  return format("layers.{}.mlp.{}.weight", layer, part);
}

std::string sparse_name(std::int64_t layer, const char* part) {
  return format("layers.{}.moe.{}.weight", layer, part);
}

void ComputedSource::add(const std::string& name, const Shape& shape, DType dtype,
                         ParameterKind kind, Fill fill) {
  add(name,
      {.shape = shape, .dtype = dtype, .attributes = {{"kind", std::string(to_string(kind))}}},
      std::make_shared<FilledTensor>(std::move(fill)));
}

void ComputedSource::keep_others(const ModelConfig& config) {
  Model model(config);  // shapes only
  model.for_each_parameter([&](const nn::Parameter& parameter) {
    if (find(parameter.name()) != nullptr) return;
    checkpoint::TensorInfo info = from().info(parameter.name());
    info.attributes["kind"] = to_string(parameter.kind());
    add(parameter.name(), std::move(info), same_as(parameter.name()));
  });
}

}  // namespace moe::growth
