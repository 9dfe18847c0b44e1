/// Speed of dense and grouped matrix products; `share` compares with a 1024^3 f32 product of oneDNN
/// on as many threads (oneDNN takes the CPU's best instruction set whatever MOE_CPU_ISA
/// says, unless ONEDNN_MAX_CPU_ISA is set). The last number of each name is the thread count.
/// Usage: gemm_bench [--benchmark_filter=dense]
#include "kernels/gemm/gemm.h"

#include "bench/product_rate.h"
#include "kernels/gemm/grouped_gemm.h"

namespace moe::kernels {
namespace {

using bench::Buffer;
using bench::measure_rate;
using bench::one_and_two_threads;

struct Size {
  std::int64_t m;
  std::int64_t n;
  std::int64_t k;
  bool transpose_a;
  bool transpose_b;
  double flop() const { return 2.0 * static_cast<double>(m) * static_cast<double>(n * k); }
};

constexpr Size kSquare{1024, 1024, 1024, false, false};
constexpr Size kForward{2048, 512, 512, false, true};
constexpr Size kForwardWide{2048, 1024, 512, false, true};
constexpr Size kInputGradient{2048, 512, 1024, false, false};
constexpr Size kWeightGradient{512, 1024, 2048, true, false};
constexpr Size kHead{512, 8192, 512, false, true};
constexpr Size kHeadGradient{8192, 512, 512, true, false};
constexpr Size kDecode{1, 8192, 512, false, true};
constexpr Size kDecodeLarge{1, 4096, 4096, false, true};

void dense(benchmark::State& state, DType dtype, Size s) {
  Buffer a(dtype, {s.transpose_a ? s.k : s.m, s.transpose_a ? s.m : s.k});
  Buffer b(dtype, {s.transpose_b ? s.n : s.k, s.transpose_b ? s.k : s.n});
  const Buffer c(s.transpose_a ? DType::F32 : dtype, {s.m, s.n});
  a.vary();
  b.vary();
  measure_rate(state, s.flop(), [&](Stream& stream) {
    gemm(stream, {a, b, c, s.transpose_a, s.transpose_b, 1.0F, s.transpose_a ? 1.0F : 0.0F});
  });
}

/// oneDNN on the same shape, one call on one thread.
void dnnl(benchmark::State& state, Size s) {
  Buffer a(DType::F32, {s.m, s.k});
  Buffer b(DType::F32, {s.k, s.n});
  const Buffer c(DType::F32, {s.m, s.n});
  a.vary();
  b.vary();
  measure_rate(state, s.flop(), [&](Stream& stream) {
    stream.pool().parallel_for(1, [&](std::int64_t) {
      dnnl_sgemm(s.transpose_a ? 'T' : 'N', s.transpose_b ? 'T' : 'N', s.m, s.n, s.k, 1.0F,
                 a.view().as<float>(), s.transpose_a ? s.m : s.k, b.view().as<float>(),
                 s.transpose_b ? s.k : s.n, s.transpose_a ? 1.0F : 0.0F, c.view().as<float>(),
                 s.n);
    });
  });
}

/// Group sizes around `rows / groups`, the largest twice the smallest.
Buffer& ragged(Buffer& offset, std::int64_t rows, std::int64_t groups) {
  auto* at = offset.view().as<std::int32_t>();
  for (std::int64_t g = 0; g <= groups; ++g) {
    at[g] = static_cast<std::int32_t>(rows * g * (2 * groups + g) / (3 * groups * groups));
  }
  return offset;
}

void grouped(benchmark::State& state, DType dtype, std::int64_t rows, std::int64_t groups) {
  constexpr std::int64_t kIn = 512;
  constexpr std::int64_t kOut = 1024;
  Buffer a(dtype, {rows / 2 + 1, kIn});
  Buffer row(DType::I32, {rows});
  Buffer offset(DType::I32, {groups + 1});
  Buffer b(dtype, {groups, kOut, kIn});
  const Buffer c(dtype, {rows, kOut});
  a.vary();
  b.vary();
  row.spread(rows / 2 + 1);
  ragged(offset, rows, groups);
  measure_rate(state, 2.0 * static_cast<double>(rows * kIn * kOut), [&](Stream& stream) {
    grouped_gemm(stream, {a, row, offset, b, c, true, 0.0F});
  });
}

void grouped_weight(benchmark::State& state, DType dtype, std::int64_t rows, std::int64_t groups) {
  constexpr std::int64_t kIn = 512;
  constexpr std::int64_t kOut = 1024;
  Buffer a(dtype, {rows, kOut});
  Buffer b(dtype, {rows / 2 + 1, kIn});
  Buffer row(DType::I32, {rows});
  Buffer offset(DType::I32, {groups + 1});
  const Buffer c(DType::F32, {groups, kOut, kIn});
  a.vary();
  b.vary();
  row.spread(rows / 2 + 1);
  ragged(offset, rows, groups);
  measure_rate(state, 2.0 * static_cast<double>(rows * kIn * kOut), [&](Stream& stream) {
    grouped_gemm_weight(stream, {a, View{}, b, row, offset, c, 1.0F});
  });
}

#define MOE_BENCH_CASE(function, name, ...) \
  BENCHMARK_CAPTURE(function, name, __VA_ARGS__)->Apply(one_and_two_threads)
#define MOE_BENCH_SHAPE(name, size)                         \
  MOE_BENCH_CASE(dense, f32_##name, DType::F32, size);      \
  MOE_BENCH_CASE(dense, bf16_##name, DType::BF16, size);    \
  BENCHMARK_CAPTURE(dnnl, f32_##name, size)->Arg(1)->UseRealTime()->Unit(benchmark::kMicrosecond)

MOE_BENCH_SHAPE(square, kSquare);
MOE_BENCH_SHAPE(forward, kForward);
MOE_BENCH_SHAPE(forward_wide, kForwardWide);
MOE_BENCH_SHAPE(input_gradient, kInputGradient);
MOE_BENCH_SHAPE(weight_gradient, kWeightGradient);
MOE_BENCH_SHAPE(head, kHead);
MOE_BENCH_SHAPE(head_gradient, kHeadGradient);
MOE_BENCH_SHAPE(decode, kDecode);
MOE_BENCH_SHAPE(decode_large, kDecodeLarge);
MOE_BENCH_CASE(dense, f64_square, DType::F64, Size{512, 512, 512, false, false});
MOE_BENCH_CASE(grouped, f32_4096_in_8, DType::F32, 4096, 8);
MOE_BENCH_CASE(grouped, bf16_4096_in_8, DType::BF16, 4096, 8);
MOE_BENCH_CASE(grouped, f32_1024_in_64, DType::F32, 1024, 64);
MOE_BENCH_CASE(grouped_weight, f32_4096_in_8, DType::F32, 4096, 8);
MOE_BENCH_CASE(grouped_weight, bf16_4096_in_8, DType::BF16, 4096, 8);
MOE_BENCH_CASE(grouped_weight, f32_1024_in_64, DType::F32, 1024, 64);

}  // namespace
}  // namespace moe::kernels

BENCHMARK_MAIN();
