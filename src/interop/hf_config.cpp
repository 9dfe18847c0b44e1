#include "interop/hf_config.h"

#include <algorithm>

#include "base/error.h"
#include "base/format.h"
#include "base/log.h"
#include "interop/contained_file.h"
#include "interop/hf_config_reader.h"
#include "interop/json_object.h"
#include "interop/model_rules.h"

namespace moe::interop {
namespace {

constexpr std::uint64_t kLargestFile = std::uint64_t{16} << 20;
/// No dim of a published model comes near; products of three of them stay below 2^63.
constexpr std::int64_t kLargestSize = std::int64_t{1} << 31;
constexpr double kMostElements = 0x1p48;

constexpr std::array<Traits, kArchitectures.size()> kTraits{{
    {.architecture = Architecture::Llama, .class_name = "LlamaForCausalLM", .model_type = "llama"},
    {.architecture = Architecture::Mistral,
     .class_name = "MistralForCausalLM",
     .model_type = "mistral",
     .key_value_heads = 8,
     .max_positions = 131072,
     .sliding_window = 4096},
    {.architecture = Architecture::Mixtral,
     .class_name = "MixtralForCausalLM",
     .model_type = "mixtral",
     .sparse = true,
     .key_value_heads = 8,
     .max_positions = 131072,
     .norm_epsilon = 1e-5,
     .rope_theta = 1e6},
    {.architecture = Architecture::Qwen2,
     .class_name = "Qwen2ForCausalLM",
     .model_type = "qwen2",
     .key_value_heads = 32,
     .max_positions = 32768,
     .sliding_window = 4096},
    {.architecture = Architecture::Qwen3,
     .class_name = "Qwen3ForCausalLM",
     .model_type = "qwen3",
     .key_value_heads = 32,
     .head_dim = 128,
     .max_positions = 32768,
     .sliding_window = 4096},
    {.architecture = Architecture::Qwen2Moe,
     .class_name = "Qwen2MoeForCausalLM",
     .model_type = "qwen2_moe",
     .sparse = true,
     .key_value_heads = 16,
     .max_positions = 32768,
     .sliding_window = 4096},
    {.architecture = Architecture::Qwen3Moe,
     .class_name = "Qwen3MoeForCausalLM",
     .model_type = "qwen3_moe",
     .sparse = true,
     .key_value_heads = 4,
     .max_positions = 32768,
     .sliding_window = 4096},
    {.architecture = Architecture::Olmoe,
     .class_name = "OlmoeForCausalLM",
     .model_type = "olmoe",
     .sparse = true,
     .max_positions = 4096,
     .norm_epsilon = 1e-5,
     .balance_coefficient = 0.01,
     .pad_token_id = 1},
}};

const Traits& traits_of(Architecture architecture) {
  return *std::ranges::find(kTraits, architecture, &Traits::architecture);
}

std::string known_classes() {
  std::vector<std::string_view> names;
  for (const Traits& traits : kTraits) names.push_back(traits.class_name);
  return format("one of {}", fmt::join(names, ", "));
}

const Traits& traits_in(const JsonObject& json) {
  const auto classes = json.texts("architectures");
  const auto type = json.text("model_type");
  if (!classes && !type) json.refuse("architectures", "a list of one: " + known_classes());
  if (classes && classes->size() != 1) {
    json.refuse("architectures", "a list of one: " + known_classes());
  }
  const auto by_class = classes ? std::ranges::find(kTraits, classes->front(), &Traits::class_name)
                                : std::ranges::find(kTraits, *type, &Traits::model_type);
  if (by_class == kTraits.end()) {
    json.refuse(classes ? "architectures" : "model_type", "a model this program has: " + known_classes());
  }
  if (type && *type != by_class->model_type) {
    json.refuse("model_type", format("\"{}\", as architectures says", by_class->model_type));
  }
  return *by_class;
}

/// Sizes that no file can mean, and whose products would not fit 64 bits.
void refuse_giants(const JsonObject& json, const ModelConfig& c) {
  const std::pair<const char*, std::int64_t> sizes[] = {
      {"vocab_size", c.vocab_size},
      {"hidden_size", c.hidden_size},
      {"intermediate_size", c.intermediate_size},
      {"num_attention_heads", c.num_attention_heads},
      {"num_key_value_heads", c.key_value_heads()},
      {"head_dim", c.head_width()},
      {"num_experts", c.num_experts},
      {"moe_intermediate_size", c.expert_width()},
      {"shared_expert_intermediate_size", c.shared_expert_intermediate_size},
      {"max_position_embeddings", c.max_position_embeddings}};
  for (const auto& [key, value] : sizes) {
    if (value >= kLargestSize) json.refuse(key, "a size below 2^31");
  }
  const auto width = static_cast<double>(c.hidden_size);
  const double largest = width * std::max({static_cast<double>(c.vocab_size),
                                           2.0 * static_cast<double>(c.intermediate_size),
                                           static_cast<double>(c.num_attention_heads * c.head_width()),
                                           2.0 * static_cast<double>(c.num_experts) *
                                               static_cast<double>(c.expert_width())});
  if (largest > kMostElements) json.refuse("hidden_size", "tensors of at most 2^48 elements");
}

void require_rules(const JsonObject& json, const ModelConfig& config) {
  const std::vector<std::string> broken = broken_rules(config);
  if (broken.empty()) return;
  throw CheckpointError(format("{}: {}", json.where(), fmt::join(broken, "; ")));
}

std::string weight_dtype(const JsonObject& json) {
  const std::string key = json.has("dtype") ? "dtype" : "torch_dtype";
  const std::string dtype = json.text(key).value_or("");
  constexpr std::array kKnown{"", "float32", "bfloat16", "float16", "float64"};
  if (std::ranges::find(kKnown, dtype) == kKnown.end()) {
    json.refuse(key, "float32, bfloat16, float16 or float64");
  }
  return dtype;
}

std::vector<std::string> ignored_settings(const JsonObject& json) {
  std::vector<std::string> notes;
  for (const char* key : {"router_jitter_noise", "attention_dropout"}) {
    if (json.number(key).value_or(0.0) == 0.0) continue;
    notes.push_back(format("{}: {} is not applied in training here; evaluation is not affected", key,
                           json.spelled(key)));
  }
  return notes;
}

}  // namespace

std::string_view to_string(Architecture architecture) { return traits_of(architecture).class_name; }

std::string_view model_type_of(Architecture architecture) {
  return traits_of(architecture).model_type;
}

HuggingFaceConfig parse_hugging_face_config(std::string_view text, const std::string& where) {
  const JsonObject json = JsonObject::parse(text, where);
  const Traits& traits = traits_in(json);
  if (json.has("quantization_config")) {
    json.refuse("quantization_config", "none: quantised weights cannot be trained");
  }
  HuggingFaceConfig config;
  config.architecture = traits.architecture;
  config.dtype = weight_dtype(json);
  config.model = read_model(json, traits);
  config.notes = ignored_settings(json);
  require_rules(json, config.model);
  refuse_giants(json, config.model);
  return config;
}

namespace {

HuggingFaceConfig parse_and_warn(std::string_view text, const std::string& where) {
  HuggingFaceConfig config = parse_hugging_face_config(text, where);
  for (const std::string& note : config.notes) log_warning(format("{}: {}", where, note));
  return config;
}

}  // namespace

HuggingFaceConfig read_hugging_face_config(const Path& file) {
  return parse_and_warn(ContainedFile(file).text(kLargestFile), file.string());
}

HuggingFaceConfig read_hugging_face_config(const ContainedFolder& folder) {
  const auto file = folder.open(kConfigName);
  return parse_and_warn(file->text(kLargestFile), file->path().string());
}

}  // namespace moe::interop
