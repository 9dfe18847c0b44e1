#include "nn/rope.h"

#include <cmath>
#include <numbers>

#include "base/format.h"
#include "support/context_test.h"
#include "support/tolerance.h"

namespace moe::nn {
namespace {

class Rope : public testing::ContextTest {};

/// The published rules, in f64 and written anew.
double frequency(const RopeSpec& spec, std::int64_t j, std::int64_t width) {
  const double base =
      1.0 / std::pow(spec.theta, 2.0 * static_cast<double>(j) / static_cast<double>(width));
  if (spec.type == "linear") return base / spec.factor;
  if (spec.type != "llama3") return base;
  // How many turns the pair makes over the original context decides: many, it stays as it is; few,
  // it is slowed down by the factor; between, a straight line.
  const double turns =
      static_cast<double>(spec.original_max_positions) * base / (2.0 * std::numbers::pi);
  if (turns < spec.low_frequency_factor) return base / spec.factor;
  if (turns > spec.high_frequency_factor) return base;
  const double kept = (turns - spec.low_frequency_factor) /
                      (spec.high_frequency_factor - spec.low_frequency_factor);
  return kept * base + (1.0 - kept) * base / spec.factor;
}

const RopeSpec kSpecs[] = {
    {},
    {.theta = 5e5},
    {.theta = 1e4, .type = "linear", .factor = 4.0},
    {.theta = 1e4,
     .type = "llama3",
     .factor = 8.0,
     .low_frequency_factor = 2.0,
     .high_frequency_factor = 5.0,
     .original_max_positions = 64},
    {.theta = 5e5,
     .type = "llama3",
     .factor = 32.0,
     .low_frequency_factor = 1.0,
     .high_frequency_factor = 4.0,
     .original_max_positions = 8192},
};

TEST_F(Rope, TablesHoldTheAnglesOfTheFormula) {
  constexpr std::int64_t kPositions = 200;
  for (const RopeSpec& spec : kSpecs) {
    for (const std::int64_t width : {2, 6, 32}) {
      for (const DType dtype : {DType::F32, DType::F64}) {
        const ops::RopeTable table = make_rope_table(spec, width, kPositions, dtype);
        const std::vector<double> cosine = table.cosine.to_vector();
        const std::vector<double> sine = table.sine.to_vector();
        for (std::int64_t p = 0; p < kPositions; ++p) {
          for (std::int64_t j = 0; j < width / 2; ++j) {
            const double angle = static_cast<double>(p) * frequency(spec, j, width);
            // Angles are f32: their error grows with them.
            const double allowed = testing::tolerance(DType::F32) * (1.0 + angle);
            const auto at = static_cast<std::size_t>(p * (width / 2) + j);
            ASSERT_NEAR(cosine[at], std::cos(angle), allowed)
                << spec.type << " width " << width << " position " << p << " pair " << j;
            ASSERT_NEAR(sine[at], std::sin(angle), allowed)
                << spec.type << " width " << width << " position " << p << " pair " << j;
          }
        }
      }
    }
  }
}

TEST_F(Rope, EveryBandOfLlama3IsReached) {
  int slowed = 0;
  int kept = 0;
  int between = 0;
  const RopeSpec& spec = kSpecs[3];
  for (std::int64_t j = 0; j < 16; ++j) {
    const double base = frequency({.theta = spec.theta}, j, 32);
    const double scaled = frequency(spec, j, 32);
    (scaled == base ? kept : scaled == base / spec.factor ? slowed : between) += 1;
  }
  EXPECT_GT(slowed, 0);
  EXPECT_GT(kept, 0);
  EXPECT_GT(between, 0);
}

TEST_F(Rope, PositionZeroTurnsNothing) {
  for (const RopeSpec& spec : kSpecs) {
    const ops::RopeTable table = make_rope_table(spec, 8, 1, DType::F32);
    EXPECT_EQ(table.cosine.to_vector(), std::vector<double>(4, 1.0));
    EXPECT_EQ(table.sine.to_vector(), std::vector<double>(4, 0.0));
  }
}

TEST_F(Rope, TablesAreAtLeastSinglePrecision) {
  for (const auto& [compute, table] : std::initializer_list<std::pair<DType, DType>>{
           {DType::F32, DType::F32}, {DType::BF16, DType::F32}, {DType::F64, DType::F64}}) {
    const ops::RopeTable made = make_rope_table({}, 4, 3, compute);
    EXPECT_EQ(made.cosine.dtype(), table);
    EXPECT_EQ(made.sine.dtype(), table);
    EXPECT_EQ(made.cosine.shape(), (Shape{3, 2}));
    EXPECT_EQ(made.sine.shape(), (Shape{3, 2}));
  }
}

}  // namespace
}  // namespace moe::nn
