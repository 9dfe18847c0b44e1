#include "growth/blockwise_model.h"

#include "base/error.h"
#include "growth/tiny_models.h"
#include "interop/load_weights.h"
#include "support/expect_close.h"

namespace moe::growth {
namespace {

using testing::random_source;
using testing::random_tokens;
using testing::tiny_dense;
using testing::tiny_sparse;

class BlockwiseModelTest : public testing::ContextTest {};

ModelConfig with_everything() {
  ModelConfig config = tiny_sparse(4, 2);
  config.mlp_only_layers = {1};
  config.shared_expert_intermediate_size = 7;
  config.shared_expert_gate = true;
  config.attention_bias = true;
  config.qk_norm = "per_head";
  config.sliding_window = 5;
  config.layer_types = {"full_attention", "sliding_attention", "full_attention"};
  config.tie_word_embeddings = true;
  return config;
}

Tensor whole_model_logits(const ModelSource& source, std::span<const std::int32_t> tokens,
                          DType dtype) {
  Model model(source.config);
  model.allocate(dtype);
  interop::load_parameters(model, *source.weights);
  return model.logits({.token_T = Tensor::from(tokens, {static_cast<std::int64_t>(tokens.size())})});
}

TEST_F(BlockwiseModelTest, ComputesWhatTheWholeModelComputes) {
  for (const ModelConfig& config : {tiny_dense(), tiny_sparse(5, 3), with_everything()}) {
    for (const DType dtype : {DType::F32, DType::F64, DType::BF16}) {
      const ModelSource source = random_source(config);
      const auto tokens = random_tokens(config.max_position_embeddings, config.vocab_size);
      const BlockwiseModel blockwise(source, dtype);
      EXPECT_TRUE(testing::same_bits(blockwise.logits(tokens),
                                     whole_model_logits(source, tokens, dtype)))
          << to_string(dtype);
    }
  }
}

TEST_F(BlockwiseModelTest, LongTextIsCutIntoSequences) {
  const ModelSource source = random_source(tiny_dense());
  const BlockwiseModel model(source);
  const std::int64_t length = source.config.max_position_embeddings;
  const auto tokens = random_tokens(2 * length + 3, source.config.vocab_size);
  const auto parts = model.sequences(tokens);
  ASSERT_EQ(parts.size(), 3U);
  EXPECT_EQ(parts[2].size(), 3U);
  const Tensor all = model.logits(tokens);
  EXPECT_TRUE(testing::same_bits(all.narrow(length, length),
                                 whole_model_logits(source, parts[1], DType::F32)));
}

TEST_F(BlockwiseModelTest, LossIsTheMeanOverNextTokensOfEachSequence) {
  const ModelSource source = random_source(tiny_dense());
  const BlockwiseModel blockwise(source, DType::F64);
  const std::int64_t length = source.config.max_position_embeddings;
  const auto tokens = random_tokens(length + 2, source.config.vocab_size);
  Model model(source.config);
  model.allocate(DType::F64);
  interop::load_parameters(model, *source.weights);
  double sum = 0;
  for (const auto& part : blockwise.sequences(tokens)) {
    const auto count = static_cast<std::int64_t>(part.size());
    std::vector<std::int32_t> target(part.begin() + 1, part.end());
    target.push_back(-1);
    sum += model
               .loss({.token_T = Tensor::from(part, {count}),
                      .target_T = Tensor::from(std::span<const std::int32_t>(target), {count})},
                     {}, nn::Phase::Evaluate)
               .cross_entropy;
  }
  const double expected = sum / static_cast<double>(length - 1 + 1);
  EXPECT_NEAR(blockwise.loss(tokens), expected,
              testing::tolerance(DType::F64, source.config.vocab_size) * expected);
}

TEST_F(BlockwiseModelTest, NoTokensGiveNoLogitsAndOneGivesNoLoss) {
  const ModelSource source = random_source(tiny_sparse(4, 2));
  const BlockwiseModel model(source);
  EXPECT_EQ(model.logits({}).dim(0), 0);
  EXPECT_EQ(model.loss({}), 0.0);
  EXPECT_EQ(model.loss(std::vector<std::int32_t>{5}), 0.0);
}

TEST_F(BlockwiseModelTest, RefusesTokensOutsideTheVocabulary) {
  const ModelSource source = random_source(tiny_dense());
  const BlockwiseModel model(source);
  for (const std::int32_t bad : {-1, 37}) {
    EXPECT_THROW((void)model.loss(std::vector<std::int32_t>{1, bad}), DataError) << bad;
  }
}

TEST_F(BlockwiseModelTest, ObserversSeeEverySparseLayer) {
  const ModelSource source = random_source(with_everything());
  const BlockwiseModel model(source, DType::F64);
  const auto tokens = random_tokens(70, source.config.vocab_size);
  std::vector<std::pair<std::int64_t, std::int64_t>> seen;
  const auto check = [&](const LayerRun& run) {
    seen.emplace_back(run.layer, run.x_TD.dim(0));
    ASSERT_NE(run.block, nullptr);
    EXPECT_EQ(run.x_TD.dim(1), 12);
    EXPECT_EQ(run.term.probability_TE.dim(1), 4);
    EXPECT_EQ(run.weight_TK.dim(1), 2);
    EXPECT_EQ(run.rows_RD.dim(0), 2 * run.x_TD.dim(0));
    EXPECT_EQ(run.offset_E1.span<std::int32_t>()[4], run.rows_RD.dim(0));
  };
  const auto states = model.hidden(tokens, check);
  EXPECT_EQ(states.size(), 2U);
  const std::vector<std::pair<std::int64_t, std::int64_t>> expected{{0, 64}, {0, 6}, {2, 64}, {2, 6}};
  EXPECT_EQ(seen, expected);
}

TEST_F(BlockwiseModelTest, ComparisonFindsTheLargestDifference) {
  const ModelSource a = random_source(tiny_dense());
  const ModelSource b = random_source(tiny_dense(), DType::F32, 4);
  const auto tokens = random_tokens(9, 37);
  const Comparison found = compare(BlockwiseModel(a), BlockwiseModel(b), tokens);
  const auto before = BlockwiseModel(a).logits(tokens).to_vector();
  const auto after = BlockwiseModel(b).logits(tokens).to_vector();
  double difference = 0;
  double largest = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    difference = std::max(difference, std::abs(after[i] - before[i]));
    largest = std::max(largest, std::abs(before[i]));
  }
  EXPECT_EQ(found.max_difference, difference);
  EXPECT_EQ(found.max_logit, largest);
  EXPECT_EQ(found.loss_before, BlockwiseModel(a).loss(tokens));
  EXPECT_EQ(found.loss_after, BlockwiseModel(b).loss(tokens));
  EXPECT_EQ(compare(BlockwiseModel(a), BlockwiseModel(a), tokens).max_difference, 0.0);
}

TEST_F(BlockwiseModelTest, ANumberThatIsNotFiniteIsNeverASmallDifference) {
  const ModelSource a = random_source(tiny_dense());
  ModelSource b = random_source(tiny_dense());
  const auto broken = std::make_shared<checkpoint::MemorySource>();
  for (const std::string& name : b.weights->names()) {
    auto values = testing::values_of(*b.weights, name);
    if (name == "norm.weight") values[3] = std::nan("");
    broken->add(name, b.weights->info(name).shape, DType::F32, values);
  }
  b.weights = broken;
  EXPECT_TRUE(std::isinf(testing::compared(a, b, DType::F32).max_difference));
  EXPECT_TRUE(std::isinf(testing::compared(b, a, DType::F32).max_difference));
}

}  // namespace
}  // namespace moe::growth
