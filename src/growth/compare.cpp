#include "growth/compare.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"
#include "base/format.h"
#include "ops/linear.h"

namespace moe::growth {
namespace {

/// Elements of one chunk of logits.
constexpr std::int64_t kChunkElements = std::int64_t{1} << 23;

/// Rows of logits of one model, a chunk at a time.
class LogitReader {
 public:
  explicit LogitReader(const Evaluated& evaluated)
      : states_(evaluated.states), head_("head", evaluated.model.head()) {}

  std::size_t sequences() const { return states_.size(); }
  /// @shape [rows, V] f32 (f64)
  Tensor rows(std::size_t sequence, std::int64_t first, std::int64_t count) {
    const Tensor logits =
        ops::linear(Variable(states_[sequence].narrow(first, count)), head_).value();
    return logits.dtype() == DType::BF16 ? logits.to(DType::F32) : logits;
  }

 private:
  const std::vector<Tensor>& states_;
  Leaf head_;
};

template <class Visit>
void with_floats(const Tensor& tensor, Visit&& visit) {
  if (tensor.dtype() == DType::F64) {
    visit(tensor.view().as<const double>());
  } else {
    visit(tensor.view().as<const float>());
  }
}

template <class T>
double cross_entropy(const T* logits, std::int64_t count, std::int32_t target) {
  const double top = static_cast<double>(*std::max_element(logits, logits + count));
  double sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += std::exp(static_cast<double>(logits[i]) - top);
  return top + std::log(sum) - static_cast<double>(logits[target]);
}

/// Largest magnitude, infinite as soon as something is not finite.
class Largest {
 public:
  void add(double value) {
    const double magnitude = std::abs(value);
    value_ = std::isfinite(magnitude) ? std::max(value_, magnitude)
                                      : std::numeric_limits<double>::infinity();
  }
  double value() const { return value_; }

 private:
  double value_ = 0;
};

struct RowResult {
  double loss_before = 0;
  double loss_after = 0;
  Largest difference;
  Largest logit;
};

void compare_row(const Tensor& before, const Tensor& after, std::int64_t row, std::int32_t target,
                 RowResult& result) {
  const std::int64_t width = before.dim(1);
  with_floats(before, [&](const auto* a) {
    const auto* own = a + row * width;
    if (target >= 0) result.loss_before = cross_entropy(own, width, target);
    for (std::int64_t i = 0; i < width; ++i) result.logit.add(static_cast<double>(own[i]));
    if (!after.defined()) return;
    with_floats(after, [&](const auto* b) {
      const auto* other = b + row * width;
      if (target >= 0) result.loss_after = cross_entropy(other, width, target);
      for (std::int64_t i = 0; i < width; ++i) {
        result.difference.add(static_cast<double>(other[i]) - static_cast<double>(own[i]));
      }
    });
  });
}

/// `after` null: only the loss of `before`.
Comparison run(const Evaluated& before, const Evaluated* after,
               std::span<const std::int32_t> tokens) {
  LogitReader first(before);
  std::unique_ptr<LogitReader> second;
  if (after != nullptr) second = std::make_unique<LogitReader>(*after);
  const auto parts = before.model.sequences(tokens);
  const std::int64_t per_chunk =
      std::max<std::int64_t>(1, kChunkElements / before.model.config().vocab_size);
  Comparison total;
  Largest difference;
  Largest logit;
  std::int64_t targets = 0;
  for (std::size_t s = 0; s < parts.size(); ++s) {
    const auto length = static_cast<std::int64_t>(parts[s].size());
    for (std::int64_t at = 0; at < length; at += per_chunk) {
      const std::int64_t count = std::min(per_chunk, length - at);
      const Tensor a = first.rows(s, at, count);
      const Tensor b = second ? second->rows(s, at, count) : Tensor();
      std::vector<RowResult> rows(static_cast<std::size_t>(count));
      current_context().stream.pool().parallel_for(count, [&](std::int64_t r) {
        const bool last = at + r + 1 == length;
        const std::int32_t target = last ? -1 : parts[s][static_cast<std::size_t>(at + r + 1)];
        compare_row(a, b, r, target, rows[static_cast<std::size_t>(r)]);
      });
      for (const RowResult& row : rows) {
        total.loss_before += row.loss_before;
        total.loss_after += row.loss_after;
        difference.add(row.difference.value());
        logit.add(row.logit.value());
      }
    }
    targets += length - 1;
  }
  const auto divisor = static_cast<double>(std::max<std::int64_t>(targets, 1));
  total.loss_before /= divisor;
  total.loss_after /= divisor;
  total.max_difference = difference.value();
  total.max_logit = logit.value();
  return total;
}

}  // namespace

Evaluated evaluate(BlockwiseModel model, std::span<const std::int32_t> tokens) {
  std::vector<Tensor> states = model.hidden(tokens);
  return {std::move(model), std::move(states)};
}

Comparison compare(const BlockwiseModel& before, const BlockwiseModel& after,
                   std::span<const std::int32_t> tokens) {
  return compare(evaluate(before, tokens), evaluate(after, tokens), tokens);
}

Comparison compare(const Evaluated& first, const Evaluated& second,
                   std::span<const std::int32_t> tokens) {
  const BlockwiseModel& before = first.model;
  const BlockwiseModel& after = second.model;
  if (before.config().vocab_size != after.config().vocab_size ||
      before.config().max_position_embeddings != after.config().max_position_embeddings) {
    throw ConfigError(format("models of {} and {} tokens, {} and {} positions, cannot be compared",
                             before.config().vocab_size, after.config().vocab_size,
                             before.config().max_position_embeddings,
                             after.config().max_position_embeddings));
  }
  return run(first, &second, tokens);
}

double evaluate_loss(const BlockwiseModel& model, std::span<const std::int32_t> tokens) {
  return run(evaluate(model, tokens), nullptr, tokens).loss_before;
}

}  // namespace moe::growth
