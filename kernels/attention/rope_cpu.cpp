#include "kernels/attention/rope.h"

#include "kernels/common/dispatch.h"

namespace moe::kernels::MOE_ISA {
namespace {

template <class T>
struct Turn {
  using C = ComputeType<T>;
  std::int64_t heads;
  std::int64_t half;
  const C* cosine;
  const C* sine;
  C sign;

  MOE_INLINE void token(const T* x, T* y) const {
    for (std::int64_t h = 0; h < heads; ++h) {
      const T* low = x + h * 2 * half;
      T* out = y + h * 2 * half;
      for_vectors<C>(half, [=, this](std::int64_t j, auto lanes) {
        const Vec<C> a = load(low + j, lanes);
        const Vec<C> b = load(low + half + j, lanes);
        const Vec<C> c = load(cosine + j, lanes);
        const Vec<C> s = load(sine + j, lanes) * broadcast(sign);
        store(out + j, fma(a, c, -(b * s)), lanes);
        store(out + half + j, fma(b, c, a * s), lanes);
      });
    }
  }
};

template <class T>
void run(const Stream& stream, const Rope& args) {
  using C = ComputeType<T>;
  const std::int64_t tokens = args.x.dim(0);
  const std::int64_t width = args.x.dim(1) * args.x.dim(2);
  const std::int64_t half = args.x.dim(2) / 2;
  const std::int64_t positions = args.cosine.dim(0);
  const Rows<const T> x{args.x.as<const T>(), args.x.stride(0)};
  const Rows<T> y{args.y.as<T>(), args.y.stride(0)};
  const auto* position = args.position.as<const std::int32_t>();
  const Turn<T> base{args.x.dim(1), half, args.cosine.as<const C>(), args.sine.as<const C>(),
                     args.inverse ? C(-1) : C(1)};
  parallel_rows(stream, tokens, width, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      const std::int64_t at = position[t];
      if (at < 0 || at >= positions) throw_index("rope", "position", t, at, positions);
      Turn<T> turn = base;
      turn.cosine += at * half;
      turn.sine += at * half;
      turn.token(x[t], y[t]);
    }
  });
}

void expect_heads(const char* what, const View& x, const View& like) {
  const bool fits = x.rank == 3 && x.dim(0) == like.dim(0) && x.dim(1) == like.dim(1) &&
                    x.dim(2) == like.dim(2) && (x.dim(2) <= 1 || x.stride(2) == 1) &&
                    (x.dim(1) <= 1 || x.stride(1) == x.dim(2));
  if (!fits) throw_shape("rope", what, x);
}

}  // namespace

void rope(Stream& stream, const Rope& args) {
  const char* kernel = "rope";
  if (args.x.rank != 3 || args.x.dim(2) % 2 != 0) {
    throw_shape(kernel, "x [tokens, heads, width], of even width", args.x);
  }
  expect_heads("x with contiguous heads", args.x, args.x);
  expect_heads("y with contiguous heads, of the shape of x", args.y, args.x);
  expect_dtype(kernel, "y", args.y, args.x.dtype);
  expect_dtype(kernel, "cosine", args.cosine, compute_dtype(args.x.dtype));
  expect_dtype(kernel, "sine", args.sine, compute_dtype(args.x.dtype));
  expect_dtype(kernel, "position", args.position, DType::I32);
  const std::int64_t half = args.x.dim(2) / 2;
  const std::int64_t positions = args.cosine.rank == 2 ? args.cosine.dim(0) : -1;
  if (expect_rows(kernel, "cosine", args.cosine, positions, half) != half && positions > 1) {
    throw_shape(kernel, "contiguous cosine", args.cosine);
  }
  expect_flat(kernel, "sine", args.sine, positions * half);
  expect_flat(kernel, "position", args.position, args.x.dim(0));
  with_type(kernel, "x", args.x.dtype, [&]<class T>(Type<T>) { run<T>(stream, args); });
}

}  // namespace moe::kernels::MOE_ISA
