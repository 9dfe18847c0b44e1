/// Speed of the CPU kernels in bytes that must move, beside what plain loops over the same memory
/// reach. Usage: moe_bench [--benchmark_filter=adamw]; MOE_CPU_ISA=avx2 lowers the instruction set.
/// The last number of each name is the thread count; bytes_per_second counts each element read or
/// written once (no read-for-ownership).
#include <benchmark/benchmark.h>
#include <immintrin.h>

#include <cstring>
#include <string>
#include <vector>

#include "bench/buffer.h"
#include "device/cpu_isa.h"
#include "device/stream.h"
#include "kernels/elementwise/activation.h"
#include "kernels/elementwise/arithmetic.h"
#include "kernels/elementwise/rows.h"
#include "kernels/loss/cross_entropy.h"
#include "kernels/moe/top_k_router.h"
#include "kernels/norm/rms_norm.h"
#include "kernels/optim/adamw.h"

namespace moe::kernels {
namespace {

using bench::Buffer;

template <class F>
void measure(benchmark::State& state, std::int64_t bytes, F&& run) {
  Stream stream(static_cast<int>(state.range(0)), choose_cpu_isa());
  run(stream);
  for (auto _ : state) {
    run(stream);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * bytes);
  state.SetLabel(std::string(to_string(stream.isa())));
}

constexpr std::int64_t kLarge = std::int64_t{1} << 23;  // 32 MiB of f32: past the caches
constexpr std::int64_t kGrain = 16384;

void memcpy_roof(benchmark::State& state) {
  const Buffer from(DType::F32, {kLarge});
  const Buffer to(DType::F32, {kLarge});
  const auto* x = from.view().as<const float>();
  auto* y = to.view().as<float>();
  measure(state, 8 * kLarge, [=](Stream& stream) {
    stream.pool().parallel_ranges(kLarge, kGrain, [=](std::int64_t begin, std::int64_t end) {
      std::memcpy(y + begin, x + begin, static_cast<std::size_t>(end - begin) * sizeof(float));
    });
  });
}

void triad_roof(benchmark::State& state) {
  const Buffer a(DType::F32, {kLarge});
  const Buffer b(DType::F32, {kLarge});
  const Buffer c(DType::F32, {kLarge});
  auto* out = a.view().as<float>();
  const auto* x = b.view().as<const float>();
  const auto* y = c.view().as<const float>();
  measure(state, 12 * kLarge, [=](Stream& stream) {
    stream.pool().parallel_ranges(kLarge, kGrain, [=](std::int64_t begin, std::int64_t end) {
      const __m128 three = _mm_set1_ps(3.0F);
      for (std::int64_t i = begin; i < end; i += 8) {  // two, so that the loop is no limit
        const __m128 a0 = _mm_mul_ps(three, _mm_loadu_ps(y + i));
        const __m128 a1 = _mm_mul_ps(three, _mm_loadu_ps(y + i + 4));
        _mm_storeu_ps(out + i, _mm_add_ps(_mm_loadu_ps(x + i), a0));
        _mm_storeu_ps(out + i + 4, _mm_add_ps(_mm_loadu_ps(x + i + 4), a1));
      }
    });
  });
}

void adamw_f32(benchmark::State& state, bool with_copy) {
  Buffer p(DType::F32, {kLarge});
  Buffer g(DType::F32, {kLarge});
  Buffer m(DType::F32, {kLarge});
  Buffer v(DType::F32, {kLarge});
  Buffer copy(DType::BF16, {kLarge});
  Buffer step(DType::F32, {4});
  p.vary();
  g.vary();
  const float values[] = {1e-3F, 1.0F, 0.1F, 0.05F};
  std::memcpy(step.view().data, values, sizeof(values));
  measure(state, (with_copy ? 30 : 28) * kLarge, [&](Stream& stream) {
    adamw(stream, {p, g, m, v, with_copy ? copy.view() : View{}, step});
  });
}

void sum_squares_f32(benchmark::State& state) {
  Buffer x(DType::F32, {kLarge});
  Buffer out(DType::F64, {1});
  measure(state, 4 * kLarge, [&](Stream& stream) { sum_squares(stream, {x, out}); });
}

void add_f32(benchmark::State& state) {
  Buffer x(DType::F32, {kLarge});
  Buffer y(DType::F32, {kLarge});
  Buffer out(DType::F32, {kLarge});
  measure(state, 12 * kLarge, [&](Stream& stream) { add(stream, {x, y, out}); });
}

void cast_to_bf16(benchmark::State& state) {
  Buffer x(DType::F32, {kLarge});
  Buffer out(DType::BF16, {kLarge});
  measure(state, 6 * kLarge, [&](Stream& stream) { scale_cast(stream, {x, out}); });
}

struct Size {
  std::int64_t rows;
  std::int64_t columns;
};
constexpr Size kLayer{2048, 512};  // one small model's activations: stays in the last cache
constexpr Size kMemory{16384, 1024};

void rms_norm_forward(benchmark::State& state, DType dtype, Size s, bool residual) {
  Buffer x(dtype, {s.rows, s.columns});
  Buffer delta(dtype, {s.rows, s.columns});
  Buffer weight(DType::F32, {s.columns});
  Buffer y(dtype, {s.rows, s.columns});
  Buffer rstd(DType::F32, {s.rows});
  x.vary();
  const std::int64_t bytes = (residual ? 4 : 2) * s.rows * s.columns * size_of(dtype);
  measure(state, bytes, [&](Stream& stream) {
    rms_norm(stream,
             {x, residual ? delta.view() : View{}, weight, residual ? x.view() : View{}, y, rstd});
  });
}

void rms_norm_gradient(benchmark::State& state, DType dtype, Size s) {
  Buffer x(dtype, {s.rows, s.columns});
  Buffer weight(DType::F32, {s.columns});
  Buffer dy(dtype, {s.rows, s.columns});
  Buffer dx(dtype, {s.rows, s.columns});
  Buffer rstd(DType::F32, {s.rows});
  Buffer dweight(DType::F32, {s.columns});
  x.vary();
  measure(state, 3 * s.rows * s.columns * size_of(dtype), [&](Stream& stream) {
    rms_norm_backward(stream, {x, weight, rstd, dy, {}, dx, dweight, 1.0F});
  });
}

void activation_forward(benchmark::State& state, DType dtype, Size s, ActivationKind kind) {
  Buffer x(dtype, {s.rows, 2 * s.columns});
  Buffer weight(DType::F32, {s.rows});
  Buffer out(dtype, {s.rows, s.columns});
  x.vary();
  measure(state, 3 * s.rows * s.columns * size_of(dtype), [&](Stream& stream) {
    activation(stream, {x, weight, out, kind, true});
  });
}

void activation_gradient(benchmark::State& state, DType dtype, Size s, ActivationKind kind) {
  Buffer x(dtype, {s.rows, 2 * s.columns});
  Buffer weight(DType::F32, {s.rows});
  Buffer dout(dtype, {s.rows, s.columns});
  Buffer dx(dtype, {s.rows, 2 * s.columns});
  Buffer dweight(DType::F32, {s.rows});
  x.vary();
  dout.vary();
  measure(state, 5 * s.rows * s.columns * size_of(dtype), [&](Stream& stream) {
    activation_backward(stream, {x, weight, dout, dx, dweight, kind, true});
  });
}

void cross_entropy_gradient(benchmark::State& state, Size s, DType gradient) {
  Buffer logits(DType::F32, {s.rows, s.columns});
  Buffer dlogits(gradient, {s.rows, s.columns});
  Buffer target(DType::I32, {s.rows});
  Buffer loss(DType::F32, {s.rows});
  logits.vary();
  target.spread(s.columns);
  measure(state, (4 + size_of(gradient)) * s.rows * s.columns, [&](Stream& stream) {
    cross_entropy(stream, {logits, target, loss, dlogits, 1e-3});
  });
}

void gather(benchmark::State& state, DType dtype, Size s) {
  Buffer x(dtype, {s.rows, s.columns});
  Buffer index(DType::I32, {2 * s.rows});
  Buffer out(dtype, {2 * s.rows, s.columns});
  index.spread(s.rows);
  measure(state, 4 * s.rows * s.columns * size_of(dtype), [&](Stream& stream) {
    gather_rows(stream, {x, index, out});
  });
}

void combine(benchmark::State& state, DType dtype, Size s) {
  Buffer x(dtype, {2 * s.rows, s.columns});
  Buffer index(DType::I32, {s.rows, 2});
  Buffer out(dtype, {s.rows, s.columns});
  index.spread(2 * s.rows);
  measure(state, 3 * s.rows * s.columns * size_of(dtype), [&](Stream& stream) {
    combine_rows(stream, {x, index, out});
  });
}

void scatter(benchmark::State& state, DType dtype, Size s) {
  Buffer x(dtype, {2 * s.rows, s.columns});
  Buffer index(DType::I32, {2 * s.rows});
  Buffer target(DType::F32, {s.rows, s.columns});
  index.spread(s.rows);
  measure(state, (2 * size_of(dtype) + 8) * s.rows * s.columns, [&](Stream& stream) {
    scatter_add_rows(stream, {x, index, target, 1.0F});
  });
}

void router(benchmark::State& state, std::int64_t tokens, std::int64_t experts,
            std::int64_t choices) {
  Buffer logits(DType::F32, {tokens, experts});
  Buffer probability(DType::F32, {tokens, experts});
  Buffer logsumexp(DType::F32, {tokens});
  Buffer expert(DType::I32, {tokens, choices});
  Buffer weight(DType::F32, {tokens, choices});
  logits.vary();
  measure(state, 8 * tokens * experts, [&](Stream& stream) {
    top_k_router(stream, {logits, probability, logsumexp, expert, weight, true});
  });
  state.SetItemsProcessed(state.iterations() * tokens);
}

void one_and_two_threads(benchmark::internal::Benchmark* bench) {
  bench->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMicrosecond);
}

#define MOE_BENCH(function) BENCHMARK(function)->Apply(one_and_two_threads)
#define MOE_BENCH_CASE(function, name, ...) \
  BENCHMARK_CAPTURE(function, name, __VA_ARGS__)->Apply(one_and_two_threads)

MOE_BENCH(memcpy_roof);
MOE_BENCH(triad_roof);
MOE_BENCH_CASE(adamw_f32, plain, false);
MOE_BENCH_CASE(adamw_f32, with_copy, true);
MOE_BENCH(sum_squares_f32);
MOE_BENCH(add_f32);
MOE_BENCH(cast_to_bf16);
MOE_BENCH_CASE(rms_norm_forward, layer_f32, DType::F32, kLayer, false);
MOE_BENCH_CASE(rms_norm_forward, memory_f32, DType::F32, kMemory, false);
MOE_BENCH_CASE(rms_norm_forward, memory_f32_residual, DType::F32, kMemory, true);
MOE_BENCH_CASE(rms_norm_forward, memory_bf16_residual, DType::BF16, kMemory, true);
MOE_BENCH_CASE(rms_norm_gradient, layer_f32, DType::F32, kLayer);
MOE_BENCH_CASE(rms_norm_gradient, memory_f32, DType::F32, kMemory);
MOE_BENCH_CASE(activation_forward, layer_silu_f32, DType::F32, kLayer, ActivationKind::Silu);
MOE_BENCH_CASE(activation_forward, memory_silu_f32, DType::F32, kMemory, ActivationKind::Silu);
MOE_BENCH_CASE(activation_forward, memory_silu_bf16, DType::BF16, kMemory, ActivationKind::Silu);
MOE_BENCH_CASE(activation_forward, memory_gelu_f32, DType::F32, kMemory, ActivationKind::GeluErf);
MOE_BENCH_CASE(activation_gradient, layer_silu_f32, DType::F32, kLayer, ActivationKind::Silu);
MOE_BENCH_CASE(activation_gradient, memory_silu_f32, DType::F32, kMemory, ActivationKind::Silu);
MOE_BENCH_CASE(cross_entropy_gradient, v8192_f32, Size{2048, 8192}, DType::F32);
MOE_BENCH_CASE(cross_entropy_gradient, v8192_bf16, Size{2048, 8192}, DType::BF16);
MOE_BENCH_CASE(cross_entropy_gradient, v131072_f32, Size{128, 131072}, DType::F32);
MOE_BENCH_CASE(gather, memory_f32, DType::F32, kMemory);
MOE_BENCH_CASE(combine, memory_f32, DType::F32, kMemory);
MOE_BENCH_CASE(scatter, memory_f32, DType::F32, kMemory);
MOE_BENCH_CASE(router, e8_k2, 8192, 8, 2);
MOE_BENCH_CASE(router, e128_k8, 8192, 128, 8);

}  // namespace
}  // namespace moe::kernels

BENCHMARK_MAIN();
