#include "kernels/attention/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "base/error.h"
#include "kernels/everywhere.h"

namespace moe::kernels {
namespace {

using testing::Array;
using testing::everywhere;
using testing::expect_close;
using testing::kFloatTypes;
using testing::wide;

struct Range {
  std::int64_t begin;
  std::int64_t end;
};
/// Keys that query i of a sequence sees.
using Mask = std::function<Range(std::int64_t i, std::int64_t queries, std::int64_t keys)>;

Range causal(std::int64_t i, std::int64_t queries, std::int64_t keys) {
  return {0, std::max<std::int64_t>(0, keys - queries + i + 1)};
}
Range everything(std::int64_t, std::int64_t, std::int64_t keys) { return {0, keys}; }
Range nothing(std::int64_t, std::int64_t, std::int64_t) { return {0, 0}; }
Range window(std::int64_t i, std::int64_t queries, std::int64_t keys) {
  const std::int64_t end = causal(i, queries, keys).end;
  return {std::max<std::int64_t>(0, end - 37), end};
}
Range documents(std::int64_t i, std::int64_t, std::int64_t) { return {i / 50 * 50, i + 1}; }
Range late(std::int64_t i, std::int64_t, std::int64_t keys) {
  return i < 4 ? Range{0, 0} : Range{0, std::min(i - 3, keys)};
}

struct Shape {
  std::int64_t batch;
  std::int64_t queries;
  std::int64_t keys;
  std::int64_t heads;
  std::int64_t groups;
  std::int64_t width;
};
struct Row {
  const char* name;
  Shape shape;
  Mask mask;
};

const std::vector<Row> kRows = {
    {"one", {1, 1, 1, 1, 1, 8}, causal},
    {"no queries", {1, 0, 5, 2, 1, 8}, causal},
    {"no keys", {1, 3, 0, 2, 1, 8}, nothing},
    {"nothing seen", {2, 5, 9, 2, 2, 16}, nothing},
    {"causal", {1, 130, 130, 2, 2, 64}, causal},
    {"causal, groups of 2", {2, 70, 70, 4, 2, 20}, causal},
    {"causal, groups of 4", {1, 77, 77, 8, 2, 16}, causal},
    {"causal, groups of 8", {2, 33, 33, 8, 1, 128}, causal},
    {"groups of 3, odd width", {1, 45, 45, 3, 1, 13}, causal},
    {"many heads a group", {1, 3, 5, 100, 1, 8}, causal},
    {"everything", {1, 97, 61, 2, 2, 32}, everything},
    {"more keys than queries", {1, 50, 450, 2, 1, 64}, causal},
    {"decode", {3, 1, 400, 4, 2, 64}, causal},
    {"window", {1, 260, 260, 2, 1, 16}, window},
    {"documents", {2, 210, 210, 1, 1, 64}, documents},
    {"first queries see nothing", {1, 110, 100, 2, 2, 8}, late},
};

struct Problem {
  Problem(DType dtype_, const Shape& shape, const Mask& mask, double q_scale = 1.0)
      : s(shape),
        dtype(dtype_),
        scale(1.0 / std::sqrt(static_cast<double>(s.width))),
        q(Array::random(dtype, {s.batch * s.queries, s.heads, s.width}, 1, q_scale)),
        k(Array::random(dtype, {s.batch * s.keys, s.groups, s.width}, 2)),
        v(Array::random(dtype, {s.batch * s.keys, s.groups, s.width}, 3)),
        d_o(Array::random(dtype, {s.batch * s.queries, s.heads, s.width}, 4)),
        begin(DType::I32, {s.batch * s.queries}),
        end(DType::I32, {s.batch * s.queries}),
        o(dtype, {s.batch * s.queries, s.heads, s.width}),
        logsumexp(wide(dtype), {s.batch * s.queries, s.heads}) {
    for (std::int64_t t = 0; t < s.batch * s.queries; ++t) {
      const Range range = mask(t % s.queries, s.queries, s.keys);
      begin.set(t, static_cast<double>(range.begin));
      end.set(t, static_cast<double>(range.end));
    }
    forward_reference();
  }

