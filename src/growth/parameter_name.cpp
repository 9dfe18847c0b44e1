#include "growth/parameter_name.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/format.h"
#include "model/model.h"

namespace moe::growth {

ParameterName ParameterName::parse(std::string_view name) {
  constexpr std::string_view kPrefix = "layers.";
  if (!name.starts_with(kPrefix)) return {std::nullopt, std::string(name)};
  std::int64_t layer = 0;
  const char* const end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data() + kPrefix.size(), end, layer);
  if (error != std::errc() || rest == end || *rest != '.') return {std::nullopt, std::string(name)};
  return {layer, std::string(rest + 1, end)};
}

std::string ParameterName::text() const {
  return layer ? format("layers.{}.{}", *layer, part) : part;
}

std::vector<ParameterShape> parameters_of(const ModelConfig& config) {
  std::vector<ParameterShape> shapes;
  Model model(config);  // shapes only
  model.for_each_parameter([&](nn::Parameter& parameter) {
    shapes.push_back({parameter.name(), parameter.spec().shape, parameter.kind()});
  });
  return shapes;
}

bool writes_residual(std::string_view part) {
  constexpr std::array<std::string_view, 5> kWriters{
      "attention.o_proj.weight", "attention.o_proj.bias", "mlp.down.weight",
      "moe.experts.down.weight", "moe.shared.down.weight"};
  return std::ranges::find(kWriters, part) != kWriters.end();
}

}  // namespace moe::growth
