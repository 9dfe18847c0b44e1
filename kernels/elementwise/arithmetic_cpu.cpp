#include "kernels/elementwise/arithmetic.h"

#include "kernels/common/dispatch.h"

namespace moe::kernels::MOE_ISA {
namespace {

template <class X, class Out>
void scale_cast_typed(const Stream& stream, const ScaleCast& args, std::int64_t count) {
  using Wider = decltype(ComputeType<X>{} + ComputeType<Out>{});
  const X* x = args.x.as<const X>();
  Out* out = args.out.as<Out>();
  const Vec<Wider> scale = broadcast(static_cast<Wider>(args.scale));
  const Vec<Wider> beta = broadcast(static_cast<Wider>(args.beta));
  const bool fresh = args.beta == 0.0;
  parallel_elements(stream, count, [=](std::int64_t begin, std::int64_t end) {
    for_vectors<Wider>(end - begin, [=](std::int64_t j, auto lanes) {
      const std::int64_t i = begin + j;
      Vec<Wider> value = load_as<Wider>(x + i, lanes) * scale;
      if (!fresh) value = fma(load_as<Wider>(out + i, lanes), beta, value);
      store(out + i, value, lanes);
    });
  });
}

template <class T, class B>
void add_bias_typed(const Stream& stream, const AddBias& args) {
  using C = ComputeType<T>;
  const RowLayout layout = rows_of("add_bias", "x", args.x);
  const Rows<const T> x{args.x.as<const T>(), layout.stride};
  const Rows<T> y{args.y.as<T>(),
                  expect_rows("add_bias", "y", args.y, layout.rows, layout.columns)};
  expect_flat("add_bias", "bias", args.bias, layout.columns);
  const B* bias = args.bias.as<const B>();
  parallel_rows(stream, layout.rows, layout.columns, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      for_vectors<C>(layout.columns, [=](std::int64_t i, auto lanes) {
        store(y[r] + i, load(x[r] + i, lanes) + load_as<C>(bias + i, lanes), lanes);
      });
    }
  });
}

/// Sums rows [begin, end) of `kWidth` vectors of columns: short runs of rows first, then the runs.
template <int kWidth, class C, class T, class Lanes>
MOE_INLINE void sum_rows(const Rows<const T>& x, std::int64_t column, std::int64_t begin,
                         std::int64_t end, C* out, Lanes lanes) {
  constexpr std::int64_t kRun = 32;
  Vec<C> total[kWidth];
  for (int w = 0; w < kWidth; ++w) total[w] = zero<C>();
  for (std::int64_t run = begin; run < end; run += kRun) {
    const std::int64_t stop = run + kRun < end ? run + kRun : end;
    Vec<C> part[kWidth];
    for (int w = 0; w < kWidth; ++w) part[w] = zero<C>();
    for (std::int64_t r = run; r < stop; ++r) {
      const T* row = x[r] + column;
      for (int w = 0; w < kWidth; ++w) part[w] += load_as<C>(row + w * kLanes<C>, lanes);
    }
    for (int w = 0; w < kWidth; ++w) total[w] += part[w];
  }
  for (int w = 0; w < kWidth; ++w) store(out + column + w * kLanes<C>, total[w], lanes);
}

template <class T>
void column_sum_typed(const Stream& stream, const ColumnSum& args) {
  using C = ComputeType<T>;
  const RowLayout layout = rows_of("column_sum", "x", args.x);
  const std::int64_t columns = layout.columns;
  expect_flat("column_sum", "out", args.out, columns);
  expect_dtype("column_sum", "out", args.out, compute_dtype(args.x.dtype));
  const Rows<const T> x{args.x.as<const T>(), layout.stride};
  const RowBlocks blocks = row_blocks(layout.rows, columns);
  const Scratch scratch(blocks.count * columns * static_cast<std::int64_t>(sizeof(C)));
  C* partial = scratch.as<C>();
  parallel(stream, layout.rows, blocks.rows, [=](std::int64_t begin, std::int64_t end) {
    C* out = partial + begin / blocks.rows * columns;
    constexpr std::int64_t kWide = 8 * kLanes<C>;
    std::int64_t i = 0;
    for (; i + kWide <= columns; i += kWide) sum_rows<8>(x, i, begin, end, out, All{});
    for (; i + kLanes<C> <= columns; i += kLanes<C>) sum_rows<1>(x, i, begin, end, out, All{});
    if (i < columns) sum_rows<1>(x, i, begin, end, out, First{static_cast<int>(columns - i)});
  });
  join_blocks(partial, blocks.count, columns, static_cast<C>(args.beta), args.out.as<C>());
}

