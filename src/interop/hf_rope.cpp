#include "base/format.h"
#include "interop/hf_config_reader.h"

namespace moe::interop {
namespace {

/// One set of rotary parameters, from `rope_parameters` (new) or `rope_scaling` (old).
struct Rope {
  RopeScalingConfig scaling;
  std::optional<double> theta;

  friend bool operator==(const Rope& a, const Rope& b) {
    return a.scaling.rope_type == b.scaling.rope_type && a.scaling.factor == b.scaling.factor &&
           a.scaling.low_freq_factor == b.scaling.low_freq_factor &&
           a.scaling.high_freq_factor == b.scaling.high_freq_factor &&
           a.scaling.original_max_position_embeddings ==
               b.scaling.original_max_position_embeddings;
  }
};

double required_number(const JsonObject& json, const char* key) {
  const auto value = json.number(key);
  if (!value) json.refuse(key, "a finite number");
  return *value;
}

std::string rope_type_in(const JsonObject& rope) {
  const auto type = rope.text("rope_type");
  const auto old = rope.text("type");
  if (type && old && *type != *old) rope.refuse("type", format("\"{}\", as rope_type says", *type));
  const std::string name = type ? *type : old.value_or("default");
  if (name != "default" && name != "linear" && name != "llama3") {
    rope.refuse(type ? "rope_type" : "type", "default, linear or llama3 (no other is supported)");
  }
  return name;
}

void refuse_partial(const JsonObject& json) {
  if (json.number("partial_rotary_factor").value_or(1.0) != 1.0) {
    json.refuse("partial_rotary_factor", "1: heads are rotated whole");
  }
}

Rope read_one(const JsonObject& rope, const JsonObject& json, const ModelConfig& config) {
  for (const char* layer_type : {"full_attention", "sliding_attention"}) {
    if (rope.has(layer_type)) rope.refuse(layer_type, "one set of parameters for all layers");
  }
  refuse_partial(rope);
  Rope result;
  result.theta = rope.number("rope_theta");
  result.scaling.rope_type = rope_type_in(rope);
  if (result.scaling.rope_type == "default") return result;
  result.scaling.factor = required_number(rope, "factor");
  if (result.scaling.rope_type == "linear") return result;
  result.scaling.low_freq_factor = required_number(rope, "low_freq_factor");
  result.scaling.high_freq_factor = required_number(rope, "high_freq_factor");
  if (result.scaling.high_freq_factor <= result.scaling.low_freq_factor) {
    rope.refuse("high_freq_factor", "more than low_freq_factor");
  }
  const auto outside = json.integer("original_max_position_embeddings");
  const auto inside = rope.integer("original_max_position_embeddings");
  if (outside && inside && *outside != *inside) {
    rope.refuse("original_max_position_embeddings", format("{}, as outside", *outside));
  }
  result.scaling.original_max_position_embeddings =
      inside ? *inside : outside.value_or(config.max_position_embeddings);
  return result;
}

}  // namespace

void read_rope(const JsonObject& json, const Traits& traits, ModelConfig& config) {
  refuse_partial(json);
  Rope rope;
  const auto parameters = json.object("rope_parameters");
  const auto scaling = json.object("rope_scaling");
  if (scaling) rope = read_one(*scaling, json, config);
  if (parameters) {
    const Rope fresh = read_one(*parameters, json, config);
    // Exporters write both, for old readers and new ones; then they must say the same.
    if (scaling && !scaling->keys().empty() && !(fresh == rope)) {
      json.refuse("rope_scaling", "the same as in rope_parameters");
    }
    rope = fresh;
  }
  const auto theta = json.number("rope_theta");
  if (theta && rope.theta && *theta != *rope.theta) {
    json.refuse("rope_theta", format("{}, as in rope_parameters", *rope.theta));
  }
  config.rope_theta = rope.theta ? *rope.theta : theta.value_or(traits.rope_theta);
  config.rope_scaled = rope.scaling.rope_type != "default";
  if (config.rope_scaled) config.rope_scaling = rope.scaling;
}

}  // namespace moe::interop
