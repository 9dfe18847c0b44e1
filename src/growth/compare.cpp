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

/// Elements of one chunk of logits, and of the rows of the head behind it.
constexpr std::int64_t kChunkElements = std::int64_t{1} << 23;

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

/// Cross-entropy of one token, over logits that come a part of the vocabulary at a time.
class TokenLoss {
 public:
  /// Logits of tokens [first, first + count).
  template <class T>
  void add(const T* logits, std::int64_t first, std::int64_t count, std::int32_t target) {
    const double top = std::max(top_, static_cast<double>(*std::max_element(logits, logits + count)));
    double sum = 0;
    for (std::int64_t i = 0; i < count; ++i) sum += std::exp(static_cast<double>(logits[i]) - top);
    sum_ = sum + (sum_ > 0 ? sum_ * std::exp(top_ - top) : 0.0);
    top_ = top;
    if (target >= first && target < first + count) {
      target_ = static_cast<double>(logits[target - first]);
    }
  }
  double value() const { return top_ + std::log(sum_) - target_; }

 private:
  double top_ = -std::numeric_limits<double>::infinity();
  double sum_ = 0;
  double target_ = 0;
};

/// What is known of one token.
struct TokenResult {
  std::int32_t target = -1;  ///< none: the last of its sequence
  TokenLoss before;
  TokenLoss after;
  Largest difference;
  Largest logit;
};

template <class Visit>
void with_floats(const Tensor& tensor, Visit&& visit) {
  if (tensor.dtype() == DType::F64) {
    visit(tensor.view().as<const double>());
  } else {
    visit(tensor.view().as<const float>());
  }
}

/// Tokens [first, first + count) of the vocabulary.
struct VocabularyPart {
  std::int64_t first = 0;
  std::int64_t count = 0;
};

Tensor head_rows(const BlockwiseModel& model, const VocabularyPart& part) {
  const ModelConfig& config = model.config();
  Slice slice = whole({config.vocab_size, config.hidden_size});
  slice.begin[0] = part.first;
  slice.size.set(0, part.count);
  slice.flat_end = part.count * config.hidden_size;
  Tensor rows = Tensor::empty(slice.size, model.compute_dtype());
  model.weights().read(config.tie_word_embeddings ? "embedding.weight" : "head.weight", slice, rows.view());
  return rows;
}

/// @shape [S, count] f32 (f64)
Tensor logits_of(const Tensor& states_SD, Leaf& head) {
  const Tensor logits = ops::linear(Variable(states_SD), head).value();
  return logits.dtype() == DType::BF16 ? logits.to(DType::F32) : logits;
}

void add_row(const Tensor& before, const Tensor& after, std::int64_t row, const VocabularyPart& part,
             TokenResult& result) {
  with_floats(before, [&](const auto* a) {
    const auto* own = a + row * part.count;
    if (result.target >= 0) result.before.add(own, part.first, part.count, result.target);
    for (std::int64_t i = 0; i < part.count; ++i) result.logit.add(static_cast<double>(own[i]));
    if (!after.defined()) return;
    with_floats(after, [&](const auto* b) {
      const auto* other = b + row * part.count;
      if (result.target >= 0) result.after.add(other, part.first, part.count, result.target);
      for (std::int64_t i = 0; i < part.count; ++i) {
        result.difference.add(static_cast<double>(other[i]) - static_cast<double>(own[i]));
      }
    });
  });
}

using SequenceResults = std::vector<std::vector<TokenResult>>;

SequenceResults with_targets(const BlockwiseModel& model, std::span<const std::int32_t> tokens) {
  SequenceResults results;
  for (const auto& sequence : model.sequences(tokens)) {
    std::vector<TokenResult>& row = results.emplace_back(sequence.size());
    for (std::size_t i = 0; i + 1 < sequence.size(); ++i) row[i].target = sequence[i + 1];
  }
  return results;
}

Comparison summed(const SequenceResults& results) {
  Comparison total;
  Largest difference;
  Largest logit;
  std::int64_t targets = 0;
  for (const auto& sequence : results) {
    for (const TokenResult& token : sequence) {
      difference.add(token.difference.value());
      logit.add(token.logit.value());
      if (token.target < 0) continue;
      ++targets;
      total.loss_before += token.before.value();
      total.loss_after += token.after.value();
    }
  }
  const auto divisor = static_cast<double>(std::max<std::int64_t>(targets, 1));
  total.loss_before /= divisor;
  total.loss_after /= divisor;
  total.max_difference = difference.value();
  total.max_logit = logit.value();
  return total;
}

/// Rows of the vocabulary at a time: neither the logits of a chunk nor the head's rows are large.
std::int64_t part_size(const BlockwiseModel& model, std::int64_t longest) {
  const std::int64_t wide = std::max(model.config().hidden_size, longest);
  return std::clamp<std::int64_t>(kChunkElements / std::max<std::int64_t>(wide, 1), 1,
                                  model.config().vocab_size);
}

/// `after` null: only the loss of `before`.
Comparison run(const Evaluated& before, const Evaluated* after,
               std::span<const std::int32_t> tokens) {
  SequenceResults results = with_targets(before.model, tokens);
  const std::int64_t longest = results.empty() ? 0 : static_cast<std::int64_t>(results.front().size());
  std::int64_t size = part_size(before.model, longest);
  if (after != nullptr) size = std::min(size, part_size(after->model, longest));
  const std::int64_t vocabulary = before.model.config().vocab_size;
  for (std::int64_t first = 0; first < vocabulary; first += size) {
    const VocabularyPart part{first, std::min(size, vocabulary - first)};
    Leaf head_before("head", head_rows(before.model, part));
    Leaf head_after("head", after != nullptr ? head_rows(after->model, part) : Tensor());
    for (std::size_t s = 0; s < results.size(); ++s) {
      const Tensor a = logits_of(before.states[s], head_before);
      const Tensor b = after != nullptr ? logits_of(after->states[s], head_after) : Tensor();
      current_context().stream.pool().parallel_for(
          static_cast<std::int64_t>(results[s].size()), [&](std::int64_t row) {
            add_row(a, b, row, part, results[s][static_cast<std::size_t>(row)]);
          });
    }
  }
  return summed(results);
}

}  // namespace

Evaluated evaluate(BlockwiseModel model, std::span<const std::int32_t> tokens) {
  std::vector<Tensor> states = model.hidden(tokens);
  current_context().allocator.trim();  // blocks of one model are of no use to another
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
