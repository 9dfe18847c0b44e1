#include "model/counts.h"

#include <gtest/gtest.h>

#include "model/models.h"
#include "support/tolerance.h"

namespace moe {
namespace {

using testing::NamedConfig;
using testing::small_configs;

struct HandCount {
  std::int64_t total = 0, active = 0, embedding = 0;
};

/// Matrix by matrix, from the architecture alone.
HandCount by_hand(const ModelConfig& c) {
  const std::int64_t d = c.hidden_size;
  const std::int64_t heads = c.num_attention_heads;
  const std::int64_t groups = c.num_key_value_heads ? *c.num_key_value_heads : heads;
  const std::int64_t width = c.head_dim ? *c.head_dim : d / heads;
  const std::int64_t faces = c.mlp_gated ? 3 : 2;  // up, down, and the gate
  HandCount count;
  const auto dense = [&](std::int64_t elements) {
    count.total += elements;
    count.active += elements;
  };
  count.embedding = c.vocab_size * d;
  dense(c.vocab_size * d * (c.tie_word_embeddings ? 1 : 2));
  dense(d);  // the last norm
  for (std::int64_t layer = 0; layer < c.num_hidden_layers; ++layer) {
    dense(2 * d);
    dense(d * width * (heads + 2 * groups) + heads * width * d);
    if (c.attention_bias) dense(width * (heads + 2 * groups));
    if (c.attention_output_bias) dense(d);
    if (c.qk_norm == "per_head") dense(2 * width);
    if (c.qk_norm == "whole") dense(width * (heads + groups));
    if (!c.is_sparse(layer)) {
      dense(faces * d * c.intermediate_size);
      continue;
    }
    dense(c.num_experts * d);
    const std::int64_t expert =
        faces * d * (c.moe_intermediate_size ? *c.moe_intermediate_size : c.intermediate_size);
    count.total += c.num_experts * expert;
    count.active += c.num_experts_per_tok * expert;
    dense(faces * d * c.shared_expert_intermediate_size);
    if (c.shared_expert_gate) dense(d);
  }
  return count;
}

TEST(Counts, ParametersEqualAHandCount) {
  for (const NamedConfig& row : small_configs()) {
    const ParameterCount count = count_parameters(row.config);
    const HandCount expected = by_hand(row.config);
    EXPECT_EQ(count.total, expected.total) << row.name;
    EXPECT_EQ(count.active, expected.active) << row.name;
    EXPECT_EQ(count.embedding, expected.embedding) << row.name;
  }
}

TEST(Counts, ParametersEqualWhatAModelAllocates) {
  for (const NamedConfig& row : small_configs()) {
    DeviceContext context(1, detect_cpu_isa());
    const ContextScope scope(context);
    Model model(row.config);
    model.materialize(DType::F32, 1);
    std::int64_t elements = 0;
    model.for_each_parameter([&](nn::Parameter& p) { elements += p.value().numel(); });
    EXPECT_EQ(count_parameters(row.config).total, elements) << row.name;
  }
}

ModelConfig mixtral_8x7b() {
  ModelConfig c;
  c.vocab_size = 32000;
  c.hidden_size = 4096;
  c.num_hidden_layers = 32;
  c.num_attention_heads = 32;
  c.num_key_value_heads = 8;
  c.intermediate_size = 14336;
  c.num_experts = 8;
  c.num_experts_per_tok = 2;
  return c;
}

ModelConfig qwen3_30b_a3b() {
  ModelConfig c;
  c.vocab_size = 151936;
  c.hidden_size = 2048;
  c.num_hidden_layers = 48;
  c.num_attention_heads = 32;
  c.num_key_value_heads = 4;
  c.head_dim = 128;
  c.qk_norm = "per_head";
  c.num_experts = 128;
  c.num_experts_per_tok = 8;
  c.moe_intermediate_size = 768;
  return c;
}

ModelConfig olmoe_1b_7b() {
  ModelConfig c;
  c.vocab_size = 50304;
  c.hidden_size = 2048;
  c.num_hidden_layers = 16;
  c.num_attention_heads = 16;
  c.intermediate_size = 1024;
  c.qk_norm = "whole";
  c.num_experts = 64;
  c.num_experts_per_tok = 8;
  return c;
}

ModelConfig llama_3_2_1b() {
  ModelConfig c;
  c.vocab_size = 128256;
  c.hidden_size = 2048;
  c.num_hidden_layers = 16;
  c.num_attention_heads = 32;
  c.num_key_value_heads = 8;
  c.intermediate_size = 8192;
  c.tie_word_embeddings = true;
  return c;
}

/// Elements of the published weight files.
TEST(Counts, PublishedModelsHaveTheirPublishedSizes) {
  EXPECT_EQ(count_parameters(mixtral_8x7b()).total, 46'702'792'704);
  EXPECT_EQ(count_parameters(mixtral_8x7b()).active, 12'879'925'248);
  EXPECT_EQ(count_parameters(qwen3_30b_a3b()).total, 30'532'122'624);
  EXPECT_EQ(count_parameters(olmoe_1b_7b()).total, 6'919'161'856);
  EXPECT_EQ(count_parameters(llama_3_2_1b()).total, 1'235'814'400);
}

/// Two for every weight a token is multiplied by, four for every key it sees in every head's width;
/// backward twice as much again.
double flops_by_hand(const ModelConfig& c, std::int64_t length) {
  const HandCount count = by_hand(c);
  double per_token = 2.0 * static_cast<double>(count.active);
  if (!c.tie_word_embeddings) per_token -= 2.0 * static_cast<double>(count.embedding);
  const std::int64_t width = c.head_dim ? *c.head_dim : c.hidden_size / c.num_attention_heads;
  for (std::int64_t layer = 0; layer < c.num_hidden_layers; ++layer) {
    const bool slides =
        c.sliding_window && (c.layer_types.empty() ||
                             c.layer_types[static_cast<std::size_t>(layer)] == "sliding_attention");
    std::int64_t keys = 0;
    for (std::int64_t query = 0; query < length; ++query) {
      for (std::int64_t key = 0; key <= query; ++key)
        keys += !slides || query - key < *c.sliding_window ? 1 : 0;
    }
    per_token += 4.0 * static_cast<double>(c.num_attention_heads * width) *
                 static_cast<double>(keys) / static_cast<double>(length);
  }
  return 3.0 * per_token;
}

TEST(Counts, FlopsEqualAHandCountOverEveryQueryAndKey) {
  std::vector<NamedConfig> rows = small_configs();
  for (const std::int64_t window : {1, 3, 7, 8, 100}) {
    rows.push_back({"window", testing::dense_config()});
    rows.back().config.sliding_window = window;
  }
  for (const NamedConfig& row : rows) {
    for (const std::int64_t length : {1, 2, 7, 16}) {
      const double expected = flops_by_hand(row.config, length);
      EXPECT_NEAR(training_flops_per_token(row.config, length), expected,
                  expected * testing::tolerance(DType::F64, 64))
          << row.name << " length " << length;
    }
  }
}

}  // namespace
}  // namespace moe
