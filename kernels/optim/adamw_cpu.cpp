#include "kernels/optim/adamw.h"

#include "kernels/common/dispatch.h"

namespace moe::kernels::MOE_ISA {
namespace {

/// The update's constants, broadcast once a tile.
template <class C>
struct Constants {
  Vec<C> clip;
  Vec<C> keep;  // 1 - lr * weight decay
  Vec<C> beta1;
  Vec<C> rest1;
  Vec<C> beta2;
  Vec<C> rest2;
  Vec<C> step;        // -lr / c1
  Vec<C> root_scale;  // 1 / sqrt(c2)
  Vec<C> epsilon;
};

template <class C>
Constants<C> constants(const AdamW& args) {
  const C* step = args.step.as<const C>();
  const double rate = static_cast<double>(step[0]);
  const auto all = [](double x) { return broadcast(static_cast<C>(x)); };
  return {broadcast(step[1]),
          all(1.0 - rate * args.weight_decay),
          all(args.beta1),
          all(1.0 - args.beta1),
          all(args.beta2),
          all(1.0 - args.beta2),
          all(-rate / static_cast<double>(step[2])),
          all(1.0 / __builtin_sqrt(static_cast<double>(step[3]))),
          all(args.epsilon)};
}

template <class C>
struct State {
  C* parameter;
  const C* gradient;
  C* moment1;
  C* moment2;
  BFloat16* copy;  // or null
};

template <bool with_copy, class C, class Lanes>
MOE_INLINE void update(const State<C>& at, const Constants<C>& k, std::int64_t i, Lanes lanes) {
  const Vec<C> g = load(at.gradient + i, lanes) * k.clip;
  const Vec<C> m = fma(load(at.moment1 + i, lanes), k.beta1, g * k.rest1);
  const Vec<C> v = fma(load(at.moment2 + i, lanes), k.beta2, g * g * k.rest2);
  const Vec<C> root = fma(sqrt(v), k.root_scale, k.epsilon);
  const Vec<C> p = fma(m / root, k.step, load(at.parameter + i, lanes) * k.keep);
  store(at.moment1 + i, m, lanes);
  store(at.moment2 + i, v, lanes);
  store(at.parameter + i, p, lanes);
  if constexpr (with_copy) store(at.copy + i, p, lanes);
}

template <bool with_copy, class C>
void run(const Stream& stream, const AdamW& args, std::int64_t count) {
  const State<C> state{args.parameter.as<C>(), args.gradient.as<const C>(), args.moment1.as<C>(),
                       args.moment2.as<C>(),
                       with_copy ? args.compute_copy.as<BFloat16>() : nullptr};
  const Constants<C> k = constants<C>(args);
  parallel_elements(stream, count, [=](std::int64_t begin, std::int64_t end) {
    for_vectors<C>(end - begin, [=](std::int64_t i, auto lanes) {
      update<with_copy>(state, k, begin + i, lanes);
    });
  });
}

}  // namespace

void adamw(Stream& stream, const AdamW& args) {
  const char* kernel = "adamw";
  const std::int64_t count = flat(kernel, "parameter", args.parameter);
  const DType dtype = args.parameter.dtype;
  expect_flat(kernel, "gradient", args.gradient, count);
  expect_flat(kernel, "moment1", args.moment1, count);
  expect_flat(kernel, "moment2", args.moment2, count);
  expect_flat(kernel, "step", args.step, 4);
  for (const View* view : {&args.gradient, &args.moment1, &args.moment2, &args.step}) {
    expect_dtype(kernel, "gradient, moments and step", *view, dtype);
  }
  if (args.compute_copy) {
    expect_flat(kernel, "compute_copy", args.compute_copy, count);
    expect_dtype(kernel, "compute_copy", args.compute_copy, DType::BF16);
  }
  with_compute_type(kernel, "parameter", dtype, [&]<class C>(Type<C>) {
    if (args.compute_copy) return run<true, C>(stream, args, count);
    return run<false, C>(stream, args, count);
  });
}

void sum_squares(Stream& stream, const SumSquares& args) {
  const std::int64_t count = flat("sum_squares", "x", args.x);
  expect_flat("sum_squares", "out", args.out, 1);
  expect_dtype("sum_squares", "out", args.out, DType::F64);
  with_type("sum_squares", "x", args.x.dtype, [&]<class T>(Type<T>) {
    const T* x = args.x.as<const T>();
    *args.out.as<double>() = sum_blocks(stream, count, [=](std::int64_t begin, std::int64_t end) {
      return reduce_add(sum_vectors<double>(end - begin, [=](std::int64_t i, auto lanes) {
        const Vec<double> value = load_as<double>(x + begin + i, lanes);
        return value * value;
      }));
    });
  });
}

void count_non_finite(Stream& stream, const CountNonFinite& args) {
  const std::int64_t count = flat("count_non_finite", "x", args.x);
  expect_flat("count_non_finite", "out", args.out, 1);
  expect_dtype("count_non_finite", "out", args.out, DType::I64);
  with_type("count_non_finite", "x", args.x.dtype, [&]<class T>(Type<T>) {
    using C = ComputeType<T>;
    const T* x = args.x.as<const T>();
    const double total = sum_blocks(stream, count, [=](std::int64_t begin, std::int64_t end) {
      std::int64_t found = 0;
      for_vectors<C>(end - begin, [&](std::int64_t i, auto lanes) {
        const Vec<C> value = load(x + begin + i, lanes);
        found += MOE_ISA::count(is_nan(value - value));  // inf - inf is NaN
      });
      return static_cast<double>(found);
    });
    *args.out.as<std::int64_t>() = static_cast<std::int64_t>(total);
  });
}

}  // namespace moe::kernels::MOE_ISA
