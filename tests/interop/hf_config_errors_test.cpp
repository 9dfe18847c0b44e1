/// config.json files that must be refused: which key the message names.
#include <gmock/gmock.h>

#include "base/error.h"
#include "base/format.h"
#include "interop/hf_config.h"

namespace moe::interop {
namespace {

using ::testing::HasSubstr;

constexpr const char* kWhere = "model/config.json";

/// A Qwen2-MoE config whose keys are all good.
const std::vector<std::pair<std::string, std::string>> kGood{
    {"architectures", R"(["Qwen2MoeForCausalLM"])"},
    {"model_type", R"("qwen2_moe")"},
    {"vocab_size", "100"},
    {"hidden_size", "64"},
    {"num_hidden_layers", "4"},
    {"num_attention_heads", "4"},
    {"num_key_value_heads", "2"},
    {"intermediate_size", "96"},
    {"num_experts", "8"},
    {"num_experts_per_tok", "2"},
    {"moe_intermediate_size", "24"},
    {"shared_expert_intermediate_size", "48"}};

std::string with(const std::string& key, const std::string& value) {
  std::vector<std::string> lines;
  bool found = false;
  for (const auto& [name, good] : kGood) {
    found = found || name == key;
    if (name != key || !value.empty()) {
      lines.push_back(format("\"{}\": {}", name, name == key ? value : good));
    }
  }
  if (!found) lines.push_back(format("\"{}\": {}", key, value));
  return format("{{{}}}", fmt::join(lines, ",\n"));
}

std::string message_of(const std::string& text) {
  try {
    parse_hugging_face_config(text, kWhere);
  } catch (const CheckpointError& error) {
    EXPECT_EQ(error.exit_code(), 66);
    return error.what();
  }
  return "accepted";
}

TEST(BadHuggingFaceConfig, TheBaseOfTheTableIsGood) {
  EXPECT_NO_THROW(parse_hugging_face_config(with("use_cache", "true"), kWhere));
}

struct Row {
  const char* key;
  const char* value;  ///< "" = the key is missing
  const char* named = nullptr;  ///< what the message names, if not the key
};

const Row kRows[] = {
    {"vocab_size", ""},
    {"vocab_size", "null"},
    {"vocab_size", "\"100\""},
    {"vocab_size", "100.0"},
    {"vocab_size", "0"},
    {"vocab_size", "-5"},
    {"vocab_size", "18446744073709551615"},
    {"vocab_size", "9223372036854775807"},
    {"hidden_size", ""},
    {"hidden_size", "true"},
    {"hidden_size", "[64]"},
    {"hidden_size", "0"},
    {"hidden_size", "1152921504606846976"},
    {"num_hidden_layers", ""},
    {"num_hidden_layers", "0"},
    {"num_hidden_layers", "1000000000000"},
    {"num_attention_heads", ""},
    {"num_attention_heads", "0"},
    {"num_attention_heads", "5"},
    {"num_key_value_heads", "0"},
    {"num_key_value_heads", "3"},
    {"num_key_value_heads", "-1"},
    {"head_dim", "7"},
    {"head_dim", "0"},
    {"head_dim", "{}"},
    {"intermediate_size", ""},
    {"intermediate_size", "-1"},
    {"max_position_embeddings", "0"},
    {"hidden_act", "\"xielu\""},
    {"hidden_act", "1"},
    {"rms_norm_eps", "0"},
    {"rms_norm_eps", "\"1e-6\""},
    {"initializer_range", "-0.1"},
    {"tie_word_embeddings", "1"},
    {"tie_word_embeddings", "\"false\""},
    {"pad_token_id", "100"},
    {"pad_token_id", "-101"},
    {"pad_token_id", "1.5"},
    {"mlp_bias", "true"},
    {"qkv_bias", "\"yes\""},
    {"num_experts", ""},
    {"num_experts", "-1"},
    {"num_experts", "8.5"},
    {"num_experts", "1"},  // fewer than num_experts_per_tok
    {"num_local_experts", "9"},
    {"num_experts_per_tok", ""},
    {"num_experts_per_tok", "0"},
    {"num_experts_per_tok", "9"},
    {"moe_intermediate_size", ""},
    {"moe_intermediate_size", "0"},
    {"moe_intermediate_size", "4611686018427387904"},
    {"shared_expert_intermediate_size", ""},
    {"shared_expert_intermediate_size", "0"},
    {"decoder_sparse_step", "0"},
    {"mlp_only_layers", "3"},
    {"mlp_only_layers", "[0, \"1\"]"},
    {"mlp_only_layers", "[-1]"},
    {"norm_topk_prob", "1"},
    {"router_aux_loss_coef", "-0.1"},
    {"router_aux_loss_coef", "\"0.1\""},
    {"router_jitter_noise", "\"0\""},
    {"use_sliding_window", "0"},
    {"layer_types", R"(["full_attention"])"},
    {"layer_types", R"(["full_attention", "full_attention", "full_attention", "chunked_attention"])"},
    {"layer_types", R"(["full_attention", "full_attention", "full_attention", "sliding_attention"])"},
    {"layer_types", R"("full_attention")"},
    {"rope_theta", "0"},
    {"rope_theta", "\"10000\""},
    {"rope_scaling", "2.0"},
    {"rope_scaling", R"({"type": "yarn", "factor": 4.0})", "rope_scaling.type"},
    {"rope_scaling", R"({"rope_type": "dynamic", "factor": 4.0})", "rope_scaling.rope_type"},
    {"rope_scaling", R"({"rope_type": "longrope"})", "longrope"},
    {"rope_scaling", R"({"rope_type": "linear"})", "rope_scaling.factor"},
    {"rope_scaling", R"({"rope_type": "linear", "factor": 0})", "factor"},
    {"rope_scaling", R"({"rope_type": "linear", "type": "llama3", "factor": 2})", "rope_scaling.type"},
    {"rope_parameters", R"({"rope_type": "llama3", "factor": 8, "low_freq_factor": 1})",
     "rope_parameters.high_freq_factor"},
    {"rope_parameters", R"({"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4})",
     "rope_parameters.high_freq_factor"},
    {"rope_parameters", R"({"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4,
                            "original_max_position_embeddings": 0})",
     "original_max_position_embeddings"},
    {"rope_parameters", R"({"full_attention": {"rope_type": "default"}})", "full_attention"},
    {"rope_parameters", R"({"rope_type": "default", "partial_rotary_factor": 0.5})",
     "partial_rotary_factor"},
    {"rope_parameters", "[]"},
    {"partial_rotary_factor", "0.25"},
    {"dtype", "\"float8_e4m3fn\""},
    {"torch_dtype", "32"},
    {"quantization_config", R"({"quant_method": "fp8"})"},
    {"architectures", "[]"},
    {"architectures", R"(["GPT2LMHeadModel"])"},
    {"architectures", R"(["LlamaForSequenceClassification"])"},
    {"architectures", R"("Qwen2MoeForCausalLM")"},
    {"architectures", R"([7])"},
    {"architectures", R"(["LlamaForCausalLM", "MistralForCausalLM"])"},
    {"model_type", R"("llama")"},
    {"model_type", "3"},
};

