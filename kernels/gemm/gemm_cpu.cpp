#include "kernels/gemm/gemm.h"

#include "kernels/gemm/tile_product.h"

namespace moe::kernels::MOE_ISA {
namespace {

struct Extent {
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t depth;
};

Extent extent_of(const Gemm& args) {
  const RowLayout a = rows_of("gemm", "a", args.a);
  const Extent extent{args.transpose_a ? a.columns : a.rows, args.c.dim(1),
                      args.transpose_a ? a.rows : a.columns};
  expect_rows("gemm", "b", args.b, args.transpose_b ? extent.columns : extent.depth,
              args.transpose_b ? extent.depth : extent.columns);
  expect_rows("gemm", "c", args.c, extent.rows, extent.columns);
  return extent;
}

template <class S, class T>
void run(const Stream& stream, const Gemm& args, const Extent& extent) {
  using Mode = typename ModeOf<S>::type;
  using Acc = typename Mode::Acc;
  const Product<Mode, S> product{
      {args.a.as<const S>(), args.a.stride(0), !args.transpose_a, nullptr, 1, 0},
      {args.b.as<const S>(), args.b.stride(0), args.transpose_b, nullptr, 1, 0},
      extent.depth,
      static_cast<Acc>(args.alpha),
      static_cast<Acc>(args.beta)};
  const Output<T> c{args.c.as<T>(), args.c.stride(0)};
  const Tiling tiling =
      choose_tiling<Mode>(extent.rows, extent.columns, 1, stream.pool().threads());
  parallel(stream, tiling.tiles(), 1, [=](std::int64_t at, std::int64_t) {
    tile_product(product, tiling.tile(at), c);
  });
}

}  // namespace

void gemm(Stream& stream, const Gemm& args) {
  if (args.a.rank != 2) throw_shape("gemm", "a to be a matrix", args.a);
  if (args.b.rank != 2) throw_shape("gemm", "b to be a matrix", args.b);
  if (args.c.rank != 2) throw_shape("gemm", "c to be a matrix", args.c);
  const Extent extent = extent_of(args);
  with_product_types("gemm", args.a, args.b, args.c, [&]<class S, class T>(Type<S>, Type<T>) {
    run<S, T>(stream, args, extent);
  });
}

}  // namespace moe::kernels::MOE_ISA
