// Property 9 of model growth, its part for dense models: exact growth is undone.
#include "growth/narrow.h"
#include "growth/shorten.h"
#include "growth/support.h"

namespace moe::growth {
namespace {

/// What the issue allows where something was divided; bit for bit elsewhere.
constexpr double kUndone = 1e-6;

void expect_same_weights(const ModelSource& a, const ModelSource& b, double tolerance) {
  ASSERT_EQ(a.weights->names(), b.weights->names());
  for (const std::string& name : a.weights->names()) {
    ASSERT_EQ(a.weights->info(name).shape, b.weights->info(name).shape) << name;
    const auto x = values_of(*a.weights, name);
    const auto y = values_of(*b.weights, name);
    for (std::size_t i = 0; i < x.size(); ++i) {
      ASSERT_LE(std::abs(x[i] - y[i]), tolerance * std::max(1.0, std::abs(y[i]))) << name << " " << i;
    }
  }
}

class WayBack : public GrowthTest {
 protected:
  static WidenConfig sizes(const ModelConfig& config, const std::string& method) {
    WidenConfig to{.method = method,
                   .hidden_size = config.hidden_size,
                   .num_attention_heads = config.num_attention_heads,
                   .num_key_value_heads = config.key_value_heads()};
    to.intermediate_size = config.intermediate_size;
    if (config.num_experts > 0) to.moe_intermediate_size = config.expert_width();
    if (config.num_experts > 0) to.shared_expert_intermediate_size = config.shared_expert_intermediate_size;
    return to;
  }
};

TEST_F(WayBack, Property9FoldingCopiesReturnsTheSource) {
  ModelConfig tied = tiny_config();
  tied.tie_word_embeddings = tied.attention_bias = tied.attention_output_bias = true;
  ModelConfig normed = tiny_config();
  normed.qk_norm = "whole";
  for (const ModelConfig& config : {tiny_config(), tied, normed, tiny_moe_config()}) {
    for (const DType dtype : {DType::F64, DType::F32}) {
      const ModelSource source = random_model(config, dtype);
      for (const char* method : {"fpi", "exact", "lemon"}) {
        WidenConfig to{.method = method, .hidden_size = 21, .intermediate_size = 33, .num_attention_heads = 9,
                       .num_key_value_heads = 3};
        if (config.num_experts > 0) to.moe_intermediate_size = 7;
        const ModelSource wide = widen(source, to);
        const ModelSource back = grow(*make_narrow(sizes(config, method)), wide);
        EXPECT_NEAR(back.config.rms_norm_eps, config.rms_norm_eps, kExact);
        EXPECT_EQ(back.config.hidden_size, config.hidden_size);
        expect_same_weights(back, source, dtype == DType::F64 ? kExact : kUndone);
        EXPECT_LE(logit_jump(source, back, dtype), dtype == DType::F64 ? kExact : 10 * kUndone);
      }
    }
  }
}

/// Halves are exact in binary: nothing is lost at twice the width.
TEST_F(WayBack, Property9DoubledWidthsComeBackBitForBit) {
  for (const DType dtype : {DType::F32, DType::BF16}) {
    const ModelSource source = random_model(tiny_config(), dtype);
    const ModelSource wide =
        widen(source, {.method = "fpi", .hidden_size = 16, .intermediate_size = 20, .num_attention_heads = 8});
    expect_same_weights(grow(*make_narrow(sizes(source.config, "fpi")), wide), source, 0.0);
  }
}

TEST_F(WayBack, Property9DeletingZeroBlocksReturnsTheSourceBitForBit) {
  ModelConfig windows = tiny_config();
  windows.sliding_window = 3;
  windows.layer_types = {"full_attention", "sliding_attention", "full_attention"};
  for (const ModelConfig& config : {tiny_config(), windows, tiny_moe_config()}) {
    const ModelSource source = random_model(config, DType::F32);
    for (const std::int64_t layers : {3, 4, 5, 8}) {
      const ModelSource back = grow(*make_shorten({3}), deepen(source, "identity", layers));
      expect_same_weights(back, source, 0.0);
      EXPECT_EQ(back.config.layer_types, config.layer_types);
      for (std::int64_t l = 0; l < 3; ++l) EXPECT_EQ(back.config.is_sparse(l), config.is_sparse(l));
      EXPECT_EQ(logits_of(back, DType::F32), logits_of(source, DType::F32));
    }
  }
}

TEST_F(WayBack, Property9BlocksThatLearnedAreNotDeleted) {
  const ModelSource deep = deepen(random_model(tiny_config()), "stack", 4);
  try {
    grow(*make_shorten({3}), deep);
    FAIL();
  } catch (const CheckpointError& error) {
    EXPECT_NE(std::string(error.what()).find("layers.3."), std::string::npos) << error.what();
  }
}

TEST_F(WayBack, ReadsAnySlice) {
  const ModelSource source = random_model(tiny_config(), DType::F32);
  const ModelSource wide = widen(source, {.hidden_size = 20, .intermediate_size = 31});
  const ModelSource back = grow(*make_narrow(sizes(source.config, "lemon")), wide);
  const std::string name = "layers.1.mlp.gate_up.weight";
  const auto all = values_of(*back.weights, name);
  Slice slice = whole({2, 10, 8});
  slice.begin = {0, 3, 2};
  slice.size = {2, 5, 4};
  slice.flat_begin = 3;
  slice.flat_end = 37;
  std::vector<double> part(34);
  back.weights->read(name, slice, checkpoint::flat_view(part.data(), DType::F64, 34));
  for (std::int64_t i = 3; i < 37; ++i) {
    EXPECT_EQ(part[static_cast<std::size_t>(i - 3)], all[static_cast<std::size_t>(global_index(slice, i))]);
  }
}

TEST(WayBackRefuses, WhatWideningCouldNotHaveMade) {
  EXPECT_NE(refusal([] { narrowed(tiny_config(), {.hidden_size = 9}); }).find("narrow.hidden_size: got 9"), std::string::npos);
  EXPECT_NE(refusal([] { narrowed(tiny_config(), {.num_attention_heads = 3}); }).find("narrow.num_attention_heads"), std::string::npos);
  EXPECT_NE(refusal([] { make_shorten({4})->grow(tiny_config()); }).find("expected 1 to 3"), std::string::npos);
}

}  // namespace
}  // namespace moe::growth
