#include "interop/hf_config.h"

#include <gmock/gmock.h>

#include <fstream>

#include "base/error.h"
#include "base/format.h"
#include "support/temporary_folder.h"

namespace moe::interop {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kWhere = "model/config.json";

/// The keys that every architecture must have.
const std::string kSizes =
    R"("vocab_size": 100, "hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4,
       "intermediate_size": 96)";
const std::string kHeads = R"(, "num_key_value_heads": 2)";

std::string head_of(Architecture architecture) {
  return format(R"({{"architectures": ["{}"], "model_type": "{}", {})", to_string(architecture),
                model_type_of(architecture), kSizes);
}

/// A config of few keys, with `more` (", key: value ..." ) behind them.
std::string small(Architecture architecture, const std::string& more = "") {
  std::string text = head_of(architecture) + kHeads;
  switch (architecture) {
    case Architecture::Mixtral: text += R"(, "num_local_experts": 8, "num_experts_per_tok": 2)"; break;
    case Architecture::Olmoe: text += R"(, "num_experts": 8, "num_experts_per_tok": 2)"; break;
    case Architecture::Qwen2Moe:
      text += R"(, "num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 24,
                 "shared_expert_intermediate_size": 48)";
      break;
    case Architecture::Qwen3Moe:
      text += R"(, "num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 24)";
      break;
    default: break;
  }
  return text + more + "}";
}

ModelConfig model(Architecture architecture, const std::string& more = "") {
  return parse_hugging_face_config(small(architecture, more), kWhere).model;
}

TEST(HuggingFaceConfig, EveryArchitectureIsReadByItsClassOrItsType) {
  for (const Architecture architecture : kArchitectures) {
    const std::string both = small(architecture);
    EXPECT_EQ(parse_hugging_face_config(both, kWhere).architecture, architecture);
    const std::string type_only =
        "{" + both.substr(both.find("\"model_type\""));
    EXPECT_EQ(parse_hugging_face_config(type_only, kWhere).architecture, architecture);
    const std::string null_class =
        R"({"architectures": null, )" + both.substr(both.find("\"model_type\""));
    EXPECT_EQ(parse_hugging_face_config(null_class, kWhere).architecture, architecture);
  }
}

TEST(HuggingFaceConfig, AbsentKeysHaveTheDefaultsOfTheClass) {
  struct Row {
    Architecture architecture;
    double epsilon, theta, coefficient;
    std::int64_t positions, window;
    std::optional<std::int64_t> padding;
  };
  const Row rows[] = {
      {Architecture::Llama, 1e-6, 1e4, 0.01, 2048, 0, {}},
      {Architecture::Mistral, 1e-6, 1e4, 0.01, 131072, 4096, {}},
      {Architecture::Mixtral, 1e-5, 1e6, 0.002, 131072, 0, {}},
      {Architecture::Qwen2, 1e-6, 1e4, 0.01, 32768, 0, {}},
      {Architecture::Qwen3, 1e-6, 1e4, 0.01, 32768, 0, {}},
      {Architecture::Qwen2Moe, 1e-6, 1e4, 0.002, 32768, 0, {}},
      {Architecture::Qwen3Moe, 1e-6, 1e4, 0.002, 32768, 0, {}},
      {Architecture::Olmoe, 1e-5, 1e4, 0.02, 4096, 0, 1},
  };
  for (const Row& row : rows) {
    const ModelConfig c = model(row.architecture);
    SCOPED_TRACE(to_string(row.architecture));
    EXPECT_EQ(c.vocab_size, 100);
    EXPECT_EQ(c.hidden_size, 64);
    EXPECT_EQ(c.num_hidden_layers, 4);
    EXPECT_EQ(c.num_attention_heads, 4);
    EXPECT_EQ(c.key_value_heads(), 2);
    EXPECT_EQ(c.intermediate_size, 96);
    EXPECT_EQ(c.hidden_act, "silu");
    EXPECT_FALSE(c.tie_word_embeddings);
    EXPECT_FALSE(c.rope_scaled);
    EXPECT_DOUBLE_EQ(c.rms_norm_eps, row.epsilon);
    EXPECT_DOUBLE_EQ(c.rope_theta, row.theta);
    EXPECT_DOUBLE_EQ(c.router_aux_loss_coef, row.coefficient);
    EXPECT_EQ(c.max_position_embeddings, row.positions);
    EXPECT_EQ(c.window_of(0), row.window);
    EXPECT_EQ(c.pad_token_id, row.padding);
  }
}