  double dot(const Array& a, std::int64_t i, const Array& b, std::int64_t j) const {
    double sum = 0.0;
    for (std::int64_t c = 0; c < s.width; ++c) sum += a[i * s.width + c] * b[j * s.width + c];
    return sum;
  }
  /// Calls body(query row of q, key row of k) for every pair in range of query t, head h.
  template <class F>
  void for_keys(std::int64_t t, std::int64_t h, F&& body) const {
    const std::int64_t first = t / s.queries * s.keys;
    const std::int64_t g = h / (s.heads / s.groups);
    for (auto j = static_cast<std::int64_t>(begin[t]); j < static_cast<std::int64_t>(end[t]); ++j) {
      body((first + j) * s.groups + g);
    }
  }
  void forward_reference() {
    for (std::int64_t row = 0; row < s.batch * s.queries * s.heads; ++row) {
      double top = -std::numeric_limits<double>::infinity();
      for_keys(row / s.heads, row % s.heads,
               [&](std::int64_t key) { top = std::max(top, scale * dot(q, row, k, key)); });
      double sum = 0.0;
      std::vector<double> out(static_cast<std::size_t>(s.width), 0.0);
      for_keys(row / s.heads, row % s.heads, [&](std::int64_t key) {
        const double p = std::exp(scale * dot(q, row, k, key) - top);
        sum += p;
        for (std::int64_t c = 0; c < s.width; ++c) {
          out[static_cast<std::size_t>(c)] += p * v[key * s.width + c];
        }
      });
      for (const double x : out) expected_o.push_back(sum > 0.0 ? x / sum : 0.0);
      expected_logsumexp.push_back(top + std::log(sum));
    }
    for (std::int64_t i = 0; i < o.size(); ++i) o.set(i, expected_o[static_cast<std::size_t>(i)]);
    for (std::int64_t i = 0; i < logsumexp.size(); ++i) {
      logsumexp.set(i, expected_logsumexp[static_cast<std::size_t>(i)]);
    }
  }

  struct Gradients {
    std::vector<double> dq, dk, dv;
  };
  /// From o and logsumexp as stored.
  Gradients backward_reference() const {
    Gradients d{std::vector<double>(static_cast<std::size_t>(q.size())),
                std::vector<double>(static_cast<std::size_t>(k.size())),
                std::vector<double>(static_cast<std::size_t>(v.size()))};
    for (std::int64_t row = 0; row < s.batch * s.queries * s.heads; ++row) {
      const double delta = dot(o, row, d_o, row);
      for_keys(row / s.heads, row % s.heads, [&](std::int64_t key) {
        const double p = std::exp(scale * dot(q, row, k, key) - logsumexp[row]);
        const double ds = scale * p * (dot(d_o, row, v, key) - delta);
        for (std::int64_t c = 0; c < s.width; ++c) {
          const auto at_q = static_cast<std::size_t>(row * s.width + c);
          const auto at_k = static_cast<std::size_t>(key * s.width + c);
          d.dq[at_q] += ds * k[static_cast<std::int64_t>(at_k)];
          d.dk[at_k] += ds * q[static_cast<std::int64_t>(at_q)];
          d.dv[at_k] += p * d_o[static_cast<std::int64_t>(at_q)];
        }
      });
    }
    return d;
  }

  Attention arguments(const Array& out, const Array& lse) const {
    return {.q = q.view(), .k = k.view(), .v = v.view(), .begin = begin.view(), .end = end.view(),
            .o = out.view(), .logsumexp = lse.view(), .scale = scale, .batch = s.batch};
  }
  std::vector<Array> forward(Stream& stream) const {
    Array out = o;
    Array lse = logsumexp;
    out.fill(std::nan(""));
    lse.fill(std::nan(""));
    attention(stream, arguments(out, lse));
    return {out, lse};
  }
  std::vector<Array> backward(Stream& stream) const {
    Array dq = q;
    Array dk = k;
    Array dv = v;
    for (Array* x : {&dq, &dk, &dv}) x->fill(std::nan(""));
    attention_backward(stream, {.q = q.view(), .k = k.view(), .v = v.view(), .begin = begin.view(),
                                .end = end.view(), .o = o.view(), .logsumexp = logsumexp.view(),
                                .d_o = d_o.view(), .dq = dq.view(), .dk = dk.view(),
                                .dv = dv.view(), .scale = scale, .batch = s.batch});
    return {dq, dk, dv};
  }

