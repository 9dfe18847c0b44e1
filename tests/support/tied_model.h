/// The smallest model with a tied weight: a table used as embedding and as head, and a layer
/// between.
#pragma once

#include <memory>

#include "autograd/tape.h"
#include "base/format.h"
#include "ops/embedding.h"
#include "ops/linear.h"
#include "ops/linear_cross_entropy.h"
#include "support/context_test.h"

namespace moe::testing {

/// What runs again in backward.
enum class Recomputed { Nothing, Middle, MiddleAndHead };

struct TiedModel {
  static constexpr std::int64_t kTokens = 12;
  static constexpr std::int64_t kVocab = 9;
  static constexpr std::int64_t kWidth = 5;

  explicit TiedModel(DType dtype)
      : table(random_leaf("table", {kVocab, kWidth}, dtype)),
        middle(random_leaf("middle", {kWidth, kWidth}, dtype)) {}

  /// The loss of batch `m`; recorded on the current tape.
  Variable forward(int m, Recomputed recomputed = Recomputed::Nothing) {
    const Tensor token = random_ids(format("token{}", m), kTokens, kVocab);
    const Tensor target = random_ids(format("target{}", m), kTokens, kVocab);
    const Segment head = [this, target](std::span<const Variable> x) {
      return std::vector{ops::linear_cross_entropy(x[0], *table, target, 0.25).loss};
    };
    const Segment hidden = [this](std::span<const Variable> x) {
      return std::vector{ops::linear(x[0], *middle)};
    };
    const Segment both = [=](std::span<const Variable> x) { return head(hidden(x)); };
    const Variable x = ops::embedding(token, *table);
    switch (recomputed) {
      case Recomputed::Nothing:
        return both({&x, 1})[0];
      case Recomputed::Middle:
        return head(moe::recompute(hidden, {&x, 1}))[0];
      case Recomputed::MiddleAndHead:
        return moe::recompute(both, {&x, 1})[0];
    }
    return {};
  }

  /// Runs batch `m` forward and backward; the table's gradient window.
  const Tensor& backward(int m, Recomputed recomputed = Recomputed::Nothing) {
    Tape tape;
    Variable loss;
    {
      const TapeScope scope(&tape);
      loss = forward(m, recomputed);
    }
    tape.backward(loss);
    return table->gradient();
  }

  std::unique_ptr<Leaf> table;
  std::unique_ptr<Leaf> middle;
};

}  // namespace moe::testing
