/// How a *_cpu.cpp goes from Views to typed loops on the worker pool.
/// @det tiles and blocks are functions of the shape alone, never of the number of threads
#pragma once

#include <type_traits>

#include "kernels/common/checks.h"
#include "kernels/common/errors.h"
#include "kernels/common/parallel.h"
#include "kernels/common/scratch.h"
#include "kernels/common/simd.h"
#include "kernels/common/simd_math.h"

namespace moe::kernels::MOE_ISA {
namespace {

/// Calls f(Type<T>{}) for f32, bf16, f64. @throws DTypeError for others
template <class F>
MOE_INLINE void with_type(const char* kernel, const char* argument, DType dtype, F&& f) {
  switch (dtype) {
    case DType::F32:
      return f(Type<float>{});
    case DType::BF16:
      return f(Type<BFloat16>{});
    case DType::F64:
      return f(Type<double>{});
    default:
      throw_dtype(kernel, argument, dtype);
  }
}
/// The same for the types arithmetic happens in: f32, f64.
template <class F>
MOE_INLINE void with_compute_type(const char* kernel, const char* argument, DType dtype, F&& f) {
  switch (dtype) {
    case DType::F32:
      return f(Type<float>{});
    case DType::F64:
      return f(Type<double>{});
    default:
      throw_dtype(kernel, argument, dtype);
  }
}

/// body(begin, end) over [0, size) in ranges of `grain`.
template <class F>
void parallel(const Stream& stream, std::int64_t size, std::int64_t grain, F&& body) {
  using Body = std::remove_reference_t<F>;
  run_ranges(
      stream, size, grain,
      [](void* context, std::int64_t begin, std::int64_t end) {
        (*static_cast<Body*>(context))(begin, end);
      },
      const_cast<void*>(static_cast<const void*>(&body)));
}

/// A tile is worth waking a thread for (some microseconds) and still fits the first caches.
constexpr std::int64_t kTileElements = 16384;

/// body(begin, end) over elements.
template <class F>
void parallel_elements(const Stream& stream, std::int64_t count, F&& body) {
  parallel(stream, count, kTileElements, body);
}
/// body(begin, end) over rows of `columns` elements.
template <class F>
void parallel_rows(const Stream& stream, std::int64_t rows, std::int64_t columns, F&& body) {
  const std::int64_t wide = columns < 1 ? 1 : columns;
  const std::int64_t grain = kTileElements / wide;
  parallel(stream, rows, grain < 1 ? 1 : grain, body);
}

/// A cut of rows into blocks for partial sums that are combined in order.
struct RowBlocks {
  std::int64_t count;
  std::int64_t rows;  // of each block but the last
};
/// At most 64 blocks, of at least 16 rows and 4096 elements.
MOE_INLINE RowBlocks row_blocks(std::int64_t rows, std::int64_t columns) {
  std::int64_t each = (rows + 63) / 64;
  const std::int64_t wide = columns < 1 ? 1 : columns;
  if (each < 4096 / wide) each = 4096 / wide;
  if (each < 16) each = 16;
  return {(rows + each - 1) / each, each};
}

/// Sum in f64 of block(begin, end) over fixed blocks of [0, count), joined in order.
template <class F>
double sum_blocks(const Stream& stream, std::int64_t count, F&& block) {
  constexpr std::int64_t kBlock = 4 * kTileElements;
  const std::int64_t blocks = (count + kBlock - 1) / kBlock;
  const Scratch scratch(blocks * static_cast<std::int64_t>(sizeof(double)));
  double* partial = scratch.as<double>();
  parallel(stream, count, kBlock, [=](std::int64_t begin, std::int64_t end) {
    partial[begin / kBlock] = block(begin, end);
  });
  double total = 0.0;
  for (std::int64_t b = 0; b < blocks; ++b) total += partial[b];
  return total;
}

/// out[i] = beta * out[i] + the partial sums [blocks, columns] of column i, in block order.
template <class C>
void join_blocks(const C* partial, std::int64_t blocks, std::int64_t columns, C beta, C* out) {
  for_vectors<C>(columns, [=](std::int64_t i, auto lanes) {
    Vec<C> total = zero<C>();
    for (std::int64_t b = 0; b < blocks; ++b) total += load(partial + b * columns + i, lanes);
    if (beta != C(0)) total = fma(load(out + i, lanes), broadcast(beta), total);
    store(out + i, total, lanes);
  });
}

/// Calls f(Type<T>{}, Type<B>{}) for a tensor of T beside a vector of f32 or of T.
template <class F>
MOE_INLINE void with_vector_type(const char* kernel, const View& x, const char* argument,
                                 const View& vector, F&& f) {
  with_type(kernel, "x", x.dtype, [&]<class T>(Type<T>) {
    if (vector.dtype == x.dtype) return f(Type<T>{}, Type<T>{});
    expect_dtype(kernel, argument, vector, DType::F32);
    return f(Type<T>{}, Type<float>{});
  });
}

template <class T>
MOE_INLINE void clear_row(T* row, std::int64_t columns) {
  __builtin_memset(static_cast<void*>(row), 0, static_cast<std::size_t>(columns) * sizeof(T));
}

/// Row r of a matrix whose rows stand `stride` apart.
template <class T>
struct Rows {
  T* data;
  std::int64_t stride;
  MOE_INLINE T* operator[](std::int64_t row) const { return data + row * stride; }
};

}  // namespace
}  // namespace moe::kernels::MOE_ISA
