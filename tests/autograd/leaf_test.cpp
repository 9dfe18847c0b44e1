#include "autograd/leaf.h"

#include <limits>

#include "autograd/tape.h"
#include "base/error.h"
#include "ops/arithmetic.h"
#include "support/context_test.h"
#include "support/expect_close.h"
#include "support/tied_model.h"

namespace moe {
namespace {

using testing::random_leaf;
using testing::random_tensor;
using testing::same_bits;
using testing::TiedModel;

class LeafTest : public testing::ContextTest {};

/// A window inside a longer buffer, as a reducer's bucket gives it; all of it is garbage at first.
struct Window {
  explicit Window(Leaf& leaf) {
    const DType dtype = leaf.value().dtype() == DType::F64 ? DType::F64 : DType::F32;
    buffer =
        Tensor::full({leaf.value().numel() + 32}, dtype, std::numeric_limits<double>::quiet_NaN());
    leaf.set_gradient(buffer.window(16, leaf.value().shape()));
  }
  Tensor buffer;
};

TEST_F(LeafTest, TheFirstWriteNeverReadsWhatWasThere) {
  for (const DType dtype : {DType::F32, DType::BF16, DType::F64}) {
    TiedModel model(dtype);
    const Tensor clean = model.backward(0).clone();
    const Window window(*model.table);
    model.table->clear_written();
    EXPECT_TRUE(same_bits(model.backward(0), clean)) << to_string(dtype);
    EXPECT_TRUE(std::isnan(window.buffer.to_vector()[15])) << "written outside the window";
    EXPECT_TRUE(std::isnan(window.buffer.to_vector().back())) << "written outside the window";
  }
}

TEST_F(LeafTest, GradientsOfMicroBatchesAddUp) {
  for (const DType dtype : {DType::F32, DType::BF16, DType::F64}) {
    TiedModel model(dtype);
    std::vector<double> sum(static_cast<std::size_t>(model.table->value().numel()), 0.0);
    for (int m = 0; m < 4; ++m) {
      model.table->clear_written();
      const std::vector<double> one = model.backward(m).to_vector();
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += one[i];
    }
    model.table->clear_written();
    for (int m = 0; m < 4; ++m) model.backward(m);
    const Tensor expected = Tensor::from(sum, model.table->value().shape(), DType::F64);
    const DType exact = dtype == DType::F64 ? DType::F64 : DType::F32;
    EXPECT_TRUE(testing::close_to(model.table->gradient(), expected, exact, 4)) << to_string(dtype);
  }
}

TEST_F(LeafTest, TheHookFiresOnceAfterTheLastWrite) {
  for (const DType dtype : {DType::F32, DType::BF16}) {
    TiedModel model(dtype);
    int fired = 0;
    Tensor seen;
    model.table->set_ready_hook([&](Leaf& leaf) {
      ++fired;
      seen = leaf.gradient().clone();
    });
    for (int pass = 1; pass <= 3; ++pass) {
      model.backward(pass);
      EXPECT_EQ(fired, pass);
      EXPECT_EQ(model.table->pending_uses(), 0);
      EXPECT_TRUE(same_bits(seen, model.table->gradient()))
          << "the hook came before the last write";
    }
  }
}

TEST_F(LeafTest, ATapeDroppedWithoutBackwardFiresNoHook) {
  TiedModel model(DType::F32);
  int fired = 0;
  model.table->set_ready_hook([&](Leaf&) { ++fired; });
  {
    Tape tape;
    const TapeScope scope(&tape);
    model.forward(0);
    EXPECT_EQ(model.table->pending_uses(), 2);
  }
  EXPECT_EQ(fired, 0);
  EXPECT_EQ(model.table->pending_uses(), 0);
}

TEST_F(LeafTest, AFrozenLeafHasNoUseAndNoGradient) {
  TiedModel model(DType::F32);
  int fired = 0;
  model.table->set_ready_hook([&](Leaf&) { ++fired; });
  model.table->set_trainable(false);
  model.backward(0);
  EXPECT_EQ(fired, 0);
  EXPECT_FALSE(model.table->written());
  EXPECT_TRUE(model.middle->written());
}

TEST_F(LeafTest, WithoutUseTheGradientIsExactlyZero) {
  const auto leaf = random_leaf("unused", {3, 5}, DType::BF16);
  const Window window(*leaf);
  leaf->zero_unless_written();
  EXPECT_EQ(leaf->gradient().to_vector(), std::vector<double>(15, 0.0));
  EXPECT_TRUE(leaf->written());
  leaf->gradient().fill(2.0);
  leaf->zero_unless_written();
  EXPECT_EQ(leaf->gradient().to_vector(), std::vector<double>(15, 2.0)) << "written: stays";
}

TEST_F(LeafTest, RefusesAWindowOfAnotherSizeOrType) {
  const auto leaf = random_leaf("w", {3, 5}, DType::BF16);
  EXPECT_THROW(leaf->set_gradient(Tensor::zeros({14}, DType::F32)), InternalError);
  EXPECT_THROW(leaf->set_gradient(Tensor::zeros({15}, DType::BF16)), InternalError);
  const auto precise = random_leaf("w", {3, 5}, DType::F64);
  EXPECT_THROW(precise->set_gradient(Tensor::zeros({15}, DType::F32)), InternalError);
}

TEST_F(LeafTest, AnEmptyLeafIsFine) {
  const auto leaf = random_leaf("none", {0, 4}, DType::F32);
  leaf->zero_unless_written();
  EXPECT_EQ(leaf->gradient().numel(), 0);
}

}  // namespace
}  // namespace moe