  Shape s;
  DType dtype;
  double scale;
  Array q, k, v, d_o, begin, end;
  Array o, logsumexp;  // of the reference, stored
  std::vector<double> expected_o, expected_logsumexp;
};

double largest(const std::vector<double>& values) {
  double most = 1.0;
  for (const double x : values) most = std::max(most, std::abs(x));
  return most;
}

TEST(Attention, EqualsSoftmaxOverTheKeysInRange) {
  for (const DType dtype : kFloatTypes) {
    for (const Row& row : kRows) {
      const Problem problem(dtype, row.shape, row.mask);
      const std::int64_t length = row.shape.keys + row.shape.width;
      everywhere(
          std::string(row.name) + " " + std::string(to_string(dtype)),
          [&](Stream& stream) { return problem.forward(stream); },
          [&](const std::vector<Array>& out) {
            expect_close("o", out[0], problem.expected_o, length);
            expect_close("logsumexp", out[1], problem.expected_logsumexp, length);
          });
    }
  }
}

TEST(AttentionBackward, IsTheDerivative) {
  for (const DType dtype : kFloatTypes) {
    for (const Row& row : kRows) {
      const Problem problem(dtype, row.shape, row.mask);
      const Problem::Gradients d = problem.backward_reference();
      const std::int64_t length =
          row.shape.keys + row.shape.queries * row.shape.heads + row.shape.width;
      everywhere(
          std::string(row.name) + " " + std::string(to_string(dtype)),
          [&](Stream& stream) { return problem.backward(stream); },
          [&](const std::vector<Array>& out) {
            expect_close("dq", out[0], d.dq, length, largest(d.dq));
            expect_close("dk", out[1], d.dk, length, largest(d.dk));
            expect_close("dv", out[2], d.dv, length, largest(d.dv));
          });
    }
  }
}

TEST(AttentionBackward, GivesExactZerosWhereNothingIsSeen) {
  const Mask first_ten = [](std::int64_t, std::int64_t, std::int64_t) { return Range{0, 10}; };
  for (const DType dtype : kFloatTypes) {
    const Problem problem(dtype, {1, 20, 250, 2, 1, 16}, first_ten);
    everywhere(
        std::string(to_string(dtype)), [&](Stream& stream) { return problem.backward(stream); },
        [&](const std::vector<Array>& out) {
          for (std::int64_t i = 10 * 16; i < 250 * 16; ++i) {
            ASSERT_EQ(out[1][i], 0.0);
            ASSERT_EQ(out[2][i], 0.0);
          }
        });
  }
}

/// Softmax over one key is 1 whatever the score, so nothing may flow into q and k: not even rounding errors, which
/// would be larger than the true gradients of short sequences.
TEST(AttentionBackward, GivesExactZerosWhereOneKeyIsSeen) {
  const Mask itself = [](std::int64_t i, std::int64_t, std::int64_t) { return Range{i, i + 1}; };
  for (const DType dtype : kFloatTypes) {
    const Problem problem(dtype, {2, 210, 210, 4, 2, 24}, itself);
    everywhere(
        std::string(to_string(dtype)),
        [&](Stream& stream) {
          Problem own = problem;
          const std::vector<Array> out = problem.forward(stream);
          own.o = out[0];
          own.logsumexp = out[1];
          return own.backward(stream);
        },
        [&](const std::vector<Array>& out) {
          for (std::int64_t i = 0; i < out[0].size(); ++i) ASSERT_EQ(out[0][i], 0.0) << "dq";
          for (std::int64_t i = 0; i < out[1].size(); ++i) ASSERT_EQ(out[1][i], 0.0) << "dk";
        });
  }
}

TEST(Attention, StaysFiniteAtExtremeLogits) {
  for (const DType dtype : kFloatTypes) {
    const Problem problem(dtype, {1, 100, 100, 2, 2, 16}, causal, 1e4);
    everywhere(
        std::string(to_string(dtype)),
        [&](Stream& stream) {
          std::vector<Array> out = problem.forward(stream);
          for (Array& x : problem.backward(stream)) out.push_back(x);
          return out;
        },
        [&](const std::vector<Array>& out) {
          for (const Array& x : out) {
            for (std::int64_t i = 0; i < x.size(); ++i) ASSERT_TRUE(std::isfinite(x[i]));
          }
          expect_close("logsumexp", out[1], problem.expected_logsumexp, 116, 1e5);
        });
  }
}

// Decoding one query against a cache gives the bits of the full pass.
TEST(Attention, ComputesAQueryTheSameWayAlone) {
  for (const DType dtype : kFloatTypes) {
    const Shape shape{1, 410, 410, 4, 2, 20};
    const Problem problem(dtype, shape, causal);
    everywhere(
        std::string(to_string(dtype)),
        [&](Stream& stream) {
          const std::vector<Array> whole = problem.forward(stream);
          const std::int64_t row = shape.heads * shape.width;
          for (const std::int64_t t : {0, 5, 191, 192, 300, 409}) {
            const Array o(dtype, {1, shape.heads, shape.width});
            const Array lse(wide(dtype), {1, shape.heads});
            Attention args = problem.arguments(o, lse);
            args.q.data = args.q.as<std::byte>() + t * row * size_of(dtype);
            args.q.dims[0] = args.begin.dims[0] = args.end.dims[0] = 1;
            args.begin.data = args.begin.as<std::int32_t>() + t;
            args.end.data = args.end.as<std::int32_t>() + t;
            args.k.dims[0] = args.v.dims[0] = t + 1;
            attention(stream, args);
            for (std::int64_t i = 0; i < row; ++i) EXPECT_EQ(o[i], whole[0][t * row + i]) << t;
            for (std::int64_t h = 0; h < shape.heads; ++h) {
              EXPECT_EQ(lse[h], whole[1][t * shape.heads + h]) << t;
            }
          }
          return whole;
        },
        [](const std::vector<Array>&) {});
  }
}

TEST(Attention, ReadsHeadsInsideWiderRows) {
  const Problem problem(DType::F32, {2, 40, 40, 4, 2, 16}, causal);
  const Array fused(DType::F32, {80, 70});
  Array copy = fused;
  for (std::int64_t t = 0; t < 80; ++t) {
    for (std::int64_t c = 0; c < 64; ++c) copy.set(t * 70 + 3 + c, problem.q[t * 64 + c]);
  }
  everywhere(
      "fused",
      [&](Stream& stream) {
        const Array o(DType::F32, {80, 4, 16});
        Attention args = problem.arguments(o, problem.logsumexp);
        args.q.data = copy.view().as<float>() + 3;
        args.q.strides[0] = 70;
        attention(stream, args);
        EXPECT_TRUE(same_bits(o, problem.forward(stream)[0]));
        return std::vector<Array>{o};
      },
      [](const std::vector<Array>&) {});
}

TEST(Attention, RefusesShapesThatDoNotFit) {
  Stream stream(1, CpuIsa::Avx2);
  const Problem problem(DType::F32, {2, 4, 4, 4, 2, 8}, causal);
  const Array odd(DType::F32, {8, 3, 8});
  const Array o64(DType::F64, {8, 4, 8});
  const Attention good = problem.arguments(problem.o, problem.logsumexp);
  EXPECT_NO_THROW(attention(stream, good));
  Attention args = good;
  args.batch = 3;
  EXPECT_THROW(attention(stream, args), ShapeError);
  args = good;
  args.k = args.v = odd.view();
  EXPECT_THROW(attention(stream, args), ShapeError);
  args = good;
  args.o = o64.view();
  EXPECT_THROW(attention(stream, args), DTypeError);
}

}  // namespace
}  // namespace moe::kernels
