/// One tile of a matrix product on one thread.
/// Internal to *_cpu.cpp files: everything has internal linkage.
#pragma once

#include "kernels/common/dispatch.h"
#include "kernels/gemm/few_rows.h"

namespace moe::kernels::MOE_ISA {
namespace {

/// Depths summed in registers before c is updated, in packed elements: part of the definition of a
/// result's bits. The sizes of blocks and tiles below are not.
template <class Mode>
constexpr std::int64_t kDepthBlock = 2048 / sizeof(typename Mode::Packed);
/// Rows of a packed at a time: with kDepthBlock, what stays in the second-level cache while all
/// columns pass by. CPUs with AVX-512 have at least twice the cache.
constexpr std::int64_t kRowBlock = 24 * kMicroRows;
/// Most columns of a tile, so that a is packed rarely.
constexpr std::int64_t kMostColumns = 528;
/// Most rows of a tile, so that b is packed rarely.
constexpr std::int64_t kMostRows = 512;

/// c = alpha * op(a) op(b) + beta * c over `depth`.
template <class Mode, class S>
struct Product {
  Operand<S> a;
  Operand<S> b;
  std::int64_t depth;
  typename Mode::Acc alpha;
  typename Mode::Acc beta;
};

/// c, or a window of it whose first element is (first_row, first_column).
template <class T>
struct Output {
  T* data;
  std::int64_t stride;
  std::int64_t first_row = 0;
  std::int64_t first_column = 0;
  MOE_INLINE T* at(std::int64_t row, std::int64_t column) const {
    return data + (row - first_row) * stride + (column - first_column);
  }
};

struct Tile {
  std::int64_t row;
  std::int64_t rows;
  std::int64_t column;
  std::int64_t columns;
};

template <class Acc>
void scale_tile(const Tile& tile, Acc beta, const Output<Acc>& c) {
  for (std::int64_t i = tile.row; i < tile.row + tile.rows; ++i) {
    Acc* row = c.at(i, tile.column);
    for (std::int64_t j = 0; j < tile.columns; ++j) row[j] = beta == 0 ? Acc(0) : beta * row[j];
  }
}

/// Packs rows of a and multiplies them with the packed panels of b that args.b names.
template <class Mode, class S>
void multiply_rows(const Product<Mode, S>& x, const Block& rows, MicroArgs<Mode> args,
                   std::int64_t columns, typename Mode::Packed* packed) {
  args.a = packed;
  std::int64_t a_block = kMicroRows;
  if (x.a.depth_contiguous) {
    pack_panels<Mode, kMicroRows>(x.a, rows, packed);
    args.a_stride = kMicroRows;
    a_block = args.depth * kMicroRows;
  } else {  // depth-major as it stands: the micro-kernel reads it with a stride
    copy_panels<Mode, kRowBlock>(x.a, rows, packed);
    args.a_stride = kRowBlock;
  }
  multiply_panels<Mode>(args, rows.lanes, a_block, columns);
}

template <int Rows = kFewRows>
void few_rows_tile(const Product<Plain<float>, float>& x, const Tile& tile,
                   const Output<float>& c) {
  if constexpr (Rows > 1) {
    if (tile.rows < Rows) return few_rows_tile<Rows - 1>(x, tile, c);
  }
  MicroArgs<Plain<float>> args{};
  args.c = c.at(tile.row, tile.column);
  args.c_stride = c.stride;
  args.alpha = x.alpha;
  args.beta = x.beta;
  few_rows_product<Rows>(x.a, x.b, {tile.column, tile.columns, 0, x.depth}, tile.row,
                         kDepthBlock<Plain<float>>, args);
}

/// @shape tile.columns <= kMostColumns
template <class Mode, class S>
void tile_product(const Product<Mode, S>& x, const Tile& tile,
                  const Output<typename Mode::Acc>& c) {
  using Packed = typename Mode::Packed;
  if (x.depth == 0) return scale_tile(tile, x.beta, c);
  if constexpr (sizeof(Packed) == 4 && sizeof(S) == 4) {
    const bool few = tile.rows <= kFewRows && x.a.depth_contiguous && x.b.depth_contiguous;
    if (few) return few_rows_tile(x, tile, c);
  }
  const Scratch scratch(static_cast<std::int64_t>(sizeof(Packed)) * kDepthBlock<Mode> *
                        (kMostColumns + kRowBlock));
  Packed* panels = scratch.as<Packed>();
  Packed* rows = panels + kDepthBlock<Mode> * kMostColumns;
  constexpr std::int64_t kStep = kDepthBlock<Mode> * Mode::kSpan;
  for (std::int64_t depth = 0; depth < x.depth; depth += kStep) {
    const std::int64_t depths = x.depth - depth < kStep ? x.depth - depth : kStep;
    pack_panels<Mode, kPanel<Mode>>(x.b, {tile.column, tile.columns, depth, depths}, panels);
    MicroArgs<Mode> args{};
    args.depth = packed_depths<Mode>(depths);
    args.b = panels;
    args.b_stride = kPanel<Mode>;
    args.c_stride = c.stride;
    args.alpha = x.alpha;
    args.beta = depth == 0 ? x.beta : 1;
    for (std::int64_t i = 0; i < tile.rows; i += kRowBlock) {
      const std::int64_t count = tile.rows - i < kRowBlock ? tile.rows - i : kRowBlock;
      args.c = c.at(tile.row + i, tile.column);
      multiply_rows(x, {tile.row + i, count, depth, depths}, args, tile.columns, rows);
    }
  }
}

/// The same into bf16: summed in f32 to the end, then rounded once.
template <class Mode, class S>
void tile_product(const Product<Mode, S>& x, const Tile& tile, const Output<BFloat16>& c) {
  const Scratch scratch(tile.rows * tile.columns * static_cast<std::int64_t>(sizeof(float)));
  const Output<float> sum{scratch.as<float>(), tile.columns, tile.row, tile.column};
  const std::int64_t end = tile.row + tile.rows;
  for (std::int64_t i = tile.row; x.beta != 0 && i < end; ++i) {
    for_vectors<float>(tile.columns, [=](std::int64_t j, auto lanes) {
      store(sum.at(i, tile.column + j), load(c.at(i, tile.column + j), lanes), lanes);
    });
  }
  tile_product(x, tile, sum);
  for (std::int64_t i = tile.row; i < end; ++i) {
    for_vectors<float>(tile.columns, [=](std::int64_t j, auto lanes) {
      store(c.at(i, tile.column + j), load(sum.at(i, tile.column + j), lanes), lanes);
    });
  }
}

/// An extent cut into tiles of whole units, as equal as can be.
struct Cut {
  std::int64_t extent = 0;
  std::int64_t unit = 1;
  std::int64_t count = 0;  ///< of tiles