TEST(BadHuggingFaceConfig, EveryRowNamesFileAndKey) {
  for (const Row& row : kRows) {
    const std::string message = message_of(with(row.key, row.value));
    EXPECT_THAT(message, HasSubstr(kWhere)) << row.key << " " << row.value;
    EXPECT_THAT(message, HasSubstr(row.named != nullptr ? row.named : row.key)) << row.value;
  }
}

TEST(BadHuggingFaceConfig, WindowsThatAreUsed) {
  const std::string used = "true, \"sliding_window\": ";
  EXPECT_THAT(message_of(with("use_sliding_window", used + "-1")), HasSubstr("sliding_window"));
  EXPECT_THAT(message_of(with("use_sliding_window", used + "\"4\"")), HasSubstr("sliding_window"));
  EXPECT_THAT(message_of(with("use_sliding_window", used + "null")), HasSubstr("layer_types"));
}

TEST(BadHuggingFaceConfig, TwoSpellingsMustAgree) {
  EXPECT_THAT(message_of(with("rope_theta", R"(1e4, "rope_parameters": {"rope_theta": 1e6})")),
              HasSubstr("rope_theta"));
  EXPECT_THAT(message_of(with("rope_scaling", R"({"type": "linear", "factor": 2},
                                               "rope_parameters": {"rope_type": "linear", "factor": 4})")),
              HasSubstr("rope_scaling"));
  EXPECT_THAT(message_of(with("original_max_position_embeddings",
                              R"(16, "rope_parameters": {"rope_type": "llama3", "factor": 8,
                                "low_freq_factor": 1, "high_freq_factor": 4,
                                "original_max_position_embeddings": 32})")),
              HasSubstr("original_max_position_embeddings"));
}

TEST(BadHuggingFaceConfig, TextThatIsNoObject) {
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "{\"a\": ";
  const std::pair<std::string, const char*> texts[] = {
      {"", "not valid JSON"},
      {"{", "not valid JSON"},
      {"[]", "expected a JSON object"},
      {"null", "expected a JSON object"},
      {"{} {}", "not valid JSON"},
      {"{\"rope_theta\": NaN}", "not valid JSON"},
      {"{\"rope_theta\": 1e999}", "not valid JSON"},
      {"{\"a\": \"\xff\"}", "not valid JSON"},
      {std::string("{\"a\": 1\0}", 9), "not valid JSON"},
      {"{\"vocab_size\": 1, \"vocab_size\": 2}", "'vocab_size' stands twice"},
      {deep, "nested deeper"},
      {"{}", "architectures"},
      {"{\"model_type\": \"gpt2\"}", "model_type"},
  };
  for (const auto& [text, expected] : texts) {
    const std::string message = message_of(text);
    EXPECT_THAT(message, HasSubstr(kWhere));
    EXPECT_THAT(message, HasSubstr(expected)) << text;
  }
}

TEST(BadHuggingFaceConfig, AllBrokenRulesAreSaidAtOnce) {
  const std::string message = message_of(with("rms_norm_eps", "0, \"max_position_embeddings\": 0"));
  EXPECT_THAT(message, HasSubstr("rms_norm_eps"));
  EXPECT_THAT(message, HasSubstr("max_position_embeddings"));
}

}  // namespace
}  // namespace moe::interop
