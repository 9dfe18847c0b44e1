#include "kernels/elementwise/rows.h"

#include "kernels/common/dispatch.h"
#include "kernels/common/sort_rows.h"

namespace moe::kernels::MOE_ISA {
namespace {

/// Columns summed at a time: enough vectors to hide the latency of rows that come from far apart.
template <class C>
inline constexpr std::int64_t kChunk = 4 * kLanes<C>;

template <class X, class Out>
MOE_INLINE void copy_row(const X* x, Out* out, std::int64_t columns) {
  using Wider = decltype(ComputeType<X>{} + ComputeType<Out>{});
  if constexpr (__is_same(X, Out)) {
    __builtin_memcpy(out, x, static_cast<std::size_t>(columns) * sizeof(X));
  } else {
    for_vectors<Wider>(columns, [=](std::int64_t i, auto lanes) {
      store(out + i, load_as<Wider>(x + i, lanes), lanes);
    });
  }
}

template <class X, class Out>
void gather_typed(const Stream& stream, const GatherRows& args) {
  const RowLayout layout = rows_of("gather_rows", "x", args.x);
  const std::int64_t columns = layout.columns;
  const std::int64_t rows = args.index.numel();
  const Rows<const X> x{args.x.as<const X>(), layout.stride};
  const Rows<Out> out{args.out.as<Out>(),
                      expect_rows("gather_rows", "out", args.out, rows, columns)};
  const auto* index = args.index.as<const std::int32_t>();
  parallel_rows(stream, rows, columns, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const std::int64_t from = index[r];
      if (from < -1 || from >= layout.rows) {
        throw_index("gather_rows", "index", r, from, layout.rows);
      }
      if (from >= 0) {
        copy_row(x[from], out[r], columns);
      } else {
        clear_row(out[r], columns);
      }
    }
  });
}

/// target[first, first + width) += (or =) the rows named by keys [begin, end), in order.
template <class T, class C, class Lanes>
MOE_INLINE void add_rows(const Rows<const T>& x, const std::uint64_t* begin,
                         const std::uint64_t* end, std::int64_t column, C* target, bool fresh,
                         Lanes lanes) {
  Vec<C> total = fresh ? zero<C>() : load(target + column, lanes);
  for (const std::uint64_t* key = begin; key != end; ++key) {
    total += load_as<C>(x[static_cast<std::int64_t>(*key & 0xffffffffU)] + column, lanes);
  }
  store(target + column, total, lanes);
}

/// The same for four vectors at once.
template <class T, class C>
MOE_INLINE void add_rows_wide(const Rows<const T>& x, const std::uint64_t* begin,
                              const std::uint64_t* end, std::int64_t column, C* target,
                              bool fresh) {
  Vec<C> total[4];
  for (int w = 0; w < 4; ++w) {
    total[w] = fresh ? zero<C>() : load(target + column + w * kLanes<C>);
  }
  for (const std::uint64_t* key = begin; key != end; ++key) {
    const T* row = x[static_cast<std::int64_t>(*key & 0xffffffffU)] + column;
    for (int w = 0; w < 4; ++w) total[w] += load_as<C>(row + w * kLanes<C>);
  }
  for (int w = 0; w < 4; ++w) store(target + column + w * kLanes<C>, total[w]);
}

/// A sorted scatter. A tile is a range of keys times a range of columns, so that one target with
/// very many sources is still shared by several threads.
template <class T>
struct Scatter {
  using C = ComputeType<T>;
  static constexpr std::int64_t kColumns = 256;

  Rows<const T> x;
  Rows<C> target;
  std::int64_t columns;
  const std::uint64_t* key;
  std::int64_t keys;
  std::int64_t keys_per_tile;
  bool fresh;

  std::int64_t column_tiles() const { return (columns + kColumns - 1) / kColumns; }
  std::int64_t target_of(std::int64_t i) const { return static_cast<std::int64_t>(key[i] >> 32); }

  void add_target(std::int64_t begin, std::int64_t end, std::int64_t column,
                  std::int64_t stop) const {
    C* row = target[target_of(begin)];
    const std::uint64_t* from = key + begin;
    const std::uint64_t* to = key + end;
    for (; column + kChunk<C> <= stop; column += kChunk<C>) {
      add_rows_wide(x, from, to, column, row, fresh);
    }
    for (; column + kLanes<C> <= stop; column += kLanes<C>) {
      add_rows(x, from, to, column, row, fresh, All{});
    }
    if (column < stop) {
      add_rows(x, from, to, column, row, fresh, First{static_cast<int>(stop - column)});
    }
  }

  /// The targets whose first key lies in this tile's range.
  void run(std::int64_t tile) const {
    const std::int64_t column = tile % column_tiles() * kColumns;
    const std::int64_t stop = column + kColumns < columns ? column + kColumns : columns;
    std::int64_t begin = tile / column_tiles() * keys_per_tile;
    const std::int64_t last = begin + keys_per_tile < keys ? begin + keys_per_tile : keys;
    while (begin < last && begin > 0 && target_of(begin) == target_of(begin - 1)) ++begin;
    while (begin < last) {
      std::int64_t end = begin + 1;
      while (end < keys && target_of(end) == target_of(begin)) ++end;
      add_target(begin, end, column, stop);
      begin = end;
    }
  }
};

/// Zeros in the target rows that no key names.
template <class C>
void clear_others(const Stream& stream, const std::uint64_t* key, std::int64_t keys, Rows<C> target,
                  std::int64_t targets, std::int64_t columns) {
  parallel_rows(stream, targets, columns, [=](std::int64_t begin, std::int64_t end) {
    std::int64_t low = 0;
    std::int64_t high = keys;
    while (low < high) {  // the first key at or past row `begin`
      const std::int64_t middle = (low + high) / 2;
      if (static_cast<std::int64_t>(key[middle] >> 32) < begin) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t first = low;
      while (low < keys && static_cast<std::int64_t>(key[low] >> 32) == row) ++low;
      if (low == first) clear_row(target[row], columns);
    }
  });
}