template <class T, class G>
void sigmoid_gate_typed(const Stream& stream, const SigmoidGate& args) {
  using C = ComputeType<T>;
  const RowLayout layout = rows_of("sigmoid_gate", "x", args.x);
  const Rows<const T> x{args.x.as<const T>(), layout.stride};
  const Rows<T> y{args.y.as<T>(),
                  expect_rows("sigmoid_gate", "y", args.y, layout.rows, layout.columns)};
  expect_flat("sigmoid_gate", "gate", args.gate, layout.rows);
  const G* gate = args.gate.as<const G>();
  parallel_rows(stream, layout.rows, layout.columns, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const Vec<C> open = sigmoid(broadcast(read<C>(gate + r)));
      for_vectors<C>(layout.columns, [=](std::int64_t i, auto lanes) {
        store(y[r] + i, open * load(x[r] + i, lanes), lanes);
      });
    }
  });
}

template <class T, class G>
void sigmoid_gate_backward_typed(const Stream& stream, const SigmoidGateBackward& args) {
  using C = ComputeType<T>;
  const char* name = "sigmoid_gate_backward";
  const RowLayout layout = rows_of(name, "x", args.x);
  const std::int64_t columns = layout.columns;
  const Rows<const T> x{args.x.as<const T>(), layout.stride};
  const Rows<const T> dy{args.dy.as<const T>(),
                         expect_rows(name, "dy", args.dy, layout.rows, columns)};
  const Rows<T> dx{args.dx.as<T>(), expect_rows(name, "dx", args.dx, layout.rows, columns)};
  expect_flat(name, "gate", args.gate, layout.rows);
  expect_flat(name, "dgate", args.dgate, layout.rows);
  const G* gate = args.gate.as<const G>();
  G* dgate = args.dgate.as<G>();
  parallel_rows(stream, layout.rows, columns, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const Vec<C> open = sigmoid(broadcast(read<C>(gate + r)));
      const Vec<C> dot = sum_vectors<C>(columns, [=](std::int64_t i, auto lanes) {
        const Vec<C> d = load(dy[r] + i, lanes);
        const Vec<C> product = d * load(x[r] + i, lanes);
        store(dx[r] + i, open * d, lanes);
        return product;
      });
      const C s = open.v[0];
      write(dgate + r, s * (C(1) - s) * reduce_add(dot));
    }
  });
}

}  // namespace

void add(Stream& stream, const Add& args) {
  const std::int64_t count = flat("add", "a", args.a);
  expect_flat("add", "b", args.b, count);
  expect_flat("add", "out", args.out, count);
  expect_dtype("add", "b", args.b, args.a.dtype);
  expect_dtype("add", "out", args.out, args.a.dtype);
  with_type("add", "a", args.a.dtype, [&]<class T>(Type<T>) {
    const T* a = args.a.as<const T>();
    const T* b = args.b.as<const T>();
    T* out = args.out.as<T>();
    parallel_elements(stream, count, [=](std::int64_t begin, std::int64_t end) {
      for_vectors<ComputeType<T>>(end - begin, [=](std::int64_t j, auto lanes) {
        const std::int64_t i = begin + j;
        store(out + i, load(a + i, lanes) + load(b + i, lanes), lanes);
      });
    });
  });
}

void scale_cast(Stream& stream, const ScaleCast& args) {
  const std::int64_t count = flat("scale_cast", "x", args.x);
  expect_flat("scale_cast", "out", args.out, count);
  with_type("scale_cast", "x", args.x.dtype, [&]<class X>(Type<X>) {
    with_type("scale_cast", "out", args.out.dtype,
              [&]<class Out>(Type<Out>) { scale_cast_typed<X, Out>(stream, args, count); });
  });
}

