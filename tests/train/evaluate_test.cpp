#include "train/evaluate.h"

#include <numbers>

#include "base/format.h"
#include "dist/training.h"
#include "support/context_test.h"
#include "support/thread_ranks.h"
#include "support/tolerance.h"
#include "train/model_input.h"

namespace moe::train {
namespace {

class EvaluateTest : public testing::ContextTest {};

constexpr std::int64_t kWindows = 7;
constexpr std::int64_t kLength = 8;

/// Every window but the last predicts all its tokens, the last only three.
class RaggedText final : public data::HeldOut {
 public:
  explicit RaggedText(std::int64_t bytes) : bytes_(bytes) {}
  std::int64_t windows() const override { return kWindows; }
  std::int64_t tokens() const override { return (kWindows - 1) * kLength + 3; }
  std::int64_t bytes() const override { return bytes_; }
  void read(std::int64_t window, const data::SequenceView& out) const override {
    const auto w = static_cast<std::size_t>(window);
    for (std::size_t i = 0; i < out.tokens.size(); ++i) {
      out.tokens[i] = static_cast<std::int32_t>((w * 5 + i * 7) % 24);
      const bool counted = window + 1 < kWindows || i < 3;
      out.targets[i] =
          counted ? static_cast<std::int32_t>((w * 11 + i * 3) % 24) : data::kIgnoredTarget;
    }
    out.starts.assign(1, 0);
    data::number_positions(out);
  }

 private:
  std::int64_t bytes_;
};

data::HeldOutLoader loader(std::int64_t micro_batch, int rank, int ranks, std::int64_t bytes = 99) {
  return {std::make_shared<RaggedText>(bytes),
          {.micro_batch = micro_batch, .reader = rank, .readers = ranks},
          kLength};
}

/// Window by window, each alone: the sum of nats over the first `windows`.
double nats(Model& model, std::int64_t windows) {
  const data::HeldOutLoader one = loader(1, 0, 1);
  double sum = 0.0;
  for (std::int64_t w = 0; w < windows; ++w) {
    const ModelInput input = to_model_input(one.batch(w));
    for (const double value : model.loss(input, {}, nn::Phase::Evaluate).loss_T.to_vector())
      sum += value;
  }
  return sum;
}

TEST_F(EvaluateTest, CountsEveryTokenOnceWhateverTheBatchesAndRanks) {
  for (const int ranks : {1, 2, 3, 4}) {
    for (const std::int64_t micro_batch : {1, 2, 3, 8}) {
      SCOPED_TRACE(format("{} ranks, {} windows at a time", ranks, micro_batch));
      testing::run_ranks(ranks, [&](comm::Group& group) {
        const auto alone = comm::make_self_group();
        testing::Trainer trainer(testing::tiny_problem(), *alone, 1);
        Model& model = *trainer.state().model;
        const data::HeldOutLoader held_out = loader(micro_batch, group.rank(), ranks);
        RoutingStatistics routing(model.config());
        const Evaluation result = evaluate(model, held_out, group, std::nullopt, &routing);
        const std::int64_t tokens = (kWindows - 1) * kLength + 3;
        const double sum = nats(model, kWindows);
        const double allowed = testing::tolerance(DType::F32, 64 * tokens);
        EXPECT_EQ(result.tokens, tokens);
        EXPECT_NEAR(result.loss, sum / static_cast<double>(tokens), result.loss * allowed);
        ASSERT_TRUE(result.bits_per_byte.has_value());
        EXPECT_NEAR(*result.bits_per_byte, sum / std::numbers::ln2 / 99.0,
                    *result.bits_per_byte * allowed);
        for (const metrics::RoutingCounts& counts : routing.counts()) {
          EXPECT_EQ(counts.tokens, kWindows * kLength) << "rows without a window are padding";
          std::int64_t routes = 0;
          for (const std::int64_t routed : counts.routed_E) routes += routed;
          EXPECT_EQ(routes, 2 * kWindows * kLength);
        }
      });
    }
  }
}

TEST_F(EvaluateTest, AFewBatchesAreTheFirstAndHaveNoBitsPerByte) {
  const auto alone = comm::make_self_group();
  testing::Trainer trainer(testing::tiny_problem(), *alone, 1);
  Model& model = *trainer.state().model;
  const data::HeldOutLoader held_out = loader(2, 0, 1);
  struct Row {
    std::int64_t batches, windows;
    bool all;
  };
  for (const Row& row :
       std::initializer_list<Row>{{1, 2, false}, {3, 6, false}, {4, 7, true}, {9, 7, true}}) {
    const Evaluation result = evaluate(model, held_out, *alone, row.batches, nullptr);
    const std::int64_t tokens = row.all ? 6 * kLength + 3 : row.windows * kLength;
    EXPECT_EQ(result.tokens, tokens) << row.batches;
    EXPECT_NEAR(result.loss, nats(model, row.windows) / static_cast<double>(tokens),
                result.loss * testing::tolerance(DType::F32, 64 * tokens))
        << row.batches;
    EXPECT_EQ(result.bits_per_byte.has_value(), row.all) << row.batches;
  }
}

TEST_F(EvaluateTest, UnknownBytesGiveNoBitsPerByte) {
  const auto alone = comm::make_self_group();
  testing::Trainer trainer(testing::tiny_problem(), *alone, 1);
  for (const std::int64_t bytes : {-1, 0}) {
    const data::HeldOutLoader held_out = loader(2, 0, 1, bytes);
    EXPECT_FALSE(
        evaluate(*trainer.state().model, held_out, *alone, std::nullopt, nullptr).bits_per_byte);
  }
}

TEST_F(EvaluateTest, TellsItsProgress) {
  const auto alone = comm::make_self_group();
  testing::Trainer trainer(testing::tiny_problem(), *alone, 1);
  std::vector<std::pair<std::int64_t, std::int64_t>> told;
  evaluate(*trainer.state().model, loader(3, 0, 1), *alone, std::nullopt, nullptr,
           [&](std::int64_t done, std::int64_t all) { told.emplace_back(done, all); });
  EXPECT_EQ(told, (std::vector<std::pair<std::int64_t, std::int64_t>>{{1, 3}, {2, 3}, {3, 3}}));
}

}  // namespace
}  // namespace moe::train
