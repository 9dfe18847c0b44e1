#include "autograd/tape.h"

#include "ops/arithmetic.h"
#include "support/context_test.h"
#include "support/expect_close.h"
#include "support/tied_model.h"

namespace moe {
namespace {

using testing::random_leaf;
using testing::random_tensor;
using testing::Recomputed;
using testing::same_bits;
using testing::TiedModel;

class TapeTest : public testing::ContextTest {};

/// y = factor * x, counting its runs and noting its backwards.
struct Probe {
  Variable operator()(const Variable& x, double factor) {
    ++runs;
    Tensor y = x.value().clone();
    for (double& value : y.span<double>()) value *= factor;
    if (!needs_record({&x})) return Variable(y);
    return Tape::current()->record_one("probe", y,
                                       [this, factor, slot = x.slot()](const Tensor& dy) {
                                         order.push_back(factor);
                                         Tensor dx = dy.clone();
                                         for (double& value : dx.span<double>()) value *= factor;
                                         if (slot) slot->accumulate(std::move(dx));
                                       });
  }
  int runs = 0;
  std::vector<double> order;
};

Variable scalar_input(double value) {
  return Variable::input(Tensor::full({1}, DType::F64, value));
}

TEST_F(TapeTest, WithoutATapeNothingIsRecorded) {
  Probe probe;
  const Variable x = scalar_input(3.0);
  EXPECT_EQ(Tape::current(), nullptr);
  EXPECT_FALSE(probe(x, 2.0).requires_gradient());
}

TEST_F(TapeTest, PlaysInStrictReverseOrderAndOnlyWhatIsWanted) {
  Probe probe;
  const Variable x = scalar_input(3.0);
  Tape tape;
  Variable y;
  {
    const TapeScope scope(&tape);
    y = probe(x, 2.0);
    probe(y, 7.0);  // nobody wants it
    y = probe(y, 5.0);
  }
  EXPECT_EQ(tape.size(), 3U);
  tape.backward(y);
  EXPECT_EQ(probe.order, (std::vector<double>{5.0, 2.0}));
  EXPECT_EQ(x.gradient().item(), 10.0);
  EXPECT_EQ(tape.size(), 0U);
}

/// z = (x + w) + x: one gradient tensor reaches x twice and w once, and w's must stay as it was.
TEST_F(TapeTest, SummingGradientsChangesNoneThatOthersHold) {
  const Variable x = scalar_input(3.0);
  const Variable w = scalar_input(5.0);
  for (const bool swapped : {false, true}) {
    const Variable a = Variable::input(x.value());
    const Variable b = Variable::input(w.value());
    const Tensor seed = Tensor::full({1}, DType::F64, 7.0);
    Tape tape;
    Variable z;
    {
      const TapeScope scope(&tape);
      z = swapped ? ops::add(a, ops::add(b, a)) : ops::add(ops::add(a, b), a);
    }
    tape.backward({&z, 1}, {&seed, 1});
    EXPECT_EQ(a.gradient().item(), 14.0);
    EXPECT_EQ(b.gradient().item(), 7.0);
    EXPECT_EQ(seed.item(), 7.0) << "the caller's own";
  }
}

TEST_F(TapeTest, ATensorUsedTwiceGathersBothGradients) {
  Probe probe;
  const Variable x = scalar_input(3.0);
  Tape tape;
  Variable y;
  {
    const TapeScope scope(&tape);
    const Variable twice = ops::add(x, x);  // one gradient storage given to both inputs
    y = ops::add(twice, probe(twice, 4.0));
  }
  tape.backward(y);
  EXPECT_EQ(x.gradient().item(), 10.0);
}

TEST_F(TapeTest, SeveralTapesMayLive) {
  Probe probe;
  const Variable x = scalar_input(1.0);
  Tape first;
  Tape second;
  Variable a;
  Variable b;
  {
    const TapeScope outer(&first);
    a = probe(x, 2.0);
    {
      const TapeScope inner(&second);
      b = probe(x, 3.0);
    }
    EXPECT_EQ(Tape::current(), &first);
  }
  second.backward(b);
  EXPECT_EQ(x.gradient().item(), 3.0);
  first.backward(a);
  EXPECT_EQ(x.gradient().item(), 5.0);
}

TEST_F(TapeTest, RecomputeChangesNoBitAndFiresHooksOnce) {
  for (const DType dtype : {DType::F32, DType::BF16, DType::F64}) {
    TiedModel plain(dtype);
    plain.backward(0);
    for (const Recomputed what : {Recomputed::Middle, Recomputed::MiddleAndHead}) {
      TiedModel model(dtype);
      int table_fired = 0;
      int middle_fired = 0;
      Tensor seen;
      model.table->set_ready_hook([&](Leaf& leaf) {
        ++table_fired;
        seen = leaf.gradient().clone();
      });
      model.middle->set_ready_hook([&](Leaf&) { ++middle_fired; });
      model.backward(0, what);
      EXPECT_EQ(table_fired, 1);
      EXPECT_EQ(middle_fired, 1);
      EXPECT_TRUE(same_bits(model.table->gradient(), plain.table->gradient())) << to_string(dtype);
      EXPECT_TRUE(same_bits(model.middle->gradient(), plain.middle->gradient()))
          << to_string(dtype);
      EXPECT_TRUE(same_bits(seen, model.table->gradient())) << "the hook came too early";
      EXPECT_EQ(model.table->pending_uses(), 0);
    }
  }
}

TEST_F(TapeTest, RecomputeInsideRecomputeRunsAndFiresOnce) {
  Probe probe;
  const auto weight = random_leaf("w", {1, 1});
  int fired = 0;
  weight->set_ready_hook([&](Leaf&) { ++fired; });
  const Segment inner = [&](std::span<const Variable> x) {
    return std::vector{ops::linear(probe(x[0], 3.0), *weight)};
  };
  const Segment outer = [&](std::span<const Variable> x) { return moe::recompute(inner, x); };
  const Variable x = Variable::input(Tensor::full({1, 1}, DType::F64, 2.0));
  Tape tape;
  Variable y;
  {
    const TapeScope scope(&tape);
    y = moe::recompute(outer, {&x, 1})[0];
  }
  EXPECT_EQ(tape.size(), 1U) << "activations inside were kept";
  const Tensor one = Tensor::full({1, 1}, DType::F64, 1.0);
  tape.backward({&y, 1}, {&one, 1});
  EXPECT_EQ(fired, 1);
  EXPECT_EQ(x.gradient().item(), 3.0 * weight->value().item());
  EXPECT_EQ(weight->gradient().item(), 6.0);
}

TEST_F(TapeTest, TheSecondRunKnowsThatItIsOne) {
  std::vector<bool> recomputing;
  Probe probe;
  const Segment segment = [&](std::span<const Variable> x) {
    recomputing.push_back(Tape::recomputing());
    return std::vector{probe(x[0], 2.0)};
  };
  const Variable x = scalar_input(1.0);
  Tape tape;
  Variable y;
  {
    const TapeScope scope(&tape);
    y = moe::recompute(segment, {&x, 1})[0];
  }
  tape.backward(y);
  EXPECT_EQ(recomputing, (std::vector<bool>{false, true}));
  moe::recompute(segment, {&x, 1});
  EXPECT_EQ(probe.runs, 3) << "without a tape a segment runs once";
}

TEST_F(TapeTest, OutputsOfASegmentWithoutGradientAreFine) {
  Probe probe;
  const Segment segment = [&](std::span<const Variable> x) {
    return std::vector{probe(x[0], 2.0), probe(x[0], 3.0)};
  };
  const Variable x = scalar_input(1.0);
  Tape tape;
  std::vector<Variable> y;
  {
    const TapeScope scope(&tape);
    y = moe::recompute(segment, {&x, 1});
  }
  tape.backward(y[1]);
  EXPECT_EQ(x.gradient().item(), 3.0);
}

}  // namespace
}  // namespace moe