/// Every biased projection: {q k v, o}.
TEST(HuggingFaceConfig, Biases) {
  struct Row {
    Architecture architecture;
    const char* more;
    bool inputs, output;
  };
  const Row rows[] = {
      {Architecture::Llama, "", false, false},
      {Architecture::Llama, R"(, "attention_bias": true, "mlp_bias": false)", true, true},
      {Architecture::Mistral, "", false, false},
      {Architecture::Mixtral, "", false, false},
      {Architecture::Qwen2, "", true, false},
      {Architecture::Qwen3, "", false, false},
      {Architecture::Qwen3, R"(, "attention_bias": true)", true, true},
      {Architecture::Qwen2Moe, "", true, false},
      {Architecture::Qwen2Moe, R"(, "qkv_bias": false)", false, false},
      {Architecture::Qwen3Moe, R"(, "attention_bias": true)", true, true},
      {Architecture::Olmoe, R"(, "attention_bias": true)", true, true},
      {Architecture::Olmoe, R"(, "attention_bias": null)", false, false},
  };
  for (const Row& row : rows) {
    const ModelConfig c = model(row.architecture, row.more);
    EXPECT_EQ(c.attention_bias, row.inputs) << to_string(row.architecture) << row.more;
    EXPECT_EQ(c.attention_output_bias, row.output) << to_string(row.architecture) << row.more;
  }
}

TEST(HuggingFaceConfig, HeadWidths) {
  struct Row {
    Architecture architecture;
    const char* more;
    std::int64_t width;
  };
  const Row rows[] = {
      {Architecture::Llama, "", 16},
      {Architecture::Llama, R"(, "head_dim": 8)", 8},
      {Architecture::Mixtral, R"(, "head_dim": null)", 16},
      {Architecture::Mixtral, R"(, "head_dim": 10)", 10},
      {Architecture::Qwen3, "", 128},
      {Architecture::Qwen3, R"(, "head_dim": 32)", 32},
      {Architecture::Qwen3Moe, "", 16},
      {Architecture::Qwen2, "", 16},
      {Architecture::Qwen2Moe, R"(, "head_dim": 32)", 32},
      {Architecture::Olmoe, "", 16},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(model(row.architecture, row.more).head_width(), row.width)
        << to_string(row.architecture) << row.more;
  }
}

TEST(HuggingFaceConfig, KeyValueHeads) {
  struct Row {
    Architecture architecture;
    const char* key;
    std::int64_t heads;
  };
  const Row rows[] = {
      {Architecture::Llama, "", 16},
      {Architecture::Llama, R"(, "num_key_value_heads": null)", 16},
      {Architecture::Mistral, "", 8},
      {Architecture::Mistral, R"(, "num_key_value_heads": null)", 16},
      {Architecture::Mistral, R"(, "num_key_value_heads": 1)", 1},
  };
  for (const Row& row : rows) {
    const std::string text =
        format(R"({{"model_type": "{}", "vocab_size": 100, "hidden_size": 64, "intermediate_size": 96,
                    "num_hidden_layers": 4, "num_attention_heads": 16{}}})",
               model_type_of(row.architecture), row.key);
    EXPECT_EQ(parse_hugging_face_config(text, kWhere).model.key_value_heads(), row.heads) << text;
  }
}

TEST(HuggingFaceConfig, QueryAndKeyNorms) {
  EXPECT_EQ(model(Architecture::Llama).qk_norm, "none");
  EXPECT_EQ(model(Architecture::Qwen3).qk_norm, "per_head");
  EXPECT_EQ(model(Architecture::Qwen3Moe).qk_norm, "per_head");
  EXPECT_EQ(model(Architecture::Olmoe).qk_norm, "whole");
  EXPECT_EQ(model(Architecture::Olmoe, R"(, "clip_qkv": 8.0)").clip_qkv, 8.0);
  EXPECT_EQ(model(Architecture::Olmoe, R"(, "clip_qkv": null)").clip_qkv, std::nullopt);
  EXPECT_EQ(model(Architecture::Llama, R"(, "clip_qkv": 8.0)").clip_qkv, std::nullopt);
}

