#include "interop/hf_names.h"

#include <gmock/gmock.h>

#include <set>

#include "model/model.h"

namespace moe::interop {
namespace {

using ::testing::ElementsAre;

struct Row {
  Architecture architecture;
  ExpertSpelling spelling;
  const char* ours;
  Shape shape;
  std::vector<std::string> theirs;
};

constexpr auto kPer = ExpertSpelling::PerExpert;
constexpr auto kFused = ExpertSpelling::Fused;

TEST(HuggingFaceNames, Table) {
  const Row rows[] = {
      {Architecture::Llama, kPer, "embedding.weight", {5, 4}, {"model.embed_tokens.weight"}},
      {Architecture::Llama, kPer, "head.weight", {5, 4}, {"lm_head.weight"}},
      {Architecture::Llama, kPer, "norm.weight", {4}, {"model.norm.weight"}},
      {Architecture::Qwen3, kPer, "layers.12.attention.k_norm.weight", {4},
       {"model.layers.12.self_attn.k_norm.weight"}},
      {Architecture::Qwen2, kPer, "layers.0.attention.q_proj.bias", {4},
       {"model.layers.0.self_attn.q_proj.bias"}},
      {Architecture::Mistral, kPer, "layers.3.attention_norm.weight", {4},
       {"model.layers.3.input_layernorm.weight"}},
      {Architecture::Mistral, kPer, "layers.3.feed_forward_norm.weight", {4},
       {"model.layers.3.post_attention_layernorm.weight"}},
      {Architecture::Mistral, kPer, "layers.3.mlp.gate_up.weight", {2, 6, 4},
       {"model.layers.3.mlp.gate_proj.weight", "model.layers.3.mlp.up_proj.weight"}},
      {Architecture::Mixtral, kPer, "layers.1.moe.router.weight", {2, 4},
       {"model.layers.1.block_sparse_moe.gate.weight"}},
      {Architecture::Mixtral, kPer, "layers.1.moe.experts.gate_up.weight", {2, 2, 6, 4},
       {"model.layers.1.block_sparse_moe.experts.0.w1.weight",
        "model.layers.1.block_sparse_moe.experts.0.w3.weight",
        "model.layers.1.block_sparse_moe.experts.1.w1.weight",
        "model.layers.1.block_sparse_moe.experts.1.w3.weight"}},
      {Architecture::Mixtral, kPer, "layers.1.moe.experts.down.weight", {2, 4, 6},
       {"model.layers.1.block_sparse_moe.experts.0.w2.weight",
        "model.layers.1.block_sparse_moe.experts.1.w2.weight"}},
      {Architecture::Mixtral, kFused, "layers.1.moe.router.weight", {2, 4},
       {"model.layers.1.mlp.gate.weight"}},
      {Architecture::Mixtral, kFused, "layers.1.moe.experts.gate_up.weight", {1, 2, 6, 4},
       {"model.layers.1.mlp.experts.gate_up_proj", "model.layers.1.mlp.experts.gate_up_proj"}},
      {Architecture::Olmoe, kPer, "layers.1.moe.experts.gate_up.weight", {1, 2, 6, 4},
       {"model.layers.1.mlp.experts.0.gate_proj.weight",
        "model.layers.1.mlp.experts.0.up_proj.weight"}},
      {Architecture::Qwen3Moe, kFused, "layers.1.moe.experts.down.weight", {3, 4, 6},
       {"model.layers.1.mlp.experts.down_proj"}},
      {Architecture::Qwen2Moe, kPer, "layers.1.moe.shared.gate_up.weight", {2, 6, 4},
       {"model.layers.1.mlp.shared_expert.gate_proj.weight",
        "model.layers.1.mlp.shared_expert.up_proj.weight"}},
      {Architecture::Qwen2Moe, kFused, "layers.1.moe.shared_gate.weight", {1, 4},
       {"model.layers.1.mlp.shared_expert_gate.weight"}},
  };
  for (const Row& row : rows) {
    const auto map = name_map(row.architecture, row.spelling, row.ours, row.shape);
    ASSERT_TRUE(map.has_value()) << row.ours;
    std::vector<std::string> theirs;
    for (const NamedPart& part : map->parts) theirs.push_back(part.name);
    EXPECT_EQ(theirs, row.theirs) << row.ours;
  }
}

TEST(HuggingFaceNames, ParametersThatAnArchitectureLacksHaveNoMap) {
  const std::pair<Architecture, const char*> rows[] = {
      {Architecture::Llama, "layers.0.moe.router.weight"},
      {Architecture::Mixtral, "layers.0.moe.shared_gate.weight"},
      {Architecture::Olmoe, "layers.0.moe.shared.down.weight"},
      {Architecture::Llama, "layers.x.mlp.down.weight"},
      {Architecture::Llama, "layers..mlp.down.weight"},
      {Architecture::Llama, "layers.1.mlp.down.weight.more"},
      {Architecture::Llama, ""},
  };
  for (const auto& [architecture, name] : rows) {
    EXPECT_EQ(name_map(architecture, kPer, name, {1, 1}), std::nullopt) << name;
  }
}

/// What import and export both rest on.
TEST(HuggingFaceNames, PartsTileTheParameterInOrder) {
  const Shape shape{3, 2, 5, 4};
  for (const ExpertSpelling spelling : {kPer, kFused}) {
    const auto map = name_map(Architecture::Qwen3Moe, spelling,
                              "layers.0.moe.experts.gate_up.weight", shape);
    std::int64_t next = 0;
    for (const NamedPart& part : map->parts) {
      ASSERT_EQ(part.ours.numel(), part.theirs.numel());
      for (std::int64_t i = 0; i < part.ours.numel(); ++i) {
        EXPECT_EQ(global_index(part.ours, i), next);
        // Gate and up lie one behind the other in the fused tensor too.
        if (spelling == kFused) {
          EXPECT_EQ(global_index(part.theirs, i), next);
        }
        ++next;
      }
    }
    EXPECT_EQ(next, shape.numel());
  }
}

TEST(HuggingFaceNames, EveryParameterOfEveryArchitectureHasOnePlace) {
  for (const Architecture architecture : kArchitectures) {
    const bool shared = architecture == Architecture::Qwen2Moe;
    ModelConfig config{.vocab_size = 8,
                       .hidden_size = 8,
                       .num_hidden_layers = 2,
                       .num_attention_heads = 2,
                       .intermediate_size = 6,
                       .attention_bias = true,
                       .attention_output_bias = true,
                       .qk_norm = "per_head"};
    if (architecture == Architecture::Mixtral || architecture == Architecture::Olmoe || shared ||
        architecture == Architecture::Qwen3Moe) {
      config.num_experts = 3;
      config.mlp_only_layers = {1};
      config.shared_expert_intermediate_size = shared ? 4 : 0;
      config.shared_expert_gate = shared;
    }
    Model model(config);
    for (const ExpertSpelling spelling : {kPer, kFused}) {
      std::set<std::string> seen;
      model.for_each_parameter([&](const nn::Parameter& parameter) {
        const auto map = name_map(architecture, spelling, parameter.name(), parameter.spec().shape);
        ASSERT_TRUE(map.has_value()) << to_string(architecture) << ": " << parameter.name();
        std::set<std::string> mine;
        for (const NamedPart& part : map->parts) mine.insert(part.name);
        for (const std::string& name : mine) EXPECT_TRUE(seen.insert(name).second) << name;
      });
    }
  }
}

TEST(HuggingFaceNames, OldBuffersAreIgnored) {
  EXPECT_TRUE(is_ignored("model.layers.0.self_attn.rotary_emb.inv_freq"));
  EXPECT_TRUE(is_ignored("model.rotary_emb.inv_freq"));
  EXPECT_FALSE(is_ignored("model.layers.0.self_attn.q_proj.weight"));
}

}  // namespace
}  // namespace moe::interop
