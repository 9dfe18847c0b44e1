/// Speed of causal attention and of rope. FLOP count pairs in range only: 4 C a pair forward, 10 C
/// backward. The last number of each name is the thread count.
/// Usage: attention_bench [--benchmark_filter=backward]
#include "kernels/attention/attention.h"

#include <cmath>

#include "bench/product_rate.h"
#include "kernels/attention/rope.h"

namespace moe::kernels {
namespace {

using bench::Buffer;
using bench::measure_rate;
using bench::one_and_two_threads;

struct Size {
  std::int64_t batch;
  std::int64_t queries;
  std::int64_t keys;
  std::int64_t heads;
  std::int64_t groups;
  std::int64_t width;
};

struct Problem {
  Problem(DType dtype, Size size)
      : s(size),
        q(dtype, {s.batch * s.queries, s.heads, s.width}),
        k(dtype, {s.batch * s.keys, s.groups, s.width}),
        v(dtype, {s.batch * s.keys, s.groups, s.width}),
        o(dtype, {s.batch * s.queries, s.heads, s.width}),
        d_o(dtype, {s.batch * s.queries, s.heads, s.width}),
        dq(dtype, {s.batch * s.queries, s.heads, s.width}),
        dk(dtype, {s.batch * s.keys, s.groups, s.width}),
        dv(dtype, {s.batch * s.keys, s.groups, s.width}),
        begin(DType::I32, {s.batch * s.queries}),
        end(DType::I32, {s.batch * s.queries}),
        logsumexp(DType::F32, {s.batch * s.queries, s.heads}) {
    for (Buffer* x : {&q, &k, &v, &d_o}) x->vary();
    auto* last = end.view().as<std::int32_t>();
    for (std::int64_t t = 0; t < s.batch * s.queries; ++t) {
      last[t] = static_cast<std::int32_t>(s.keys - s.queries + t % s.queries + 1);
      pairs += static_cast<double>(last[t] * s.heads);
    }
  }
  double scale() const { return 1.0 / std::sqrt(static_cast<double>(s.width)); }
  double flop(double each) const { return each * static_cast<double>(s.width) * pairs; }
  void forward(Stream& stream) const {
    attention(stream, {q, k, v, begin, end, o, logsumexp, scale(), s.batch});
  }

  Size s;
  Buffer q, k, v, o, d_o, dq, dk, dv, begin, end, logsumexp;
  double pairs = 0.0;
};

void forward(benchmark::State& state, DType dtype, Size size) {
  const Problem x(dtype, size);
  measure_rate(state, x.flop(4.0), [&](Stream& stream) { x.forward(stream); });
}

void backward(benchmark::State& state, DType dtype, Size size) {
  const Problem x(dtype, size);
  Stream first(1, choose_cpu_isa());
  x.forward(first);
  measure_rate(state, x.flop(10.0), [&](Stream& stream) {
    attention_backward(stream, {x.q, x.k, x.v, x.begin, x.end, x.o, x.logsumexp, x.d_o, x.dq, x.dk,
                                x.dv, x.scale(), x.s.batch});
  });
}

void rope_in_place(benchmark::State& state, DType dtype) {
  Buffer x(dtype, {2048, 8, 64});
  Buffer cosine(DType::F32, {2048, 32});
  Buffer sine(DType::F32, {2048, 32});
  Buffer position(DType::I32, {2048});
  x.vary();
  position.spread(2048);
  measure_rate(state, 3.0 * 2048 * 8 * 64, [&](Stream& stream) {
    rope(stream, {x, x, cosine, sine, position, false});
  });
}

#define MOE_BENCH_CASE(function, name, ...) \
  BENCHMARK_CAPTURE(function, name, __VA_ARGS__)->Apply(one_and_two_threads)

MOE_BENCH_CASE(forward, f32_s512, DType::F32, Size{4, 512, 512, 8, 8, 64});
MOE_BENCH_CASE(forward, f32_s2048, DType::F32, Size{1, 2048, 2048, 8, 8, 64});
MOE_BENCH_CASE(forward, f32_s4096, DType::F32, Size{1, 4096, 4096, 2, 2, 64});
MOE_BENCH_CASE(forward, f32_s2048_groups, DType::F32, Size{1, 2048, 2048, 8, 2, 64});
MOE_BENCH_CASE(forward, f32_s2048_wide, DType::F32, Size{1, 2048, 2048, 4, 4, 128});
MOE_BENCH_CASE(forward, bf16_s512, DType::BF16, Size{4, 512, 512, 8, 8, 64});
MOE_BENCH_CASE(forward, bf16_s2048, DType::BF16, Size{1, 2048, 2048, 8, 8, 64});
MOE_BENCH_CASE(forward, f32_decode_4096, DType::F32, Size{8, 1, 4096, 8, 8, 64});
MOE_BENCH_CASE(forward, f32_decode_4096_groups, DType::F32, Size{8, 1, 4096, 8, 2, 64});
MOE_BENCH_CASE(backward, f32_s512, DType::F32, Size{4, 512, 512, 8, 8, 64});
MOE_BENCH_CASE(backward, f32_s2048, DType::F32, Size{1, 2048, 2048, 8, 8, 64});
MOE_BENCH_CASE(backward, f32_s4096, DType::F32, Size{1, 4096, 4096, 2, 2, 64});
MOE_BENCH_CASE(backward, f32_s2048_groups, DType::F32, Size{1, 2048, 2048, 8, 2, 64});
MOE_BENCH_CASE(backward, bf16_s512, DType::BF16, Size{4, 512, 512, 8, 8, 64});
MOE_BENCH_CASE(backward, bf16_s2048, DType::BF16, Size{1, 2048, 2048, 8, 8, 64});
MOE_BENCH_CASE(rope_in_place, f32, DType::F32);
MOE_BENCH_CASE(rope_in_place, bf16, DType::BF16);

}  // namespace
}  // namespace moe::kernels

BENCHMARK_MAIN();
