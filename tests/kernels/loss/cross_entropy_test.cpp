#include "kernels/loss/cross_entropy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "kernels/everywhere.h"

namespace moe::kernels {
namespace {

using testing::Array;
using testing::everywhere;
using testing::expect_close;

struct Case {
  std::int64_t rows;
  std::int64_t columns;
};
const std::vector<Case> kCases = {{0, 4}, {1, 1}, {3, 17}, {40, 2049}, {5, 20011}};
constexpr double kScale = 0.25;

struct Expected {
  std::vector<double> loss;
  std::vector<double> dlogits;
};

Expected reference(const Array& logits, const Array& target, const Case& c) {
  Expected out;
  for (std::int64_t r = 0; r < c.rows; ++r) {
    const auto at = static_cast<std::int64_t>(target[r]);
    double top = -std::numeric_limits<double>::infinity();
    for (std::int64_t v = 0; v < c.columns; ++v) top = std::max(top, logits.at(r, v));
    long double total = 0;
    for (std::int64_t v = 0; v < c.columns; ++v) total += std::exp(logits.at(r, v) - top);
    out.loss.push_back(at < 0 ? 0.0
                              : static_cast<double>(top + std::log(total) - logits.at(r, at)));
    for (std::int64_t v = 0; v < c.columns; ++v) {
      const double p = static_cast<double>(std::exp(logits.at(r, v) - top) / total);
      out.dlogits.push_back(at < 0 ? 0.0 : (p - (v == at ? 1.0 : 0.0)) * kScale);
    }
  }
  return out;
}

Array random_targets(const Case& c) {
  Array target(DType::I32, {c.rows});
  for (std::int64_t r = 0; r < c.rows; ++r) {
    target.set(r,
               r % 4 == 2 ? (r % 8 == 2 ? -1 : -100) : static_cast<double>(r * 7919 % c.columns));
  }
  return target;
}

TEST(CrossEntropy, GivesLossAndGradient) {
  for (const DType dtype : {DType::F32, DType::F64}) {
    for (const DType gradient : {dtype, DType::BF16}) {
      for (const Case& c : kCases) {
        const Array logits = Array::random(dtype, {c.rows, c.columns}, 1, 4.0, 3);
        const Array target = random_targets(c);
        const Expected expected = reference(logits, target, c);
        everywhere(
            std::string(to_string(dtype)) + " " + std::to_string(c.rows) + " x " +
                std::to_string(c.columns),
            [&](Stream& stream) {
              Array loss(dtype, {c.rows});
              Array dlogits(gradient, {c.rows, c.columns});
              dlogits.fill(std::nan(""));
              cross_entropy(stream,
                            {logits.view(), target.view(), loss.view(), dlogits.view(), kScale});
              Array only_loss(dtype, {c.rows});
              cross_entropy(stream, {logits.view(), target.view(), only_loss.view(), {}, kScale});
              EXPECT_TRUE(same_bits(loss, only_loss));
              return std::vector<Array>{loss, dlogits};
            },
            [&](const std::vector<Array>& out) {
              expect_close("loss", out[0], expected.loss, c.columns);
              expect_close("dlogits", out[1], expected.dlogits, c.columns, kScale);
            });
      }
    }
  }
}

TEST(CrossEntropy, ReplacesLogitsByTheirGradient) {
  for (const DType dtype : {DType::F32, DType::F64}) {
    for (const Case& c : kCases) {
      const Array logits = Array::random(dtype, {c.rows, c.columns}, 2, 4.0);
      const Array target = random_targets(c);
      everywhere(
          std::string(to_string(dtype)),
          [&](Stream& stream) {
            Array apart(dtype, {c.rows, c.columns});
            Array loss(dtype, {c.rows});
            cross_entropy(stream,
                          {logits.view(), target.view(), loss.view(), apart.view(), kScale});
            Array in_place = logits;
            cross_entropy(stream,
                          {in_place.view(), target.view(), loss.view(), in_place.view(), kScale});
            EXPECT_TRUE(same_bits(apart, in_place));
            return std::vector<Array>{in_place, loss};
          },
          [&](const std::vector<Array>&) {});
    }
  }
}

TEST(CrossEntropy, TakesExtremeLogits) {
  const double inf = std::numeric_limits<double>::infinity();
  const double huge = 1e30;
  const Array logits = Array::of(DType::F32, {3, 3}, {huge, -huge, 0, -inf, 1, -inf, 0, 0, huge});
  const Array target = Array::of(DType::I32, {3}, {0, 1, 2});
  everywhere(
      "extremes",
      [&](Stream& stream) {
        Array loss(DType::F32, {3});
        Array dlogits(DType::F32, {3, 3});
        cross_entropy(stream, {logits.view(), target.view(), loss.view(), dlogits.view(), 1.0});
        return std::vector<Array>{loss, dlogits};
      },
      [&](const std::vector<Array>& out) {
        for (std::int64_t i = 0; i < 3; ++i) EXPECT_EQ(out[0][i], 0.0);
        for (std::int64_t i = 0; i < 9; ++i) EXPECT_EQ(out[1][i], 0.0);
      });
}

/// Wherever the largest logit stands it is found: else its exponential would overflow.
TEST(CrossEntropy, TakesALargeLogitAtEveryColumn) {
  constexpr std::int64_t kColumns = 150;
  constexpr double kLarge = 2000.0;
  for (const DType dtype : {DType::F32, DType::F64}) {
    Array logits = Array::random(dtype, {kColumns, kColumns}, 4);
    Array target(DType::I32, {kColumns});
    std::vector<double> expected;
    for (std::int64_t r = 0; r < kColumns; ++r) {
      logits.set(r * kColumns + r, kLarge);
      const std::int64_t other = (r + 1) % kColumns;
      target.set(r, static_cast<double>(other));
      expected.push_back(kLarge - logits.at(r, other));
    }
    everywhere(
        std::string(to_string(dtype)),
        [&](Stream& stream) {
          Array loss(dtype, {kColumns});
          cross_entropy(stream, {logits.view(), target.view(), loss.view(), {}, 1.0});
          return std::vector<Array>{loss};
        },
        [&](const std::vector<Array>& out) { expect_close("loss", out[0], expected); });
  }
}

TEST(CrossEntropy, PassesNanOnUnlessNotCounted) {
  Array logits = Array::random(DType::F32, {2, 40}, 3);
  logits.set(7, std::nan(""));
  logits.set(47, std::nan(""));
  const Array target = Array::of(DType::I32, {2}, {0, -1});
  everywhere(
      "nan",
      [&](Stream& stream) {
        Array loss(DType::F32, {2});
        Array dlogits(DType::F32, {2, 40});
        cross_entropy(stream, {logits.view(), target.view(), loss.view(), dlogits.view(), 1.0});
        return std::vector<Array>{loss, dlogits};
      },
      [&](const std::vector<Array>& out) {
        EXPECT_TRUE(std::isnan(out[0][0]));
        EXPECT_TRUE(std::isnan(out[1][0]));
        EXPECT_EQ(out[0][1], 0.0);
        EXPECT_EQ(out[1][47], 0.0);
      });
}

TEST(CrossEntropy, RefusesTargetsAndTypesOutOfRange) {
  Stream stream(1, CpuIsa::Avx2);
  const Array logits(DType::F32, {1, 4});
  const Array loss(DType::F32, {1});
  const Array target = Array::of(DType::I32, {1}, {4});
  const Array good = Array::of(DType::I32, {1}, {3});
  const Array wide_gradient(DType::F64, {1, 4});
  EXPECT_THROW(cross_entropy(stream, {logits.view(), target.view(), loss.view(), {}}), ShapeError);
  EXPECT_THROW(
      cross_entropy(stream, {logits.view(), good.view(), loss.view(), wide_gradient.view()}),
      DTypeError);
}

}  // namespace
}  // namespace moe::kernels
