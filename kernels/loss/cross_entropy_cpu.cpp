#include "kernels/loss/cross_entropy.h"

#include "kernels/common/dispatch.h"

namespace moe::kernels::MOE_ISA {
namespace {

/// A softmax's denominator: sum of e^(x - top) = total.
template <class C>
struct Denominator {
  C top;
  double total;
};

template <class C>
MOE_INLINE C row_max(const C* x, std::int64_t count) {
  const Vec<C> lowest = broadcast(-static_cast<C>(__builtin_inf()));
  Vec<C> a = lowest;
  Vec<C> b = lowest;
  std::int64_t i = 0;
  for (; i + 2 * kLanes<C> <= count; i += 2 * kLanes<C>) {
    a = max(load(x + i), a);
    b = max(load(x + i + kLanes<C>), b);
  }
  for_vectors<C>(count - i, [&](std::int64_t j, auto lanes) {
    a = max(keep(load(x + i + j, lanes), lowest, lanes), a);
  });
  return reduce_max(max(a, b));
}

/// One pass over memory: maximum and sum block by block, each block still in the first cache for
/// its second reading.
template <class C>
MOE_INLINE Denominator<C> denominator(const C* x, std::int64_t count) {
  constexpr std::int64_t kBlock = 2048;
  Denominator<C> result{-static_cast<C>(__builtin_inf()), 0.0};
  for (std::int64_t begin = 0; begin < count; begin += kBlock) {
    const std::int64_t size = begin + kBlock < count ? kBlock : count - begin;
    const C top = row_max(x + begin, size);
    if (top > result.top) {
      result.total *= static_cast<double>(exp(broadcast(result.top - top)).v[0]);
      result.top = top;
    }
    if (result.top == -static_cast<C>(__builtin_inf())) continue;  // nothing but e^-inf so far
    const Vec<C> shift = broadcast(result.top);
    const Vec<C> sum = sum_vectors<C>(size, [=](std::int64_t i, auto lanes) {
      return keep(exp(load(x + begin + i, lanes) - shift), zero<C>(), lanes);
    });
    result.total += static_cast<double>(reduce_add(sum));
  }
  return result;
}

template <class C, class D>
MOE_INLINE void write_gradient(const C* x, D* out, std::int64_t count, std::int64_t target,
                               Denominator<C> below, double scale) {
  const C at_target = x[target];  // out may be x
  const Vec<C> top = broadcast(below.top);
  const Vec<C> factor = broadcast(static_cast<C>(scale / below.total));
  for_vectors<C>(count, [=](std::int64_t i, auto lanes) {
    store(out + i, exp(load(x + i, lanes) - top) * factor, lanes);
  });
  const auto share = static_cast<double>(exp(broadcast(at_target - below.top)).v[0]) / below.total;
  write(out + target, static_cast<C>((share - 1.0) * scale));
}

template <class C>
MOE_INLINE C loss_of(const C* x, std::int64_t target, Denominator<C> below) {
  return static_cast<C>(static_cast<double>(below.top) - static_cast<double>(x[target]) +
                        log(below.total));
}

/// `D` is void without a gradient.
template <class C, class D>
void run(const Stream& stream, const CrossEntropy& args) {
  const RowLayout layout = rows_of("cross_entropy", "logits", args.logits);
  const std::int64_t columns = layout.columns;
  const Rows<const C> logits{args.logits.as<const C>(), layout.stride};
  const auto* target = args.target.as<const std::int32_t>();
  C* loss = args.loss.as<C>();
  D* dlogits = args.dlogits.as<D>();
  const std::int64_t stride =
      args.dlogits ? rows_of("cross_entropy", "dlogits", args.dlogits).stride : 0;
  const double scale = args.scale;
  parallel_rows(stream, layout.rows, columns, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      if (target[r] >= columns) throw_index("cross_entropy", "target", r, target[r], columns);
      Denominator<C> below{};
      const bool counted = target[r] >= 0;
      if (counted) below = denominator(logits[r], columns);
      loss[r] = counted ? loss_of(logits[r], target[r], below) : C(0);
      if constexpr (!__is_same(D, void)) {
        D* out = dlogits + r * stride;
        if (counted) {
          write_gradient(logits[r], out, columns, target[r], below, scale);
        } else {
          clear_row(out, columns);
        }
      }
    }
  });
}

template <class C>
void with_gradient_type(const Stream& stream, const CrossEntropy& args) {
  if (!args.dlogits) return run<C, void>(stream, args);
  switch (args.dlogits.dtype) {
    case DType::BF16:
      return run<C, BFloat16>(stream, args);
    default:
      expect_dtype("cross_entropy", "dlogits", args.dlogits, args.logits.dtype);
      return run<C, C>(stream, args);
  }
}

}  // namespace

void cross_entropy(Stream& stream, const CrossEntropy& args) {
  const char* kernel = "cross_entropy";
  const RowLayout layout = rows_of(kernel, "logits", args.logits);
  expect_dtype(kernel, "target", args.target, DType::I32);
  expect_flat(kernel, "target", args.target, layout.rows);
  expect_dtype(kernel, "loss", args.loss, args.logits.dtype);
  expect_flat(kernel, "loss", args.loss, layout.rows);
  if (args.dlogits) expect_rows(kernel, "dlogits", args.dlogits, layout.rows, layout.columns);
  with_compute_type(kernel, "logits", args.logits.dtype,
                    [&]<class C>(Type<C>) { with_gradient_type<C>(stream, args); });
}

}  // namespace moe::kernels::MOE_ISA
