#include "kernels/elementwise/activation.h"

#include "kernels/common/dispatch.h"

namespace moe::kernels::MOE_ISA {
namespace {

/// act(x) and its derivative.
template <class C>
struct Curve {
  Vec<C> value;
  Vec<C> slope;
};

template <ActivationKind kind>
struct Act;

template <>
struct Act<ActivationKind::Silu> {
  template <class C>
  static MOE_INLINE Curve<C> at(Vec<C> x) {
    const Vec<C> s = sigmoid(x);
    const Vec<C> y = x * s;
    return {y, fma(y, broadcast(C(1)) - s, s)};
  }
};

template <>
struct Act<ActivationKind::GeluErf> {
  template <class C>
  static MOE_INLINE Curve<C> at(Vec<C> x) {
    const Vec<C> half = broadcast(C(0.5));
    const Vec<C> below = fma(half, erf(x * broadcast(C(0.70710678118654752440))), half);
    const Vec<C> density = broadcast(C(0.39894228040143267794)) * exp(-(half * x * x));
    return {x * below, fma(x, density, below)};
  }
};

template <>
struct Act<ActivationKind::GeluTanh> {
  // 0.5 (1 + tanh(u)) = sigmoid(2u), which loses nothing where tanh is near -1.
  template <class C>
  static MOE_INLINE Curve<C> at(Vec<C> x) {
    constexpr C kTwoRootTwoOverPi = C(1.59576912160573071176);
    constexpr C kCubic = C(0.044715);
    const Vec<C> square = x * x;
    const Vec<C> one = broadcast(C(1));
    const Vec<C> s =
        sigmoid(broadcast(kTwoRootTwoOverPi) * x * fma(broadcast(kCubic), square, one));
    const Vec<C> y = x * s;
    const Vec<C> inner = broadcast(kTwoRootTwoOverPi) * fma(broadcast(3 * kCubic), square, one);
    return {y, fma(y * (one - s), inner, s)};
  }
};

template <>
struct Act<ActivationKind::Relu2> {
  template <class C>
  static MOE_INLINE Curve<C> at(Vec<C> x) {
    const Vec<C> positive = max(zero<C>(), x);
    return {positive * positive, positive + positive};
  }
};

/// Calls f(Type<Act<kind>>{}).
template <class F>
void with_kind(ActivationKind kind, F&& f) {
  switch (kind) {
    case ActivationKind::Silu:
      return f(Type<Act<ActivationKind::Silu>>{});
    case ActivationKind::GeluErf:
      return f(Type<Act<ActivationKind::GeluErf>>{});
    case ActivationKind::GeluTanh:
      return f(Type<Act<ActivationKind::GeluTanh>>{});
    case ActivationKind::Relu2:
      return f(Type<Act<ActivationKind::Relu2>>{});
  }
}

/// What both directions need, checked once. weight and dweight may be null.
template <class T>
struct Problem {
  using C = ComputeType<T>;
  std::int64_t rows;
  std::int64_t columns;  // F
  Rows<const T> x;
  const C* weight;
};

template <class T>
Problem<T> checked(const char* kernel, const View& x, const View& weight, bool gated) {
  using C = ComputeType<T>;
  const RowLayout layout = rows_of(kernel, "x", x);
  if (gated && layout.columns % 2 != 0) throw_shape(kernel, "x [R, 2F] when gated", x);
  if (weight) {
    expect_flat(kernel, "weight", weight, layout.rows);
    expect_dtype(kernel, "weight", weight, compute_dtype(x.dtype));
  }
  return {layout.rows, gated ? layout.columns / 2 : layout.columns,
          Rows<const T>{x.as<const T>(), layout.stride}, weight ? weight.as<const C>() : nullptr};
}

/// What forward stores: every operation in one order, so that backward can form it again.
template <bool gated, class C>
MOE_INLINE Vec<C> weighted_output(Vec<C> act, Vec<C> weight, Vec<C> gate) {
  const Vec<C> y = act * weight;
  if constexpr (gated) return y * gate;
  return y;
}

template <class A, bool gated, class T>
void forward(const Stream& stream, const Problem<T>& problem, Rows<T> out) {
  using C = ComputeType<T>;
  parallel_rows(stream, problem.rows, problem.columns, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const T* x = problem.x[r];
      const T* gate = gated ? x + problem.columns : x;
      const Vec<C> weight = broadcast(problem.weight != nullptr ? problem.weight[r] : C(1));
      for_vectors<C>(problem.columns, [=](std::int64_t i, auto lanes) {
        const Vec<C> y = A::at(load(x + i, lanes)).value;
        store(out[r] + i, weighted_output<gated>(y, weight, load(gate + i, lanes)), lanes);
      });
    }
  });
}

