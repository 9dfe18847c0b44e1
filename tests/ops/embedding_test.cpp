#include "ops/embedding.h"

#include "autograd/gradcheck.h"
#include "autograd/tape.h"
#include "support/context_test.h"
#include "support/expect_close.h"

namespace moe {
namespace {

using testing::ids;
using testing::random_leaf;

class EmbeddingOp : public testing::ContextTest {};

TEST_F(EmbeddingOp, BackwardIsTheDerivative) {
  const auto table = random_leaf("table", {5, 3});
  Leaf* leaves[] = {table.get()};
  const Tensor token = ids({4, 1, 4, 0}, {4});
  EXPECT_EQ("", gradcheck([&](std::span<const Variable>) {
              return std::vector{ops::embedding(token, *table)};
            }, {}, leaves));
}

TEST_F(EmbeddingOp, ThePaddingRowGetsNoGradient) {
  const auto table = random_leaf("table", {3, 2}, DType::F32);
  Tape tape;
  Variable y;
  {
    const TapeScope scope(&tape);
    y = ops::embedding(ids({1, 2, 1}, {3}), *table, 1);
  }
  const Tensor seed;
  tape.backward({&y, 1}, {&seed, 1});
  EXPECT_EQ(table->gradient().to_vector(), (std::vector<double>{0, 0, 0, 0, 1, 1}));
}

TEST_F(EmbeddingOp, LookUpCopiesRows) {
  const auto table = random_leaf("table", {5, 3}, DType::BF16);
  const Tensor y = ops::embedding(ids({3}, {1}), *table).value();
  EXPECT_TRUE(testing::same_bits(y, table->value().narrow(3, 1)));
}

}  // namespace
}  // namespace moe
