#include "ops/activated_linear.h"

#include <functional>
#include <optional>

#include "autograd/gradcheck.h"
#include "autograd/tape.h"
#include "base/error.h"
#include "base/format.h"
#include "ops/grouped_linear.h"
#include "ops/linear.h"
#include "support/context_test.h"
#include "support/expect_close.h"

namespace moe {
namespace {

using ops::ActivationKind;
using testing::ids;
using testing::random_leaf;
using testing::random_tensor;
using testing::same_bits;

class ActivatedLinearOp : public testing::ContextTest {};

const ActivationKind kKinds[] = {ActivationKind::Silu, ActivationKind::GeluErf,
                                 ActivationKind::GeluTanh, ActivationKind::Relu2};

TEST_F(ActivatedLinearOp, BackwardIsTheDerivative) {
  const auto dense = random_leaf("dense", {4, 3});
  const auto stack = random_leaf("stack", {3, 4, 3});
  const Tensor offset = ids({0, 2, 2, 3}, {4});  // the middle group is empty
  for (const ActivationKind kind : kKinds) {
    for (const bool gated : {true, false}) {
      const Tensor inputs[] = {random_tensor("x", {3, gated ? 6 : 3}, DType::F64, 2.0),
                               random_tensor("weight", {3})};
      for (const std::size_t count : {1U, 2U}) {
        const auto input = [&](std::span<const Variable> in) {
          return ops::Activated{in[0], count == 2 ? in[1] : Variable(), kind, gated};
        };
        Leaf* dense_leaf[] = {dense.get()};
        EXPECT_EQ("", gradcheck(
                          [&](std::span<const Variable> in) {
                            return std::vector{ops::activated_linear(input(in), *dense)};
                          },
                          {inputs, count}, dense_leaf));
        Leaf* stack_leaf[] = {stack.get()};
        EXPECT_EQ("", gradcheck(
                          [&](std::span<const Variable> in) {
                            return std::vector{
                                ops::activated_grouped_linear(input(in), offset, *stack)};
                          },
                          {inputs, count}, stack_leaf));
      }
    }
  }
}

/// Values and all gradients of one pass; x is formed on the tape, so that nobody else holds it.
struct Pass {
  Tensor y, dx, dweight, dleaf;
};

struct Case {
  DType dtype;
  ActivationKind kind;
  bool gated, weighted, grouped, held;
};

using Projection = std::function<Variable(const ops::Activated&, Leaf&)>;

Pass run(const Case& c, const Projection& projection) {
  constexpr std::int64_t kRows = 37;
  constexpr std::int64_t kColumns = 21;
  const DType wide = DType::F32;
  Leaf leaf("w", random_tensor("w", c.grouped ? Shape{3, 5, kColumns} : Shape{5, kColumns}, c.dtype));
  Leaf identity("i", random_tensor("i", {c.gated ? 2 * kColumns : kColumns, 8}, c.dtype));
  const Variable source = Variable::input(random_tensor("x", {kRows, 8}, c.dtype));
  const Variable weight =
      c.weighted ? Variable::input(random_tensor("weight", {kRows}, wide)) : Variable();
  Tape tape;
  Variable y;
  std::optional<Tensor> held;
  {
    const TapeScope scope(&tape);
    const Variable x = ops::linear(source, identity);
    if (c.held) held = x.value();
    y = projection({x, weight, c.kind, c.gated}, leaf);
  }
  const std::vector<double> before = held ? held->to_vector() : std::vector<double>();
  const Tensor seed = random_tensor("seed", y.shape(), c.dtype);
  tape.backward({&y, 1}, {&seed, 1});
  if (held) {
    EXPECT_EQ(held->to_vector(), before) << "someone else holds it";
  }
  return {y.value(), source.gradient(), weight.gradient(), leaf.gradient()};
}

TEST_F(ActivatedLinearOp, EqualsActivationThenLinearBitForBit) {
  const Tensor offset = ids({0, 20, 20, 37}, {4});
  for (const DType dtype : {DType::F32, DType::BF16}) {
    for (const ActivationKind kind : kKinds) {
      for (int bits = 0; bits < 16; ++bits) {
        const Case c{dtype, kind, (bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0};
        SCOPED_TRACE(format("{}, kind {}, case {}", to_string(dtype), static_cast<int>(kind), bits));
        const Pass fused = run(c, [&](const ops::Activated& input, Leaf& leaf) {
          return c.grouped ? ops::activated_grouped_linear(input, offset, leaf)
                           : ops::activated_linear(input, leaf);
        });
        const Pass plain = run(c, [&](const ops::Activated& input, Leaf& leaf) {
          const Variable hidden = ops::activation(input.x, input.weight, input.kind, input.gated);
          return c.grouped ? ops::grouped_linear(hidden, nullptr, offset, leaf)
                           : ops::linear(hidden, leaf);
        });
        EXPECT_TRUE(same_bits(fused.y, plain.y));
        EXPECT_TRUE(same_bits(fused.dx, plain.dx));
        EXPECT_TRUE(same_bits(fused.dleaf, plain.dleaf));
        if (c.weighted) {
          EXPECT_TRUE(same_bits(fused.dweight, plain.dweight));
        }
      }
    }
  }
}

/// Between forward and backward only x is alive; backward needs two times the activated rows beside it.
TEST_F(ActivatedLinearOp, KeepsNoActivatedRows) {
  constexpr std::int64_t kRows = 64;
  constexpr std::int64_t kColumns = 256;
  const auto weight = random_leaf("w", {8, kColumns}, DType::F32);
  Allocator& allocator = current_context().allocator;
  const auto live = [&] { return allocator.account(MemoryCategory::Activations).bytes; };
  const Tensor source = random_tensor("x", {kRows, 2 * kColumns}, DType::F32);
  const std::int64_t before = live();
  Tape tape;
  Variable y;
  {
    const TapeScope scope(&tape);
    Variable x = ops::activation(Variable::input(source), Variable(), ActivationKind::Relu2, false);
    y = ops::activated_linear({std::move(x), Variable(), ActivationKind::Silu, true}, *weight);
  }
  const std::int64_t hidden = kRows * kColumns * size_of(DType::F32);
  const std::int64_t result = y.value().view().bytes();
  EXPECT_EQ(live() - before, 2 * hidden + result);
  allocator.reset_peaks();
  const Tensor seed;
  tape.backward({&y, 1}, {&seed, 1});
  // The gradient of relu2 needs as much as x while x's own gradient, in x's memory, is there.
  EXPECT_LE(allocator.account(MemoryCategory::Activations).peak_bytes - before,
            4 * hidden + 2 * result);
}

TEST_F(ActivatedLinearOp, RefusesAnOddWidthWhenGatedAndAWrongWidth) {
  const auto weight = random_leaf("w", {4, 3}, DType::F32);
  const auto input = [](std::int64_t columns) {
    return ops::Activated{Variable(random_tensor("x", {2, columns}, DType::F32)), Variable()};
  };
  EXPECT_THROW(ops::activated_linear(input(5), *weight), ShapeError);
  EXPECT_THROW(ops::activated_linear(input(8), *weight), ShapeError);
}

}  // namespace
}  // namespace moe
