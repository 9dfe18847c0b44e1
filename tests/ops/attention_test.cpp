#include "ops/attention.h"

#include "autograd/gradcheck.h"
#include "base/error.h"
#include "support/context_test.h"

namespace moe {
namespace {

using testing::ids;
using testing::random_tensor;

class AttentionOp : public testing::ContextTest {};

TEST_F(AttentionOp, BackwardIsTheDerivative) {
  struct Row {
    std::int64_t heads, groups, batch;
    std::vector<std::int32_t> begin, end;
  };
  const Row rows[] = {
      {2, 2, 1, {0, 0, 0, 0}, {1, 2, 3, 4}},  // causal
      {4, 2, 1, {0, 0, 2, 2}, {1, 2, 3, 4}},  // two documents, grouped queries
      {2, 1, 2, {0, 0, 0, 1}, {1, 2, 1, 2}},  // two sequences, a window in the second
  };
  for (const Row& row : rows) {
    const ops::AttentionRange range{ids(row.begin, {4}), ids(row.end, {4}), row.batch};
    const Tensor inputs[] = {random_tensor("q", {4, row.heads, 3}),
                             random_tensor("k", {4, row.groups, 3}),
                             random_tensor("v", {4, row.groups, 3})};
    EXPECT_EQ("", gradcheck(
                      [&](std::span<const Variable> in) {
                        return std::vector{ops::attention(in[0], in[1], in[2], range, 0.7)};
                      },
                      inputs));
  }
}

TEST_F(AttentionOp, RefusesHeadsThatDoNotShareEvenly) {
  const ops::AttentionRange range{ids({0}, {1}), ids({1}, {1}), 1};
  EXPECT_THROW(ops::attention(Variable(random_tensor("q", {1, 3, 4})),
                              Variable(random_tensor("k", {1, 2, 4})),
                              Variable(random_tensor("v", {1, 2, 4})), range, 1.0),
               ShapeError);
}

}  // namespace
}  // namespace moe
