#include "kernels/moe/top_k_router.h"

#include "kernels/common/dispatch.h"

namespace moe::kernels::MOE_ISA {
namespace {

/// probability = softmax(logits); returns logsumexp.
template <class C>
MOE_INLINE C softmax_row(const C* logits, C* probability, std::int64_t experts) {
  const Vec<C> lowest = broadcast(-static_cast<C>(__builtin_inf()));
  Vec<C> top = lowest;
  for_vectors<C>(experts, [&](std::int64_t i, auto lanes) {
    top = max(keep(load(logits + i, lanes), lowest, lanes), top);
  });
  const C most = reduce_max(top);
  const C total = reduce_add(sum_vectors<C>(experts, [=](std::int64_t i, auto lanes) {
    const Vec<C> e = exp(load(logits + i, lanes) - broadcast(most));
    store(probability + i, e, lanes);
    return keep(e, zero<C>(), lanes);
  }));
  const Vec<C> scale = broadcast(C(1) / total);
  for_vectors<C>(experts, [=](std::int64_t i, auto lanes) {
    store(probability + i, load(probability + i, lanes) * scale, lanes);
  });
  return most + log(total);
}

template <class C>
struct Choice {
  C value;
  C id;  // a small integer
};

/// The largest (value, then lowest id) that comes after `previous` in that order; value < 0: none
/// does (NaNs).
template <class C>
MOE_INLINE Choice<C> next_choice(const C* probability, std::int64_t experts, Choice<C> previous) {
  const Vec<C> last = broadcast(previous.value);
  const Vec<C> last_id = broadcast(previous.id);
  Vec<C> best = broadcast(C(-1));
  Vec<C> best_id = zero<C>();
  for_vectors<C>(experts, [&](std::int64_t i, auto lanes) {
    const Vec<C> p = keep(load(probability + i, lanes), broadcast(C(-1)), lanes);
    const Vec<C> id = iota(Type<C>{}) + broadcast(static_cast<C>(i));
    const Mask<C> left = (p < last) | ((p == last) & (last_id < id));
    const Mask<C> better = left & (best < p);
    best = select(better, p, best);
    best_id = select(better, id, best_id);
  });
  const C value = reduce_max(best);
  const Vec<C> far = broadcast(static_cast<C>(experts));
  return {value, reduce_min(select(best == broadcast(value), best_id, far))};
}

template <class C>
MOE_INLINE void choose(const C* probability, std::int64_t experts, std::int64_t choices,
                       std::int32_t* expert, C* weight) {
  Choice<C> choice{static_cast<C>(__builtin_inf()), C(-1)};
  for (std::int64_t k = 0; k < choices; ++k) {
    choice = next_choice(probability, experts, choice);
    // A row of NaNs names experts 0..K-1, so that nothing is indexed out of range before someone
    // notices.
    expert[k] = static_cast<std::int32_t>(choice.value < C(0) ? k : choice.id);
    weight[k] = probability[expert[k]];
  }
}

template <class C>
void route(const Stream& stream, const TopKRouter& args, std::int64_t tokens, std::int64_t experts,
           std::int64_t choices) {
  const C* logits = args.logits.as<const C>();
  C* probability = args.probability.as<C>();
  C* logsumexp = args.logsumexp.as<C>();
  auto* expert = args.expert.as<std::int32_t>();
  C* weight = args.weight.as<C>();
  const bool renormalize = args.renormalize;
  parallel_rows(stream, tokens, experts * choices, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      C* p = probability + t * experts;
      C* w = weight + t * choices;
      logsumexp[t] = softmax_row(logits + t * experts, p, experts);
      choose(p, experts, choices, expert + t * choices, w);
      if (!renormalize) continue;
      C total = C(0);
      for (std::int64_t k = 0; k < choices; ++k) total += w[k];
      for (std::int64_t k = 0; k < choices; ++k) w[k] /= total;
    }
  });
}

/// One token of the backward pass.
template <class C>
struct Token {
  std::int64_t experts;
  std::int64_t choices;
  bool renormalize;
  const C* probability;
  const std::int32_t* expert;
  const C* weight;
  const C* dweight;
  const C* dprobability;  // or null
  C dlogsumexp;