template <class T>
void scatter_typed(const Stream& stream, const ScatterAddRows& args) {
  using C = ComputeType<T>;
  const char* kernel = "scatter_add_rows";
  const RowLayout layout = rows_of(kernel, "x", args.x);
  const RowLayout targets = rows_of(kernel, "target", args.target);
  expect_rows(kernel, "target", args.target, targets.rows, layout.columns);
  expect_dtype(kernel, "target", args.target, compute_dtype(args.x.dtype));
  if (args.beta != 0.0F && args.beta != 1.0F) throw_shape(kernel, "beta 0 or 1", args.target);

  const Scratch scratch(2 * layout.rows * static_cast<std::int64_t>(sizeof(std::uint64_t)));
  auto* key = scratch.as<std::uint64_t>();
  const auto* index = args.index.as<const std::int32_t>();
  const std::int64_t keys = sort_rows(index, layout.rows, targets.rows, key, key + layout.rows);
  if (keys < 0) throw_index(kernel, "index", -1 - keys, index[-1 - keys], targets.rows);

  const Rows<C> target{args.target.as<C>(), targets.stride};
  const bool fresh = args.beta == 0.0F;
  if (fresh) clear_others(stream, key, keys, target, targets.rows, layout.columns);
  Scatter<T> scatter{
      {args.x.as<const T>(), layout.stride}, target, layout.columns, key, keys, 64, fresh};
  const std::int64_t tiles = (keys + 63) / 64 * scatter.column_tiles();
  parallel(stream, tiles, 1, [&](std::int64_t tile, std::int64_t) { scatter.run(tile); });
}

template <class T, class C, class Lanes, int kWidth>
MOE_INLINE void combine_chunk(const Rows<const T>& x, const std::int32_t* index,
                              std::int64_t choices, T* out, Lanes lanes, Type<C[kWidth]>) {
  Vec<C> total[kWidth];
  for (int w = 0; w < kWidth; ++w) total[w] = zero<C>();
  for (std::int64_t k = 0; k < choices; ++k) {
    if (index[k] < 0) continue;
    const T* row = x[index[k]];
    for (int w = 0; w < kWidth; ++w) total[w] += load(row + w * kLanes<C>, lanes);
  }
  for (int w = 0; w < kWidth; ++w) store(out + w * kLanes<C>, total[w], lanes);
}

/// One token: the sum of its rows.
template <class T>
MOE_INLINE void combine_token(Rows<const T> x, const std::int32_t* index, std::int64_t choices,
                              T* out, std::int64_t columns) {
  using C = ComputeType<T>;
  std::int64_t i = 0;
  for (; i + kChunk<C> <= columns; i += kChunk<C>) {
    const Rows<const T> at{x.data + i, x.stride};
    combine_chunk(at, index, choices, out + i, All{}, Type<C[4]>{});
  }
  for_vectors<C>(columns - i, [=](std::int64_t j, auto lanes) {
    const Rows<const T> at{x.data + i + j, x.stride};
    combine_chunk(at, index, choices, out + i + j, lanes, Type<C[1]>{});
  });
}

template <class T>
void combine_typed(const Stream& stream, const CombineRows& args) {
  const char* kernel = "combine_rows";
  const RowLayout layout = rows_of(kernel, "x", args.x);
  const std::int64_t columns = layout.columns;
  const RowLayout routes = rows_of(kernel, "index", args.index);
  flat(kernel, "index", args.index);
  const std::int64_t choices = routes.columns;
  const Rows<const T> x{args.x.as<const T>(), layout.stride};
  const Rows<T> out{args.out.as<T>(), expect_rows(kernel, "out", args.out, routes.rows, columns)};
  const auto* index = args.index.as<const std::int32_t>();
  parallel_rows(stream, routes.rows, columns, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      const std::int32_t* from = index + t * choices;
      for (std::int64_t k = 0; k < choices; ++k) {
        if (from[k] < -1 || from[k] >= layout.rows) {
          throw_index(kernel, "index", t * choices + k, from[k], layout.rows);
        }
      }
      combine_token(x, from, choices, out[t], columns);
    }
  });
}

}  // namespace

void gather_rows(Stream& stream, const GatherRows& args) {
  expect_dtype("gather_rows", "index", args.index, DType::I32);
  flat("gather_rows", "index", args.index);
  with_type("gather_rows", "x", args.x.dtype, [&]<class X>(Type<X>) {
    with_type("gather_rows", "out", args.out.dtype,
              [&]<class Out>(Type<Out>) { gather_typed<X, Out>(stream, args); });
  });
}

void scatter_add_rows(Stream& stream, const ScatterAddRows& args) {
  expect_dtype("scatter_add_rows", "index", args.index, DType::I32);
  expect_flat("scatter_add_rows", "index", args.index,
              rows_of("scatter_add_rows", "x", args.x).rows);
  with_type("scatter_add_rows", "x", args.x.dtype,
            [&]<class T>(Type<T>) { scatter_typed<T>(stream, args); });
}

void combine_rows(Stream& stream, const CombineRows& args) {
  expect_dtype("combine_rows", "index", args.index, DType::I32);
  expect_dtype("combine_rows", "out", args.out, args.x.dtype);
  with_type("combine_rows", "x", args.x.dtype,
            [&]<class T>(Type<T>) { combine_typed<T>(stream, args); });
}

}  // namespace moe::kernels::MOE_ISA
