#include "run/generate.h"

#include <algorithm>
#include <functional>
#include <set>

#include "base/error.h"
#include "support/context_test.h"

namespace moe::run {
namespace {

struct Row {
  const char* name;
  ModelConfig config;
};

void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

ModelConfig dense() {
  ModelConfig config;
  config.vocab_size = 64;
  config.hidden_size = 32;
  config.num_hidden_layers = 3;
  config.num_attention_heads = 4;
  config.intermediate_size = 48;
  config.max_position_embeddings = 48;
  config.initializer_range = 0.3;  // large, so that greedy choices vary
  return config;
}

ModelConfig changed(const std::function<void(ModelConfig&)>& change) {
  ModelConfig config = dense();
  change(config);
  return config;
}

std::vector<Row> rows() {
  const auto experts = [](ModelConfig& c) {
    c.num_experts = 4;
    c.num_experts_per_tok = 2;
    c.moe_intermediate_size = 24;
  };
  return {
      {"Dense", dense()},
      {"Gqa", changed([](auto& c) { c.num_key_value_heads = 2; })},
      {"OneKeyValueHead", changed([](auto& c) { c.num_key_value_heads = 1; })},
      {"WideHead", changed([](auto& c) { c.head_dim = 16; })},
      {"SlidingEverywhere", changed([](auto& c) { c.sliding_window = 5; })},
      {"WindowOfOne", changed([](auto& c) { c.sliding_window = 1; })},
      {"SlidingSomewhere", changed([](auto& c) {
         c.sliding_window = 4;
         c.layer_types = {"sliding_attention", "full_attention", "sliding_attention"};
       })},
      {"Tied", changed([](auto& c) { c.tie_word_embeddings = true; })},
      {"QkNormPerHead", changed([](auto& c) { c.qk_norm = "per_head"; })},
      {"QkNormWhole", changed([](auto& c) { c.qk_norm = "whole"; })},
      {"Experts", changed(experts)},
      {"SharedExpert", changed([&](auto& c) {
         experts(c);
         c.shared_expert_intermediate_size = 24;
         c.shared_expert_gate = true;
         c.sparse_layers = "step";
         c.decoder_sparse_step = 2;
       })},
      {"StretchedRope", changed([](auto& c) {
         c.rope_scaled = true;
         c.rope_scaling.rope_type = "linear";
         c.rope_scaling.factor = 2;
       })},
  };
}

class GreedyGenerate : public testing::ContextTest, public ::testing::WithParamInterface<Row> {};

TEST_P(GreedyGenerate, IsTheSameWithAndWithoutTheCache) {
  Model model(GetParam().config);
  model.materialize(DType::F32, 11);
  GenerateOptions options{.max_tokens = 30, .sampling = {.temperature = 0}};
  std::set<std::int32_t> seen;
  for (const std::vector<std::int32_t>& prompt :
       {std::vector<std::int32_t>{5}, {1, 2, 3}, {9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 63}}) {
    options.use_cache = true;
    const Generated cached = generate(model, prompt, options);
    options.use_cache = false;
    const Generated recomputed = generate(model, prompt, options);
    EXPECT_EQ(cached.tokens, recomputed.tokens);
    EXPECT_EQ(cached.tokens.size(), 30u);
    seen.insert(cached.tokens.begin(), cached.tokens.end());
  }
  EXPECT_GT(seen.size(), 3u) << "a model that repeats one token shows nothing";
}

INSTANTIATE_TEST_SUITE_P(Models, GreedyGenerate, ::testing::ValuesIn(rows()),
                         [](const auto& row) { return row.param.name; });

class GenerateLimits : public testing::ContextTest {
 protected:
  void SetUp() override { model_.materialize(DType::F32, 11); }
  Model model_{dense()};
};

TEST_F(GenerateLimits, RefusesAnEmptyPromptAndOneBeyondTheContext) {
  EXPECT_THROW(generate(model_, {}, {}), DataError);
  EXPECT_THROW(generate(model_, std::vector<std::int32_t>(49, 1), {}), DataError);
  EXPECT_THROW(generate(model_, {64}, {.max_tokens = 1}), DataError) << "no token of this model";
  EXPECT_THROW(generate(model_, {-1}, {.max_tokens = 1}), DataError);
}

TEST_F(GenerateLimits, StopsWhenTheContextIsFull) {
  for (const bool cache : {true, false}) {
    const GenerateOptions options{.max_tokens = 1000, .use_cache = cache};
    const Generated made = generate(model_, std::vector<std::int32_t>(40, 1), options);
    EXPECT_EQ(made.tokens.size(), 8u);
    EXPECT_EQ(made.end, GenerateEnd::ContextFull);
  }
}

TEST_F(GenerateLimits, AFullPromptLeavesNoRoom) {
  const Generated made = generate(model_, std::vector<std::int32_t>(48, 1), {.max_tokens = 5});
  EXPECT_EQ(made.end, GenerateEnd::ContextFull);
  EXPECT_TRUE(made.tokens.empty());
}

TEST_F(GenerateLimits, StopsAfterTheTokensAskedFor) {
  const Generated made = generate(model_, {1}, {.max_tokens = 1});
  EXPECT_EQ(made.tokens.size(), 1u);
  EXPECT_EQ(made.end, GenerateEnd::MaxTokens);
  EXPECT_TRUE(generate(model_, {1}, {.max_tokens = 0}).tokens.empty());
}

TEST_F(GenerateLimits, StopsBeforeTheStopToken) {
  GenerateOptions options{.max_tokens = 20, .sampling = {.temperature = 0}};
  const Generated whole = generate(model_, {1, 2}, options);
  const std::int32_t last = whole.tokens.back();
  options.stop_token = last;
  const Generated cut = generate(model_, {1, 2}, options);
  EXPECT_EQ(cut.end, GenerateEnd::StopToken);
  const auto first = std::find(whole.tokens.begin(), whole.tokens.end(), last);
  EXPECT_EQ(cut.tokens, std::vector<std::int32_t>(whole.tokens.begin(), first));
}

TEST_F(GenerateLimits, DrawsNoTokenOfThePadding) {
  const auto largest = [&](std::int64_t vocab_size) {
    const GenerateOptions options{
        .max_tokens = 40, .sampling = {.temperature = 5}, .vocab_size = vocab_size};
    const Generated made = generate(model_, {1}, options);
    return *std::max_element(made.tokens.begin(), made.tokens.end());
  };
  EXPECT_GE(largest(0), 10);
  EXPECT_LT(largest(10), 10);
  EXPECT_EQ(largest(1), 0);
  EXPECT_EQ(largest(1000), largest(0));
}

TEST_F(GenerateLimits, TellsEachTokenAsItComes) {
  std::vector<std::int32_t> told;
  const Generated made = generate(model_, {3}, {.max_tokens = 10, .sampling = {.seed = 4}},
                                  [&](std::int32_t token) { told.push_back(token); });
  EXPECT_EQ(told, made.tokens);
}

TEST_F(GenerateLimits, DrawsTheSameForTheSameSeed) {
  const auto drawn = [&](std::uint64_t seed) {
    return generate(model_, {3}, {.max_tokens = 20, .sampling = {.seed = seed}}).tokens;
  };
  EXPECT_EQ(drawn(4), drawn(4));
  EXPECT_NE(drawn(4), drawn(5));
}

}  // namespace
}  // namespace moe::run
