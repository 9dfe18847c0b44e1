#include "kernels/norm/rms_norm.h"

#include "kernels/common/dispatch.h"

namespace moe::kernels::MOE_ISA {
namespace {

/// The sum of squares of s = x (+ delta); the rounded s is what later passes read, so it is what
/// counts.
template <class T>
MOE_INLINE ComputeType<T> sum_row(const T* x, const T* delta, T* sum, std::int64_t columns) {
  using C = ComputeType<T>;
  return reduce_add(sum_vectors<C>(columns, [=](std::int64_t i, auto lanes) {
    Vec<C> s = load(x + i, lanes);
    if (delta != nullptr) {
      s = round_as<T>(s + load(delta + i, lanes));
      store(sum + i, s, lanes);
    }
    return s * s;
  }));
}

template <class T, class W>
MOE_INLINE void scale_row(const T* s, const W* weight, T* y, std::int64_t columns,
                          ComputeType<T> rstd) {
  using C = ComputeType<T>;
  for_vectors<C>(columns, [=](std::int64_t i, auto lanes) {
    const Vec<C> normal = load(s + i, lanes) * broadcast(rstd);
    store(y + i, normal * load_as<C>(weight + i, lanes), lanes);
  });
}

template <class T, class W>
void forward(const Stream& stream, const RmsNorm& args) {
  using C = ComputeType<T>;
  const char* kernel = "rms_norm";
  const auto [rows, columns, stride] = rows_of(kernel, "x", args.x);
  const Rows<const T> x{args.x.as<const T>(), stride};
  const Rows<T> y{args.y.as<T>(), expect_rows(kernel, "y", args.y, rows, columns)};
  Rows<const T> delta{nullptr, 0};
  Rows<T> sum{nullptr, 0};
  if (args.delta) {
    delta = {args.delta.as<const T>(), expect_rows(kernel, "delta", args.delta, rows, columns)};
    sum = {args.sum.as<T>(), expect_rows(kernel, "sum", args.sum, rows, columns)};
  }
  const W* weight = args.weight.as<const W>();
  C* rstd = args.rstd.as<C>();
  const C epsilon = static_cast<C>(args.epsilon);
  parallel_rows(
      stream, rows, columns, [=, columns = columns](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) {
          const bool residual = delta.data != nullptr;
          T* s = residual ? sum[r] : nullptr;
          const C squares = sum_row(x[r], residual ? delta[r] : nullptr, s, columns);
          rstd[r] = C(1) / sqrt(squares / static_cast<C>(columns < 1 ? 1 : columns) + epsilon);
          scale_row(residual ? s : x[r], weight, y[r], columns, rstd[r]);
        }
      });
}

/// Everything a row of the backward pass reads and writes.
template <class T, class W>
struct Backward {
  using C = ComputeType<T>;
  std::int64_t columns;
  Rows<const T> s;
  Rows<const T> dy;
  Rows<const T> dsum;
  Rows<T> dx;
  const W* weight;
  const C* rstd;

  /// Adds this row's share to dweight; returns the sum of dy * weight * s.
  MOE_INLINE C reduce(std::int64_t r, C* dweight) const {
    const T* s_row = s[r];
    const T* dy_row = dy[r];
    const Vec<C> scale = broadcast(rstd[r]);
    return reduce_add(sum_vectors<C>(columns, [=, this](std::int64_t i, auto lanes) {
      const Vec<C> product = load(dy_row + i, lanes) * load(s_row + i, lanes);
      store(dweight + i, fma(product, scale, load(dweight + i, lanes)), lanes);
      return product * load_as<C>(weight + i, lanes);
    }));
  }