  MOE_INLINE static Cut evenly(std::int64_t extent, std::int64_t most, std::int64_t unit) {
    return {extent, unit, (extent + most - 1) / most};
  }
  MOE_INLINE std::int64_t units() const { return (extent + unit - 1) / unit; }
  MOE_INLINE std::int64_t first(std::int64_t tile) const { return tile * units() / count * unit; }
  MOE_INLINE std::int64_t size(std::int64_t tile) const {
    const std::int64_t end = first(tile + 1);
    return (end < extent ? end : extent) - first(tile);
  }
  /// Of the largest tile.
  MOE_INLINE std::int64_t most() const {
    return count == 0 ? 0 : (units() + count - 1) / count * unit;
  }
};

struct Tiling {
  Cut rows;
  Cut columns;

  MOE_INLINE std::int64_t tiles() const { return rows.count * columns.count; }
  /// Tiles that share columns stand together.
  MOE_INLINE Tile tile(std::int64_t at) const {
    const std::int64_t row = at % rows.count;
    const std::int64_t column = at / rows.count;
    return {rows.first(row), rows.size(row), columns.first(column), columns.size(column)};
  }
};

/// Large tiles, so that packing is cheap beside multiplying; smaller ones where threads would idle.
/// Every row of every tile is summed in the same order, so this changes no bit.
template <class Mode>
Tiling choose_tiling(std::int64_t rows, std::int64_t columns, std::int64_t products, int threads) {
  constexpr std::int64_t kLeastRows = 48;
  constexpr std::int64_t kUnit = kPanel<Mode>;
  std::int64_t most_rows = kMostRows;
  std::int64_t most_columns = kMostColumns - kUnit;  // tiles may be a unit larger than equal parts
  for (;;) {
    const Tiling tiling{Cut::evenly(rows, most_rows, kMicroRows),
                        Cut::evenly(columns, most_columns, kUnit)};
    if (threads == 1 || products * tiling.tiles() >= 2 * threads) return tiling;
    const std::int64_t tall = tiling.rows.most();
    const std::int64_t wide = tiling.columns.most();
    if (tall > kLeastRows && (tall >= wide || wide <= kUnit)) {
      most_rows = tall / 2;
    } else if (wide > kUnit) {
      most_columns = wide / 2;
    } else {
      return tiling;
    }
  }
}

/// Calls f(Type<S>{}, Type<T>{}): elements of a and b, and of c (that of a, or f32).
template <class F>
MOE_INLINE void with_product_types(const char* kernel, const View& a, const View& b, const View& c,
                                   F&& f) {
  expect_dtype(kernel, "b", b, a.dtype);
  with_type(kernel, "a", a.dtype, [&]<class S>(Type<S>) {
    if (c.dtype == a.dtype) return f(Type<S>{}, Type<S>{});
    if constexpr (sizeof(S) == 2) {
      if (c.dtype == DType::F32) return f(Type<S>{}, Type<float>{});
    }
    throw_dtype(kernel, "c", c.dtype);
  });
}

}  // namespace
}  // namespace moe::kernels::MOE_ISA