/// One row of backward.
template <class T>
struct BackwardRow {
  using C = ComputeType<T>;
  const T* x;
  const T* dout;
  T* dx;
  T* out;  // null: not wanted
  std::int64_t columns;
  Vec<C> weight;
};

/// dx and out of one row; returns the sum over f of dout * act(x) [* gate].
template <class A, bool gated, class T>
MOE_INLINE ComputeType<T> backward_row(const BackwardRow<T>& row) {
  using C = ComputeType<T>;
  return reduce_add(sum_vectors<C>(row.columns, [=](std::int64_t i, auto lanes) {
    const Curve<C> act = A::at(load(row.x + i, lanes));
    const Vec<C> d = load(row.dout + i, lanes);
    const Vec<C> weighted = d * row.weight;
    if constexpr (gated) {
      const Vec<C> gate = load(row.x + row.columns + i, lanes);
      store(row.dx + i, weighted * gate * act.slope, lanes);
      store(row.dx + row.columns + i, weighted * act.value, lanes);
      if (row.out != nullptr) store(row.out + i, weighted_output<true>(act.value, row.weight, gate), lanes);
      return d * act.value * gate;
    } else {
      store(row.dx + i, weighted * act.slope, lanes);
      if (row.out != nullptr) store(row.out + i, weighted_output<false>(act.value, row.weight, d), lanes);
      return d * act.value;
    }
  }));
}

/// Where backward reads and writes; out.data and dweight may be null.
template <class T>
struct BackwardRows {
  Rows<const T> dout;
  Rows<T> dx;
  Rows<T> out;
  ComputeType<T>* dweight;
};

template <class A, bool gated, class T>
void backward(const Stream& stream, const Problem<T>& problem, const BackwardRows<T>& rows) {
  using C = ComputeType<T>;
  parallel_rows(stream, problem.rows, problem.columns, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const C dot = backward_row<A, gated>(BackwardRow<T>{
          problem.x[r], rows.dout[r], rows.dx[r], rows.out.data != nullptr ? rows.out[r] : nullptr,
          problem.columns, broadcast(problem.weight != nullptr ? problem.weight[r] : C(1))});
      if (rows.dweight != nullptr) rows.dweight[r] = dot;
    }
  });
}

template <class T>
void backward_typed(const Stream& stream, const ActivationBackward& args) {
  using C = ComputeType<T>;
  const char* kernel = "activation_backward";
  const Problem<T> problem = checked<T>(kernel, args.x, args.weight, args.gated);
  BackwardRows<T> rows{
      .dout = {args.dout.as<const T>(),
               expect_rows(kernel, "dout", args.dout, problem.rows, problem.columns)},
      .dx = {args.dx.as<T>(), expect_rows(kernel, "dx", args.dx, problem.rows,
                                          args.gated ? 2 * problem.columns : problem.columns)},
      .out = {nullptr, 0},
      .dweight = nullptr};
  if (args.out) {
    expect_dtype(kernel, "out", args.out, args.x.dtype);
    rows.out = {args.out.as<T>(), expect_rows(kernel, "out", args.out, problem.rows, problem.columns)};
  }
  if (static_cast<bool>(args.weight) != static_cast<bool>(args.dweight)) {
    throw_shape(kernel, "dweight exactly where weight is given", args.dweight);
  }
  if (args.dweight) {
    expect_flat(kernel, "dweight", args.dweight, problem.rows);
    expect_dtype(kernel, "dweight", args.dweight, compute_dtype(args.x.dtype));
    rows.dweight = args.dweight.as<C>();
  }
  with_kind(args.kind, [&]<class A>(Type<A>) {
    if (args.gated) return backward<A, true>(stream, problem, rows);
    return backward<A, false>(stream, problem, rows);
  });
}

}  // namespace

void activation(Stream& stream, const Activation& args) {
  expect_dtype("activation", "out", args.out, args.x.dtype);
  with_type("activation", "x", args.x.dtype, [&]<class T>(Type<T>) {
    const Problem<T> problem = checked<T>("activation", args.x, args.weight, args.gated);
    const Rows<T> out{args.out.as<T>(),
                      expect_rows("activation", "out", args.out, problem.rows, problem.columns)};
    with_kind(args.kind, [&]<class A>(Type<A>) {
      if (args.gated) return forward<A, true>(stream, problem, out);
      return forward<A, false>(stream, problem, out);
    });
  });
}

void activation_backward(Stream& stream, const ActivationBackward& args) {
  expect_dtype("activation_backward", "dout", args.dout, args.x.dtype);
  expect_dtype("activation_backward", "dx", args.dx, args.x.dtype);
  with_type("activation_backward", "x", args.x.dtype,
            [&]<class T>(Type<T>) { backward_typed<T>(stream, args); });
}

}  // namespace moe::kernels::MOE_ISA