/// Windows of layers 0 .. 3; 0 = all keys.
TEST(HuggingFaceConfig, Windows) {
  struct Row {
    Architecture architecture;
    const char* more;
    std::vector<std::int64_t> windows;
  };
  const std::vector<std::int64_t> none{0, 0, 0, 0};
  const std::vector<std::int64_t> all{5, 5, 5, 5};
  const Row rows[] = {
      {Architecture::Llama, R"(, "sliding_window": 5)", none},
      {Architecture::Olmoe, R"(, "sliding_window": 5)", none},
      {Architecture::Mistral, R"(, "sliding_window": 5)", all},
      {Architecture::Mistral, R"(, "sliding_window": null)", none},
      {Architecture::Mistral, R"(, "sliding_window": 0)", none},
      {Architecture::Mixtral, R"(, "sliding_window": 5)", all},
      {Architecture::Mixtral, R"(, "sliding_window": null)", none},
      {Architecture::Qwen3Moe, R"(, "sliding_window": 5)", none},
      {Architecture::Qwen3Moe, R"(, "sliding_window": 5, "use_sliding_window": true)", all},
      {Architecture::Qwen3Moe,
       R"(, "sliding_window": 5, "use_sliding_window": true, "max_window_layers": 2)", all},
      {Architecture::Qwen3Moe, R"(, "sliding_window": null, "use_sliding_window": true)", none},
      {Architecture::Qwen2, R"(, "sliding_window": 5, "use_sliding_window": false)", none},
      {Architecture::Qwen2, R"(, "sliding_window": 5, "use_sliding_window": true)", none},
      {Architecture::Qwen2,
       R"(, "sliding_window": 5, "use_sliding_window": true, "max_window_layers": 1)",
       {0, 5, 5, 5}},
      {Architecture::Qwen2,
       R"(, "sliding_window": 5, "use_sliding_window": true, "max_window_layers": 0)", all},
      {Architecture::Qwen3,
       R"(, "sliding_window": 5, "use_sliding_window": true, "max_window_layers": 3)",
       {0, 0, 0, 5}},
      {Architecture::Qwen3,
       R"(, "sliding_window": 5, "use_sliding_window": true, "max_window_layers": 0,
            "layer_types": ["sliding_attention", "full_attention", "full_attention", "sliding_attention"])",
       {5, 0, 0, 5}},
      {Architecture::Qwen3,
       R"(, "sliding_window": null, "use_sliding_window": false,
            "layer_types": ["full_attention", "full_attention", "full_attention", "full_attention"])",
       none},
      {Architecture::Qwen3, R"(, "sliding_window": null, "use_sliding_window": true,
            "max_window_layers": 0)", none},
      {Architecture::Qwen2Moe, R"(, "sliding_window": 5, "use_sliding_window": true)",
       {5, 0, 5, 0}},
      {Architecture::Qwen2Moe,
       R"(, "sliding_window": 5, "use_sliding_window": true, "max_window_layers": 2)",
       {5, 0, 0, 0}},
      {Architecture::Qwen2Moe, R"(, "sliding_window": 0, "use_sliding_window": false)", none},
      {Architecture::Qwen2Moe, R"(, "sliding_window": 5)", none},
  };
  for (const Row& row : rows) {
    const ModelConfig c = model(row.architecture, row.more);
    std::vector<std::int64_t> windows;
    for (std::int64_t layer = 0; layer < 4; ++layer) windows.push_back(c.window_of(layer));
    EXPECT_EQ(windows, row.windows) << to_string(row.architecture) << row.more;
  }
}

struct RopeRow {
  const char* more;
  const char* type;
  double theta, factor, low, high;
  std::int64_t original;
};