void add_bias(Stream& stream, const AddBias& args) {
  expect_dtype("add_bias", "y", args.y, args.x.dtype);
  with_vector_type("add_bias", args.x, "bias", args.bias,
                   [&]<class T, class B>(Type<T>, Type<B>) { add_bias_typed<T, B>(stream, args); });
}

void column_sum(Stream& stream, const ColumnSum& args) {
  with_type("column_sum", "x", args.x.dtype,
            [&]<class T>(Type<T>) { column_sum_typed<T>(stream, args); });
}

void clamp(Stream& stream, const Clamp& args) {
  const std::int64_t count = flat("clamp", "x", args.x);
  expect_flat("clamp", "y", args.y, count);
  expect_dtype("clamp", "y", args.y, args.x.dtype);
  with_type("clamp", "x", args.x.dtype, [&]<class T>(Type<T>) {
    using C = ComputeType<T>;
    const T* x = args.x.as<const T>();
    T* y = args.y.as<T>();
    const Vec<C> high = broadcast(static_cast<C>(args.bound));
    const Vec<C> low = broadcast(static_cast<C>(-args.bound));
    parallel_elements(stream, count, [=](std::int64_t begin, std::int64_t end) {
      for_vectors<C>(end - begin, [=](std::int64_t j, auto lanes) {
        // The bound first, so that NaN passes through.
        store(y + begin + j, min(high, max(low, load(x + begin + j, lanes))), lanes);
      });
    });
  });
}

void clamp_backward(Stream& stream, const ClampBackward& args) {
  const std::int64_t count = flat("clamp_backward", "x", args.x);
  expect_flat("clamp_backward", "dy", args.dy, count);
  expect_flat("clamp_backward", "dx", args.dx, count);
  expect_dtype("clamp_backward", "dy", args.dy, args.x.dtype);
  expect_dtype("clamp_backward", "dx", args.dx, args.x.dtype);
  with_type("clamp_backward", "x", args.x.dtype, [&]<class T>(Type<T>) {
    using C = ComputeType<T>;
    const T* x = args.x.as<const T>();
    const T* dy = args.dy.as<const T>();
    T* dx = args.dx.as<T>();
    const Vec<C> bound = broadcast(static_cast<C>(args.bound));
    parallel_elements(stream, count, [=](std::int64_t begin, std::int64_t end) {
      for_vectors<C>(end - begin, [=](std::int64_t j, auto lanes) {
        const std::int64_t i = begin + j;
        const Mask<C> inside = abs(load(x + i, lanes)) <= bound;
        store(dx + i, select(inside, load(dy + i, lanes), zero<C>()), lanes);
      });
    });
  });
}

void sigmoid_gate(Stream& stream, const SigmoidGate& args) {
  expect_dtype("sigmoid_gate", "y", args.y, args.x.dtype);
  with_vector_type(
      "sigmoid_gate", args.x, "gate", args.gate,
      [&]<class T, class G>(Type<T>, Type<G>) { sigmoid_gate_typed<T, G>(stream, args); });
}

void sigmoid_gate_backward(Stream& stream, const SigmoidGateBackward& args) {
  const char* name = "sigmoid_gate_backward";
  expect_dtype(name, "dy", args.dy, args.x.dtype);
  expect_dtype(name, "dx", args.dx, args.x.dtype);
  expect_dtype(name, "dgate", args.dgate, args.gate.dtype);
  with_vector_type(name, args.x, "gate", args.gate, [&]<class T, class G>(Type<T>, Type<G>) {
    sigmoid_gate_backward_typed<T, G>(stream, args);
  });
}

void sum(Stream& stream, const Sum& args) {
  const std::int64_t count = flat("sum", "x", args.x);
  expect_flat("sum", "out", args.out, 1);
  expect_dtype("sum", "out", args.out, DType::F64);
  with_type("sum", "x", args.x.dtype, [&]<class T>(Type<T>) {
    const T* x = args.x.as<const T>();
    *args.out.as<double>() = sum_blocks(stream, count, [=](std::int64_t begin, std::int64_t end) {
      return reduce_add(sum_vectors<double>(end - begin, [=](std::int64_t i, auto lanes) {
        return load_as<double>(x + begin + i, lanes);
      }));
    });
  });
}

}  // namespace moe::kernels::MOE_ISA
