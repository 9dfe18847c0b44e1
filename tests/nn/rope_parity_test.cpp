/// Rotary frequencies bit for bit as transformers forms them in f32.
#include <cmath>
#include <vector>

#include "nn/rope.h"
#include "support/context_test.h"

namespace moe::nn {
namespace {

struct Row {
  const char* name;
  RopeSpec spec;
  std::int64_t head_width;
  std::vector<float> frequencies;  ///< LlamaRotaryEmbedding.inv_freq of transformers 5.23.0
};

const Row kRows[] = {
    {"default, base 1e6", {.theta = 1e6}, 10,
     {0x1p+0F, 0x1.0270acp-4F, 0x1.04e74cp-8F, 0x1.0763eap-12F, 0x1.09e6a2p-16F}},
    {"default, base 5e5", {.theta = 5e5}, 12,
     {0x1p+0F, 0x1.cbc2aap-4F, 0x1.9cd9d2p-7F, 0x1.72ba42p-10F, 0x1.4ce6ecp-13F, 0x1.2aefa4p-16F}},
    {"linear", {.theta = 1e4, .type = "linear", .factor = 3.5}, 12,
     {0x1.24924ap-2F, 0x1.f842c2p-5F, 0x1.b28f0cp-7F, 0x1.767dcep-9F, 0x1.42ba14p-11F,
      0x1.161e2p-13F}},
    {"llama3, all three bands",
     {.theta = 1e4,
      .type = "llama3",
      .factor = 8.0,
      .low_frequency_factor = 1.0,
      .high_frequency_factor = 4.0,
      .original_max_positions = 32},
     16,
     {0x1p+0F, 0x1.888f8p-4F, 0x1.99999ap-7F, 0x1.030dc6p-8F, 0x1.47ae14p-10F, 0x1.9e7c7p-12F,
      0x1.0624dep-13F, 0x1.4b96cp-15F}},
    {"llama3, as published",
     {.theta = 5e5,
      .type = "llama3",
      .factor = 32.0,
      .low_frequency_factor = 1.0,
      .high_frequency_factor = 4.0,
      .original_max_positions = 8192},
     24,
     {0x1p+0F, 0x1.571288p-2F, 0x1.cbc2aap-4F, 0x1.341190p-5F, 0x1.9cd9d2p-7F, 0x1.14a2e4p-8F,
      0x1.c26c4p-12F, 0x1.f0d27p-17F, 0x1.4ce6ecp-18F, 0x1.be2188p-20F, 0x1.2aefa4p-21F,
      0x1.909caap-23F}},
};

class RopeTable : public moe::testing::ContextTest {};

TEST_F(RopeTable, AnglesAreThoseOfTransformers) {
  constexpr std::int64_t kPositions = 4098;
  for (const Row& row : kRows) {
    const ops::RopeTable table = make_rope_table(row.spec, row.head_width, kPositions, DType::F32);
    const auto half = row.frequencies.size();
    ASSERT_EQ(table.cosine.shape(), (Shape{kPositions, row.head_width / 2}));
    // Position 1 shows the last bit of slow frequencies, position 4097 that of fast ones.
    for (const std::size_t position : {std::size_t{0}, std::size_t{1}, std::size_t{4097}}) {
      for (std::size_t j = 0; j < half; ++j) {
        const float angle = static_cast<float>(position) * row.frequencies[j];
        const std::size_t at = position * half + j;
        EXPECT_EQ(table.cosine.span<float>()[at], static_cast<float>(std::cos(double{angle})))
            << row.name << ", position " << position << ", frequency " << j;
        EXPECT_EQ(table.sine.span<float>()[at], static_cast<float>(std::sin(double{angle})))
            << row.name << ", position " << position << ", frequency " << j;
      }
    }
  }
}

}  // namespace
}  // namespace moe::nn