TEST(HuggingFaceConfig, RotarySpellings) {
  const RopeRow rows[] = {
      {"", "default", 1e4, 1, 1, 4, 8192},
      {R"(, "rope_theta": 500000)", "default", 5e5, 1, 1, 4, 8192},
      {R"(, "rope_theta": 500000, "rope_scaling": null)", "default", 5e5, 1, 1, 4, 8192},
      {R"(, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6})", "default", 1e6, 1, 1, 4, 8192},
      {R"(, "rope_parameters": {"rope_theta": 1e6})", "default", 1e6, 1, 1, 4, 8192},
      {R"(, "rope_parameters": {}, "rope_theta": 2e4)", "default", 2e4, 1, 1, 4, 8192},
      {R"(, "rope_theta": 1e6, "rope_scaling": null,
           "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0})",
       "default", 1e6, 1, 1, 4, 8192},
      {R"(, "rope_scaling": {"type": "linear", "factor": 2.5})", "linear", 1e4, 2.5, 1, 4, 8192},
      {R"(, "rope_scaling": {"rope_type": "linear", "type": "linear", "factor": 2})", "linear", 1e4, 2, 1, 4, 8192},
      {R"(, "rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 3e4})", "linear", 3e4, 4, 1, 4, 8192},
      {R"(, "rope_theta": 3e4, "rope_scaling": {"type": "linear", "factor": 4.0},
           "rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 3e4})",
       "linear", 3e4, 4, 1, 4, 8192},
      {R"(, "rope_theta": 500000.0, "rope_scaling": {"rope_type": "llama3", "factor": 8.0,
           "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192})",
       "llama3", 5e5, 8, 1, 4, 8192},
      {R"(, "rope_parameters": {"rope_type": "llama3", "factor": 32.0, "rope_theta": 5e5,
           "low_freq_factor": 2.0, "high_freq_factor": 8.0, "original_max_position_embeddings": 32})",
       "llama3", 5e5, 32, 2, 8, 32},
      {R"(, "max_position_embeddings": 64, "rope_parameters": {"rope_type": "llama3", "factor": 32.0,
           "low_freq_factor": 2.0, "high_freq_factor": 8.0})",
       "llama3", 1e4, 32, 2, 8, 64},
      {R"(, "max_position_embeddings": 64, "original_max_position_embeddings": 16,
           "rope_scaling": {"rope_type": "llama3", "factor": 4.0,
           "low_freq_factor": 2.0, "high_freq_factor": 8.0})",
       "llama3", 1e4, 4, 2, 8, 16},
      {R"(, "partial_rotary_factor": 1.0, "rope_theta": 10000.0)", "default", 1e4, 1, 1, 4, 8192},
  };
  for (const RopeRow& row : rows) {
    SCOPED_TRACE(row.more);
    const nn::RopeSpec spec = model(Architecture::Llama, row.more).rope_spec();
    EXPECT_EQ(spec.type, row.type);
    EXPECT_DOUBLE_EQ(spec.theta, row.theta);
    EXPECT_DOUBLE_EQ(spec.factor, row.factor);
    EXPECT_DOUBLE_EQ(spec.low_frequency_factor, row.low);
    EXPECT_DOUBLE_EQ(spec.high_frequency_factor, row.high);
    EXPECT_EQ(spec.original_max_positions, row.original);
  }
}

TEST(HuggingFaceConfig, Experts) {
  const ModelConfig mixtral = model(Architecture::Mixtral, R"(, "norm_topk_prob": false)");
  EXPECT_EQ(mixtral.num_experts, 8);
  EXPECT_EQ(mixtral.expert_width(), 96);
  EXPECT_TRUE(mixtral.norm_topk_prob) << "Mixtral always renormalises";
  EXPECT_EQ(mixtral.sparse_layer_count(), 4);
  EXPECT_EQ(mixtral.balance_loss, "micro_batch");
  EXPECT_EQ(mixtral.balance_pooling, "model");

  const ModelConfig olmoe = model(Architecture::Olmoe, R"(, "router_aux_loss_coef": 0.5)");
  EXPECT_EQ(olmoe.expert_width(), 96);
  EXPECT_FALSE(olmoe.norm_topk_prob);
  EXPECT_DOUBLE_EQ(olmoe.router_aux_loss_coef, 1.0) << "times k";
  EXPECT_TRUE(model(Architecture::Olmoe, R"(, "norm_topk_prob": true)").norm_topk_prob);

  const ModelConfig qwen = model(Architecture::Qwen2Moe);
  EXPECT_EQ(qwen.expert_width(), 24);
  EXPECT_EQ(qwen.shared_expert_intermediate_size, 48);
  EXPECT_TRUE(qwen.shared_expert_gate);
  EXPECT_FALSE(model(Architecture::Qwen3Moe).shared_expert_gate);
}

TEST(HuggingFaceConfig, BothNamesOfTheExpertCountAreReadEverywhere) {
  for (const Architecture architecture :
       {Architecture::Mixtral, Architecture::Olmoe, Architecture::Qwen2Moe, Architecture::Qwen3Moe}) {
    std::string text = small(architecture);
    const bool local = architecture == Architecture::Mixtral;
    const std::string from = local ? "num_local_experts" : "num_experts\"";
    const std::string to = local ? "num_experts" : "num_local_experts\"";
    text.replace(text.find(from), from.size(), to);
    EXPECT_EQ(parse_hugging_face_config(text, kWhere).model.num_experts, 8) << text;
  }
  EXPECT_EQ(model(Architecture::Mixtral, R"(, "num_experts": 8)").num_experts, 8);
}