  /// dx = rstd * (dy * weight - s * rstd^2 * mean(dy * weight * s)) (+ dsum)
  MOE_INLINE void write_dx(std::int64_t r, C dot) const {
    const T* s_row = s[r];
    const T* dy_row = dy[r];
    const T* dsum_row = dsum.data != nullptr ? dsum[r] : nullptr;
    T* dx_row = dx[r];
    const Vec<C> scale = broadcast(rstd[r]);
    const Vec<C> pull = broadcast(-(rstd[r] * rstd[r] * rstd[r]) * (dot / static_cast<C>(columns)));
    for_vectors<C>(columns, [=, this](std::int64_t i, auto lanes) {
      const Vec<C> g = load(dy_row + i, lanes) * load_as<C>(weight + i, lanes);
      Vec<C> d = fma(g, scale, load(s_row + i, lanes) * pull);
      if (dsum_row != nullptr) d = d + load(dsum_row + i, lanes);
      store(dx_row + i, d, lanes);
    });
  }
};

template <class T, class W>
void backward(const Stream& stream, const RmsNormBackward& args) {
  using C = ComputeType<T>;
  const char* kernel = "rms_norm_backward";
  const auto [rows, columns, stride] = rows_of(kernel, "s", args.s);
  Backward<T, W> task{columns,
                      {args.s.as<const T>(), stride},
                      {args.dy.as<const T>(), expect_rows(kernel, "dy", args.dy, rows, columns)},
                      {nullptr, 0},
                      {args.dx.as<T>(), expect_rows(kernel, "dx", args.dx, rows, columns)},
                      args.weight.as<const W>(),
                      args.rstd.as<const C>()};
  if (args.dsum) {
    task.dsum = {args.dsum.as<const T>(), expect_rows(kernel, "dsum", args.dsum, rows, columns)};
  }
  const RowBlocks blocks = row_blocks(rows, columns);
  const Scratch scratch(blocks.count * columns * static_cast<std::int64_t>(sizeof(C)));
  C* partial = scratch.as<C>();
  parallel(stream, rows, blocks.rows, [=](std::int64_t begin, std::int64_t end) {
    C* dweight = partial + begin / blocks.rows * task.columns;
    clear_row(dweight, task.columns);
    for (std::int64_t r = begin; r < end; ++r) task.write_dx(r, task.reduce(r, dweight));
  });
  join_blocks(partial, blocks.count, columns, static_cast<C>(args.beta), args.dweight.as<C>());
}

}  // namespace

void rms_norm(Stream& stream, const RmsNorm& args) {
  const char* kernel = "rms_norm";
  const RowLayout layout = rows_of(kernel, "x", args.x);
  if (static_cast<bool>(args.delta) != static_cast<bool>(args.sum)) {
    throw_shape(kernel, "delta and sum together", args.sum);
  }
  expect_dtype(kernel, "y", args.y, args.x.dtype);
  if (args.delta) expect_dtype(kernel, "delta", args.delta, args.x.dtype);
  if (args.delta) expect_dtype(kernel, "sum", args.sum, args.x.dtype);
  expect_dtype(kernel, "rstd", args.rstd, compute_dtype(args.x.dtype));
  expect_flat(kernel, "rstd", args.rstd, layout.rows);
  expect_flat(kernel, "weight", args.weight, layout.columns);
  with_vector_type(kernel, args.x, "weight", args.weight,
                   [&]<class T, class W>(Type<T>, Type<W>) { forward<T, W>(stream, args); });
}

void rms_norm_backward(Stream& stream, const RmsNormBackward& args) {
  const char* kernel = "rms_norm_backward";
  const RowLayout layout = rows_of(kernel, "s", args.s);
  expect_dtype(kernel, "dy", args.dy, args.s.dtype);
  expect_dtype(kernel, "dx", args.dx, args.s.dtype);
  if (args.dsum) expect_dtype(kernel, "dsum", args.dsum, args.s.dtype);
  expect_dtype(kernel, "rstd", args.rstd, compute_dtype(args.s.dtype));
  expect_dtype(kernel, "dweight", args.dweight, compute_dtype(args.s.dtype));
  expect_flat(kernel, "rstd", args.rstd, layout.rows);
  expect_flat(kernel, "weight", args.weight, layout.columns);
  expect_flat(kernel, "dweight", args.dweight, layout.columns);
  with_vector_type(kernel, args.s, "weight", args.weight,
                   [&]<class T, class W>(Type<T>, Type<W>) { backward<T, W>(stream, args); });
}

}  // namespace moe::kernels::MOE_ISA
