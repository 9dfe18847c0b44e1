#include "kernels/gemm/grouped_gemm.h"

#include "kernels/gemm/groups.h"
#include "kernels/gemm/tile_product.h"

namespace moe::kernels::MOE_ISA {
namespace {

void expect_stack(const char* kernel, const char* what, const View& x, std::int64_t rows,
                  std::int64_t columns) {
  const bool fits = x.rank == 3 && x.dim(1) == rows && x.dim(2) == columns &&
                    (x.dim(2) <= 1 || x.stride(2) == 1);
  if (!fits) throw_shape(kernel, what, x);
}

/// The rows of a matrix from row `first` on, through its gather map if it has one.
template <class S>
Operand<S> rows_from(const View& x, const View& row, std::int64_t first, bool depth_contiguous) {
  const auto* map = row ? row.as<const std::int32_t>() + first : nullptr;
  const S* data = x.as<const S>() + (map == nullptr ? first * x.stride(0) : 0);
  return {data, x.stride(0), depth_contiguous, map, 1, 0};
}

/// One group's rows [first, first + rows), and which of its tiles.
struct GroupTile {
  std::int64_t group = 0;
  std::int64_t first = 0;
  std::int64_t rows = 0;
  std::int64_t at = 0;
};

/// How one group of `rows` rows is cut.
Tiling group_tiling(const Tiling& like, std::int64_t rows) {
  const std::int64_t most = like.rows.most();
  return {Cut::evenly(rows, most < 1 ? 1 : most, like.rows.unit), like.columns};
}

std::int64_t count_tiles(const std::int32_t* offset, std::int64_t groups, const Tiling& like) {
  std::int64_t tiles = 0;
  for (std::int64_t g = 0; g < groups; ++g) {
    tiles += group_tiling(like, offset[g + 1] - offset[g]).tiles();
  }
  return tiles;
}

GroupTile find_tile(const std::int32_t* offset, std::int64_t at, const Tiling& like) {
  GroupTile tile;
  tile.at = at;
  for (;; ++tile.group) {
    tile.first = offset[tile.group];
    tile.rows = offset[tile.group + 1] - tile.first;
    const std::int64_t tiles = group_tiling(like, tile.rows).tiles();
    if (tile.at < tiles) return tile;
    tile.at -= tiles;
  }
}

template <class S, class T>
void run(const Stream& stream, const GroupedGemm& args) {
  using Mode = typename ModeOf<S>::type;
  using Acc = typename Mode::Acc;
  const std::int64_t groups = args.b.dim(0);
  const std::int64_t columns = args.c.dim(1);
  const auto* offset = args.offset.as<const std::int32_t>();
  const Tiling tiling = choose_tiling<Mode>(args.c.dim(0) / groups + 1, columns, groups,
                                            stream.pool().threads());
  parallel(stream, count_tiles(offset, groups, tiling), 1, [&](std::int64_t at, std::int64_t) {
    const GroupTile tile = find_tile(offset, at, tiling);
    const Product<Mode, S> product{
        rows_from<S>(args.a, args.row, tile.first, true),
        {args.b.as<const S>() + tile.group * args.b.stride(0), args.b.stride(1), args.transpose_b,
         nullptr, 1, 0},
        args.a.dim(1),
        Acc(1),
        static_cast<Acc>(args.beta)};
    const Output<T> c{args.c.as<T>() + tile.first * args.c.stride(0), args.c.stride(0)};
    tile_product(product, group_tiling(tiling, tile.rows).tile(tile.at), c);
  });
}

template <class S, class T>
void run_weight(const Stream& stream, const GroupedGemmWeight& args) {
  using Mode = typename ModeOf<S>::type;
  using Acc = typename Mode::Acc;
  const std::int64_t groups = args.c.dim(0);
  const std::int64_t rows = args.c.dim(1);
  const std::int64_t columns = args.c.dim(2);
  const auto* offset = args.offset.as<const std::int32_t>();
  const Tiling tiling =
      choose_tiling<Mode>(rows, columns, groups, stream.pool().threads());
  const std::int64_t each = tiling.tiles();
  parallel(stream, groups * each, 1, [&](std::int64_t at, std::int64_t) {
    const std::int64_t group = at / each;
    const std::int64_t first = offset[group];
    const Product<Mode, S> product{rows_from<S>(args.a, args.row_a, first, false),
                                   rows_from<S>(args.b, args.row_b, first, false),
                                   offset[group + 1] - first, Acc(1), static_cast<Acc>(args.beta)};
    const Output<T> c{args.c.as<T>() + group * args.c.stride(0), args.c.stride(1)};
    tile_product(product, tiling.tile(at % each), c);
  });
}

}  // namespace

void grouped_gemm(Stream& stream, const GroupedGemm& args) {
  const char* kernel = "grouped_gemm";
  if (args.a.rank != 2) throw_shape(kernel, "a to be a matrix", args.a);
  if (args.c.rank != 2) throw_shape(kernel, "c to be a matrix", args.c);
  const RowLayout a = rows_of(kernel, "a", args.a);
  const RowLayout c = rows_of(kernel, "c", args.c);
  expect_stack(kernel, "b to hold one matrix a group, from a's columns to c's", args.b,
               args.transpose_b ? c.columns : a.columns, args.transpose_b ? a.columns : c.columns);
  expect_groups(kernel, args.offset, args.b.dim(0), c.rows);
  expect_map(kernel, "row", args.row, c.rows, args.a);
  if (c.rows == 0) return;
  with_product_types(kernel, args.a, args.b, args.c,
                     [&]<class S, class T>(Type<S>, Type<T>) { run<S, T>(stream, args); });
}

void grouped_gemm_weight(Stream& stream, const GroupedGemmWeight& args) {
  const char* kernel = "grouped_gemm_weight";
  if (args.a.rank != 2) throw_shape(kernel, "a to be a matrix", args.a);
  if (args.b.rank != 2) throw_shape(kernel, "b to be a matrix", args.b);
  const RowLayout a = rows_of(kernel, "a", args.a);
  const RowLayout b = rows_of(kernel, "b", args.b);
  expect_stack(kernel, "c to hold one matrix a group, a's columns by b's", args.c, a.columns,
               b.columns);
  expect_dtype(kernel, "c", args.c, compute_dtype(args.a.dtype));
  const std::int64_t rows = args.offset.rank == 1 && args.offset.dim(0) == args.c.dim(0) + 1
                                ? args.offset.as<const std::int32_t>()[args.c.dim(0)]
                                : -1;
  expect_groups(kernel, args.offset, args.c.dim(0), rows);
  expect_map(kernel, "row_a", args.row_a, rows, args.a);
  expect_map(kernel, "row_b", args.row_b, rows, args.b);
  with_product_types(kernel, args.a, args.b, args.c, [&]<class S, class T>(Type<S>, Type<T>) {
    if constexpr (sizeof(T) != 2) run_weight<S, T>(stream, args);
  });
}

}  // namespace moe::kernels::MOE_ISA