TEST(HuggingFaceConfig, SparseLayers) {
  struct Row {
    const char* more;
    std::vector<std::int64_t> sparse;
  };
  const Row rows[] = {
      {"", {0, 1, 2, 3}},
      {R"(, "decoder_sparse_step": 2)", {1, 3}},
      {R"(, "decoder_sparse_step": 2, "mlp_only_layers": [3])", {1}},
      {R"(, "mlp_only_layers": [])", {0, 1, 2, 3}},
      {R"(, "mlp_only_layers": null)", {0, 1, 2, 3}},
      {R"(, "mlp_only_layers": [1, 17])", {0, 2, 3}},
      {R"(, "decoder_sparse_step": 5)", {}},
      {R"(, "mlp_only_layers": [0, 1, 2, 3])", {}},
  };
  for (const Architecture architecture : {Architecture::Qwen2Moe, Architecture::Qwen3Moe}) {
    for (const Row& row : rows) {
      const ModelConfig c = model(architecture, row.more);
      std::vector<std::int64_t> sparse;
      for (std::int64_t layer = 0; layer < 4; ++layer) {
        if (c.is_sparse(layer)) sparse.push_back(layer);
      }
      EXPECT_EQ(sparse, row.sparse) << to_string(architecture) << row.more;
      EXPECT_EQ(c.num_experts, row.sparse.empty() ? 0 : 8) << "a model without sparse layers is dense";
    }
  }
}

TEST(HuggingFaceConfig, PaddingIds) {
  EXPECT_EQ(model(Architecture::Llama, R"(, "pad_token_id": 0)").pad_token_id, 0);
  EXPECT_EQ(model(Architecture::Llama, R"(, "pad_token_id": 99)").pad_token_id, 99);
  EXPECT_EQ(model(Architecture::Llama, R"(, "pad_token_id": -1)").pad_token_id, 99) << "as torch counts";
  EXPECT_EQ(model(Architecture::Olmoe, R"(, "pad_token_id": null)").pad_token_id, std::nullopt);
}

TEST(HuggingFaceConfig, WeightTypesOldAndNew) {
  const auto dtype = [](const char* more) {
    return parse_hugging_face_config(small(Architecture::Llama, more), kWhere).dtype;
  };
  EXPECT_EQ(dtype(""), "");
  EXPECT_EQ(dtype(R"(, "dtype": "float32")"), "float32");
  EXPECT_EQ(dtype(R"(, "torch_dtype": "bfloat16")"), "bfloat16");
  EXPECT_EQ(dtype(R"(, "torch_dtype": null)"), "");
}

TEST(HuggingFaceConfig, SettingsThatTrainingDoesNotFollowAreNoted) {
  const auto notes = [](const char* more) {
    return parse_hugging_face_config(small(Architecture::Mixtral, more), kWhere).notes;
  };
  EXPECT_THAT(notes(R"(, "router_jitter_noise": 0.0, "attention_dropout": 0.0)"), IsEmpty());
  EXPECT_THAT(notes(R"(, "router_jitter_noise": 0.01)"),
              ElementsAre(HasSubstr("router_jitter_noise: 0.01")));
  EXPECT_THAT(notes(R"(, "attention_dropout": 0.1)"), ElementsAre(HasSubstr("attention_dropout")));
}

TEST(HuggingFaceConfig, UnknownKeysAndGenerationSettingsAreIgnored) {
  const ModelConfig c = model(Architecture::Llama,
                              R"(, "use_cache": true, "pretraining_tp": 1, "eos_token_id": [1, 2],
                                 "transformers_version": "4.40.0", "something": {"new": []})");
  EXPECT_EQ(c.hidden_size, 64);
}

TEST(HuggingFaceConfig, ReadsAFile) {
  const moe::testing::TemporaryFolder folder;
  const Path file = folder / "config.json";
  std::ofstream(file) << small(Architecture::Qwen3Moe);
  EXPECT_EQ(read_hugging_face_config(file).architecture, Architecture::Qwen3Moe);
  EXPECT_THROW(read_hugging_face_config(folder / "absent.json"), CheckpointError);
}

}  // namespace
}  // namespace moe::interop