  /// d loss / d probability of choice k = scale * (dweight[k] - shift).
  struct Slope {
    C scale;
    C shift;
  };
  MOE_INLINE Slope slope() const {
    if (!renormalize) return {C(1), C(0)};
    C mass = C(0);
    C share = C(0);
    C shift = C(0);
    for (std::int64_t k = 0; k < choices; ++k) {
      if (expert[k] < 0) continue;
      mass += probability[expert[k]];
      share += weight[k];
      shift += dweight[k] * weight[k];
    }
    if (mass <= C(0)) return {C(0), C(0)};
    return {share / mass, shift};
  }
  MOE_INLINE void write_dlogits(C* out) const {
    // The whole of d loss / d probability first: where the softmax cancels it, it cancels exactly.
    for_vectors<C>(experts, [=, this](std::int64_t i, auto lanes) {
      store(out + i, dprobability != nullptr ? load(dprobability + i, lanes) : zero<C>(), lanes);
    });
    const Slope at = slope();
    for (std::int64_t k = 0; k < choices; ++k) {
      if (expert[k] >= 0) out[expert[k]] += at.scale * (dweight[k] - at.shift);
    }
    const C dot = reduce_add(sum_vectors<C>(experts, [=, this](std::int64_t i, auto lanes) {
      return load(probability + i, lanes) * load(out + i, lanes);
    }));
    const Vec<C> shift = broadcast(dlogsumexp - dot);
    for_vectors<C>(experts, [=, this](std::int64_t i, auto lanes) {
      store(out + i, load(probability + i, lanes) * (load(out + i, lanes) + shift), lanes);
    });
  }
};

template <class C>
void route_backward(const Stream& stream, const TopKRouterBackward& args, std::int64_t tokens,
                    std::int64_t experts, std::int64_t choices) {
  const C* probability = args.probability.as<const C>();
  const auto* expert = args.expert.as<const std::int32_t>();
  const C* weight = args.weight.as<const C>();
  const C* dweight = args.dweight.as<const C>();
  const C* dprobability = args.dprobability ? args.dprobability.as<const C>() : nullptr;
  const C* dlogsumexp = args.dlogsumexp ? args.dlogsumexp.as<const C>() : nullptr;
  C* dlogits = args.dlogits.as<C>();
  const bool renormalize = args.renormalize;
  parallel_rows(stream, tokens, experts, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      const Token<C> token{experts,
                           choices,
                           renormalize,
                           probability + t * experts,
                           expert + t * choices,
                           weight + t * choices,
                           dweight + t * choices,
                           dprobability != nullptr ? dprobability + t * experts : nullptr,
                           dlogsumexp != nullptr ? dlogsumexp[t] : C(0)};
      token.write_dlogits(dlogits + t * experts);
    }
  });
}

/// Checks [tokens, columns] of one dtype.
void expect_matrix(const char* kernel, const char* name, const View& view, DType dtype,
                   std::int64_t tokens, std::int64_t columns) {
  expect_dtype(kernel, name, view, dtype);
  expect_rows(kernel, name, view, tokens, columns);
  flat(kernel, name, view);
}

}  // namespace

void top_k_router(Stream& stream, const TopKRouter& args) {
  const char* kernel = "top_k_router";
  const RowLayout layout = rows_of(kernel, "logits", args.logits);
  const std::int64_t choices = rows_of(kernel, "expert", args.expert).columns;
  flat(kernel, "logits", args.logits);
  const DType dtype = args.logits.dtype;
  expect_matrix(kernel, "probability", args.probability, dtype, layout.rows, layout.columns);
  expect_matrix(kernel, "expert", args.expert, DType::I32, layout.rows, choices);
  expect_matrix(kernel, "weight", args.weight, dtype, layout.rows, choices);
  expect_dtype(kernel, "logsumexp", args.logsumexp, dtype);
  expect_flat(kernel, "logsumexp", args.logsumexp, layout.rows);
  if (choices > layout.columns) throw_shape(kernel, "expert [T, K] with K <= E", args.expert);
  with_compute_type(kernel, "logits", dtype, [&]<class C>(Type<C>) {
    route<C>(stream, args, layout.rows, layout.columns, choices);
  });
}

void top_k_router_backward(Stream& stream, const TopKRouterBackward& args) {
  const char* kernel = "top_k_router_backward";
  const RowLayout layout = rows_of(kernel, "probability", args.probability);
  const std::int64_t choices = rows_of(kernel, "expert", args.expert).columns;
  flat(kernel, "probability", args.probability);
  const DType dtype = args.probability.dtype;
  expect_matrix(kernel, "expert", args.expert, DType::I32, layout.rows, choices);
  expect_matrix(kernel, "weight", args.weight, dtype, layout.rows, choices);
  expect_matrix(kernel, "dweight", args.dweight, dtype, layout.rows, choices);
  expect_matrix(kernel, "dlogits", args.dlogits, dtype, layout.rows, layout.columns);
  if (args.dprobability) {
    expect_matrix(kernel, "dprobability", args.dprobability, dtype, layout.rows, layout.columns);
  }
  if (args.dlogsumexp) {
    expect_dtype(kernel, "dlogsumexp", args.dlogsumexp, dtype);
    expect_flat(kernel, "dlogsumexp", args.dlogsumexp, layout.rows);
  }
  with_compute_type(kernel, "probability", dtype, [&]<class C>(Type<C>) {
    route_backward<C>(stream, args, layout.rows, layout.columns, choices);
  });
}

}  // namespace moe::kernels::MOE_ISA
