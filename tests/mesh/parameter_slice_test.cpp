// One arithmetic, Placement -> Slice, behind the reduction group, the optimizer's slice, the norm's
// owner and the checkpoint's record.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/format.h"
#include "mesh/factorings.h"
#include "mesh/mesh_layout.h"
#include "mesh/process_mesh.h"
#include "support/thread_ranks.h"
#include "tensor/tensor.h"

namespace moe {
namespace {

using mesh::MeshLayout;
using mesh::Purpose;
using ::testing::ElementsAre;

const Placement kExpertMatrix = Placement().split(0, Role::Expert).split(2, Role::Hidden);

// How often each element of the tensor is covered by the slices `of(rank)` of the ranks that
// `counts`.
template <class Counts, class Of>
std::vector<int> coverage(const MeshLayout& layout, const Shape& global, int stage, Counts&& counts,
                          Of&& of) {
  std::vector<int> covered(static_cast<std::size_t>(global.numel()), 0);
  const int first = stage * layout.stage_ranks();
  for (int rank = first; rank < first + layout.stage_ranks(); ++rank) {
    if (!counts(rank)) continue;
    for_each_run(of(rank), [&](std::int64_t at, std::int64_t, std::int64_t count) {
      for (std::int64_t i = at; i < at + count; ++i) ++covered[static_cast<std::size_t>(i)];
    });
  }
  return covered;
}

void expect_each_element_owned_once(const MeshLayout& layout, const Shape& global,
                                    const Placement& placement) {
  for (int stage = 0; stage < layout.degrees().pipeline; ++stage) {
    const std::vector<int> covered = coverage(
        layout, global, stage, [&](int rank) { return layout.owns(placement, rank); },
        [&](int rank) { return layout.optimizer_slice("w", global, placement, rank); });
    ASSERT_EQ(std::count(covered.begin(), covered.end(), 1), global.numel());
  }
}

void expect_slices_tile_over_sum_grad(const MeshLayout& layout, const Shape& global,
                                      const Placement& placement) {
  const int copies = static_cast<int>(layout.holders(placement, 0).size());
  const std::vector<int> covered = coverage(
      layout, global, 0, [](int) { return true; },
      [&](int rank) { return layout.slice("w", global, placement, rank); });
  ASSERT_EQ(std::count(covered.begin(), covered.end(), copies), global.numel());
  for (int rank = 0; rank < layout.stage_ranks(); ++rank) {
    const Slice mine = layout.slice("w", global, placement, rank);
    for (const int other : layout.ranks(layout.sum_grad(placement), rank)) {
      ASSERT_EQ(layout.slice("w", global, placement, other), mine);
    }
  }
}

class EveryFactoringOf : public ::testing::TestWithParam<int> {};

TEST_P(EveryFactoringOf, SlicesTileTheTensorAndEachElementHasOneOwner) {
  testing::for_each_layout(GetParam(), [](const MeshLayout& layout) {
    const mesh::Degrees& d = layout.degrees();
    SCOPED_TRACE(to_string(layout));
    // Odd remainders, so that the last shards are short or empty.
    const Shape matrix{2 * d.expert, 2, 3 * d.expert_tensor, 1};
    const Shape heads{d.tensor, 5};
    const Shape norm{3};
    for (const auto& [shape, placement] :
         {std::pair{matrix, kExpertMatrix}, std::pair{heads, Placement().split(0, Role::Heads)},
          std::pair{norm, Placement::replicated()},
          std::pair{Shape{d.expert, 3}, Placement().split(0, Role::Expert)}}) {
      expect_each_element_owned_once(layout, shape, placement);
      expect_slices_tile_over_sum_grad(layout, shape, placement);
    }
  });
}

INSTANTIATE_TEST_SUITE_P(World, EveryFactoringOf, ::testing::Values(1, 2, 3, 4, 6, 8, 12, 16),
                         ::testing::PrintToStringParamName());

// ---- the seam, by hand: [E, 2, F, D] for tensor 2 x expert 2 x shard 2

// Eight ranks: expert_tensor = rank % 2, expert = rank / 2 % 2, copy of the expert = rank / 4.
MeshLayout seam_layout() {
  return MeshLayout({.data_shard = 4, .tensor = 2, .expert = 2, .expert_tensor = 2}, 8);
}
const Shape kSeamShape{4, 2, 6, 3};

TEST(PlacementToSlice, ReductionGroupHoldsTheSameSlice) {
  const MeshLayout layout = seam_layout();
  EXPECT_EQ(layout.sum_grad(kExpertMatrix), Purpose::SumExpertGrad);
  for (int rank = 0; rank < 8; ++rank) {
    EXPECT_THAT(layout.ranks(Purpose::SumExpertGrad, rank), ElementsAre(rank % 4, rank % 4 + 4));
    EXPECT_THAT(layout.holders(kExpertMatrix, rank), ElementsAre(rank % 4, rank % 4 + 4));
    const Slice slice = layout.slice("experts", kSeamShape, kExpertMatrix, rank);
    EXPECT_EQ(slice.size, (Shape{2, 2, 3, 3}));
    EXPECT_EQ(slice.begin[0], rank / 2 % 2 * 2);
    EXPECT_EQ(slice.begin[1], 0);
    EXPECT_EQ(slice.begin[2], rank % 2 * 3);
    EXPECT_EQ(slice.begin[3], 0);
    EXPECT_TRUE(slice.covers_box());
  }
}

TEST(PlacementToSlice, OptimizerSliceIsThisRanksHalfOfTheBox) {
  const MeshLayout layout = seam_layout();
  for (int rank = 0; rank < 8; ++rank) {
    const Slice whole_box = layout.slice("experts", kSeamShape, kExpertMatrix, rank);
    const Slice mine = layout.optimizer_slice("experts", kSeamShape, kExpertMatrix, rank);
    EXPECT_EQ(mine.begin, whole_box.begin);
    EXPECT_EQ(mine.size, whole_box.size);
    EXPECT_EQ(mine.flat_begin, rank < 4 ? 0 : 18);
    EXPECT_EQ(mine.flat_end, rank < 4 ? 18 : 36);
  }
}

TEST(PlacementToSlice, CheckpointRecordsTileTheTensorExactlyOnce) {
  expect_each_element_owned_once(seam_layout(), kSeamShape, kExpertMatrix);
  // Two replicas of everything: the second owns nothing, and the tensor is still covered once.
  const MeshLayout twice(
      {.data_replicate = 2, .data_shard = 4, .tensor = 2, .expert = 2, .expert_tensor = 2}, 16);
  expect_each_element_owned_once(twice, kSeamShape, kExpertMatrix);
  for (int rank = 0; rank < 16; ++rank) EXPECT_EQ(twice.owns(kExpertMatrix, rank), rank < 8);
}

// Gradient of element `at` as the tokens of one copy of the experts give it; small integers add
// exactly.
float gradient_from(int copy, std::int64_t at) {
  return static_cast<float>((at * 7 + copy * 5) % 11 - 4);
}

TEST(PlacementToSlice, GradientNormOfThreadRanksIsTheSerialOne) {
  double expected = 0;
  for (std::int64_t at = 0; at < kSeamShape.numel(); ++at) {
    const double sum = gradient_from(0, at) + gradient_from(1, at);
    expected += sum * sum;
  }
  testing::run_ranks(8, [&](comm::Group& world) {
    const mesh::ProcessMesh ranks(seam_layout(), world);
    const MeshLayout& layout = ranks.layout();
    const Slice box = layout.slice("experts", kSeamShape, kExpertMatrix, world.rank());
    const Tensor gradient =
        Tensor::empty(Shape{box.numel()}, DType::F32, MemoryCategory::Gradients);
    const int copy = layout.coordinates(world.rank()).expert_data;
    for_each_run(box, [&](std::int64_t at, std::int64_t in_box, std::int64_t count) {
      for (std::int64_t i = 0; i < count; ++i) {
        gradient.span<float>()[static_cast<std::size_t>(in_box + i)] = gradient_from(copy, at + i);
      }
    });
    ranks.sum_grad_group(kExpertMatrix).all_reduce_sum(gradient.view()).wait();
    const Slice mine = layout.optimizer_slice("experts", kSeamShape, kExpertMatrix, world.rank());
    double squares = 0;
    for (std::int64_t i = mine.flat_begin; i < mine.flat_end; ++i) {
      const double value = gradient.span<float>()[static_cast<std::size_t>(i)];
      squares += layout.owns(kExpertMatrix, world.rank()) ? value * value : 0.0;
    }
    const Tensor norm = Tensor::full(Shape{1}, DType::F64, squares);
    ranks.group(Purpose::SumGradNorm).all_reduce_sum(norm.view()).wait();
    EXPECT_EQ(norm.item(), expected);
  });
}

TEST(PlacementToSlice, RefusesExpertsThatDoNotDivide) {
  const MeshLayout layout = seam_layout();
  EXPECT_THROW((void)layout.slice("experts", Shape{3, 2, 6, 3}, kExpertMatrix, 0), ConfigError);
}

}  // namespace
}  // namespace moe
