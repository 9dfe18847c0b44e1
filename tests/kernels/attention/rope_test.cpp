#include "kernels/attention/rope.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "kernels/everywhere.h"

namespace moe::kernels {
namespace {

using testing::Array;
using testing::everywhere;
using testing::expect_close;
using testing::kFloatTypes;
using testing::wide;

struct Size {
  std::int64_t tokens;
  std::int64_t heads;
  std::int64_t width;
};
const std::vector<Size> kSizes = {{0, 2, 8}, {1, 1, 2},  {3, 2, 6},   {5, 3, 20},
                                  {7, 4, 64}, {2, 1, 128}, {300, 2, 34}};
constexpr std::int64_t kPositions = 11;

struct Tables {
  Tables(DType dtype, std::int64_t half)
      : cosine(wide(dtype), {kPositions, half}), sine(wide(dtype), {kPositions, half}) {
    for (std::int64_t i = 0; i < kPositions * half; ++i) {
      const double angle = 0.37 * static_cast<double>(i);
      cosine.set(i, std::cos(angle));
      sine.set(i, std::sin(angle));
    }
  }
  Array cosine;
  Array sine;
};

Array positions(std::int64_t tokens) {
  Array position(DType::I32, {tokens});
  for (std::int64_t t = 0; t < tokens; ++t) position.set(t, static_cast<double>(5 * t % kPositions));
  return position;
}

std::vector<double> turned(const Array& x, const Size& size, const Tables& tables,
                           const Array& position, double sign) {
  const std::int64_t half = size.width / 2;
  std::vector<double> y;
  for (std::int64_t i = 0; i < x.size(); ++i) {
    const std::int64_t c = i % size.width;
    const auto at = static_cast<std::int64_t>(position[i / (size.heads * size.width)]) * half;
    const double cosine = tables.cosine[at + c % half];
    const double sine = sign * tables.sine[at + c % half];
    y.push_back(c < half ? x[i] * cosine - x[i + half] * sine : x[i] * cosine + x[i - half] * sine);
  }
  return y;
}

TEST(Rope, TurnsPairsOfHalvesAndBack) {
  for (const DType dtype : kFloatTypes) {
    for (const Size& size : kSizes) {
      const Array x = Array::random(dtype, {size.tokens, size.heads, size.width}, 1);
      const Tables tables(dtype, size.width / 2);
      const Array position = positions(size.tokens);
      everywhere(
          std::string(to_string(dtype)) + " " + std::to_string(size.width),
          [&](Stream& stream) {
            Rope args{.x = x.view(), .cosine = tables.cosine.view(), .sine = tables.sine.view(),
                      .position = position.view()};
            const Array y(dtype, {size.tokens, size.heads, size.width});
            args.y = y.view();
            rope(stream, args);
            const Array in_place = x;
            args.x = args.y = in_place.view();
            rope(stream, args);
            EXPECT_TRUE(same_bits(y, in_place));
            const Array back(dtype, {size.tokens, size.heads, size.width});
            args.x = x.view();
            args.y = back.view();
            args.inverse = true;
            rope(stream, args);
            return std::vector<Array>{y, back};
          },
          [&](const std::vector<Array>& out) {
            expect_close("y", out[0], turned(x, size, tables, position, 1.0));
            expect_close("back", out[1], turned(x, size, tables, position, -1.0));
          });
    }
  }
}

TEST(Rope, WorksInsideWiderRows) {
  const Size size{6, 2, 16};
  const Tables tables(DType::F32, 8);
  const Array position = positions(6);
  const Array fused = Array::random(DType::F32, {6, 50}, 2);
  const Array x(DType::F32, {6, 2, 16});
  Array inside = x;
  for (std::int64_t i = 0; i < inside.size(); ++i) inside.set(i, fused.at(i / 32, 10 + i % 32));
  everywhere(
      "fused",
      [&](Stream& stream) {
        const Array copy = fused;
        View view = x.view();
        view.strides[0] = 50;
        view.data = copy.view().as<float>() + 10;
        rope(stream, {.x = view, .y = view, .cosine = tables.cosine.view(),
                      .sine = tables.sine.view(), .position = position.view()});
        return std::vector<Array>{copy};
      },
      [&](const std::vector<Array>& out) {
        const std::vector<double> y = turned(inside, size, tables, position, 1.0);
        std::vector<double> expected;
        for (std::int64_t i = 0; i < fused.size(); ++i) {
          const std::int64_t c = i % 50 - 10;
          const bool in = c >= 0 && c < 32;
          expected.push_back(in ? y[static_cast<std::size_t>(i / 50 * 32 + c)] : fused[i]);
        }
        expect_close("row", out[0], expected);
      });
}

TEST(Rope, RefusesOddWidthsAndUnknownPositions) {
  Stream stream(1, CpuIsa::Avx2);
  const Tables tables(DType::F32, 4);
  const Array x(DType::F32, {2, 1, 8});
  const Array odd(DType::F32, {2, 1, 7});
  const Array good = Array::of(DType::I32, {2}, {0, 10});
  const Array beyond = Array::of(DType::I32, {2}, {0, 11});
  Rope args{.x = x.view(), .y = x.view(), .cosine = tables.cosine.view(),
            .sine = tables.sine.view(), .position = good.view()};
  EXPECT_NO_THROW(rope(stream, args));
  args.position = beyond.view();
  EXPECT_THROW(rope(stream, args), ShapeError);
  args.position = good.view();
  args.x = args.y = odd.view();
  EXPECT_THROW(rope(stream, args), ShapeError);
}

}  // namespace
}  // namespace moe::kernels
