#include "train/model_input.h"

#include "support/context_test.h"

namespace moe::train {
namespace {

using Ints = std::vector<std::int32_t>;

class ModelInputTest : public testing::ContextTest {};

Ints ints(const Tensor& tensor) {
  const auto span = tensor.span<std::int32_t>();
  return {span.begin(), span.end()};
}

data::Batch two_rows_of_three() {
  data::Batch batch = data::make_batch(2, 3);
  batch.tokens_BS = {1, 2, 3, 4, 5, 6};
  batch.targets_BS = {2, 3, -100, 5, 6, 7};
  batch.positions_BS = {0, 1, 0, 0, 1, 2};
  batch.document_bounds = {0, 2, 3, 6};
  batch.sample_ids = {10, 11};
  return batch;
}

TEST_F(ModelInputTest, CarriesTokensTargetsAndPositions) {
  const ModelInput input = to_model_input(two_rows_of_three());
  EXPECT_EQ(input.batch, 2);
  EXPECT_EQ(ints(input.token_T), (Ints{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(ints(input.target_T), (Ints{2, 3, -100, 5, 6, 7}));
  EXPECT_EQ(ints(input.position_T), (Ints{0, 1, 0, 0, 1, 2}));
}

TEST_F(ModelInputTest, DocumentBoundsAreCountedWithinTheRow) {
  data::Batch batch = two_rows_of_three();
  EXPECT_EQ(ints(to_model_input(batch).begin_T), (Ints{0, 0, 2, 0, 0, 0}));
  batch.document_bounds = {0, 3, 4, 5, 6};
  EXPECT_EQ(ints(to_model_input(batch).begin_T), (Ints{0, 0, 0, 0, 1, 2}));
  batch.document_bounds = {0, 1, 3, 5, 6};
  EXPECT_EQ(ints(to_model_input(batch).begin_T), (Ints{0, 1, 1, 0, 0, 2}));
}

TEST_F(ModelInputTest, RowsWithoutASampleAreMaskedAndNoMaskIsMadeWithoutThem) {
  data::Batch batch = two_rows_of_three();
  EXPECT_FALSE(to_model_input(batch).mask_T.defined());
  batch.sample_ids = {0, 11};
  EXPECT_FALSE(to_model_input(batch).mask_T.defined()) << "0 is a sample";
  const auto mask = [&](std::vector<std::int64_t> samples) {
    batch.sample_ids = std::move(samples);
    const auto span = to_model_input(batch).mask_T.span<std::uint8_t>();
    return std::vector<int>(span.begin(), span.end());
  };
  EXPECT_EQ(mask({10, -1}), (std::vector<int>{1, 1, 1, 0, 0, 0}));
  EXPECT_EQ(mask({-1, 0}), (std::vector<int>{0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(mask({-1, -1}), (std::vector<int>{0, 0, 0, 0, 0, 0}));
}

TEST_F(ModelInputTest, NoRowsAreNoTokens) {
  data::Batch batch = data::make_batch(0, 3);
  batch.document_bounds = {0};
  const ModelInput input = to_model_input(batch);
  EXPECT_EQ(input.batch, 0);
  EXPECT_EQ(input.token_T.numel(), 0);
  EXPECT_EQ(input.begin_T.numel(), 0);
}

}  // namespace
}  // namespace moe::train
