#include "growth/keyed_draws.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/every_width.h"

namespace moe::growth {
namespace {

constexpr std::size_t kBlockNumbers = 4;
constexpr std::size_t kBatch = 256;  ///< numbers computed at a time

/// Natural logarithm for x in (0, 1], to 1 ulp or two. Cephes' logf, with the exponent split off as musl does.
inline float log_of(float x) {
  const auto bits = __builtin_bit_cast(std::uint32_t, x) + (0x3f800000U - 0x3f3504f3U);
  const auto exponent = static_cast<float>(static_cast<std::int32_t>(bits >> 23) - 127);
  const float f = __builtin_bit_cast(float, (bits & 0x007fffffU) + 0x3f3504f3U) - 1.0F;  // x / 2^e - 1
  const float z = f * f;
  float y = 7.0376836292e-2F;
  for (const float c : {-1.1514610310e-1F, 1.1676998740e-1F, -1.2420140846e-1F, 1.4249322787e-1F, -1.6668057665e-1F,
                        2.0000714765e-1F, -2.4999993993e-1F, 3.3333331174e-1F}) {
    y = y * f + c;
  }
  y = f * z * y + exponent * -2.12194440e-4F - 0.5F * z;
  return f + y + exponent * 0.693359375F;
}

/// Sine and cosine of 2 pi * turn / 2^32, without a branch. Cephes' polynomials on [-pi/4, pi/4].
struct Circle {
  float sine;
  float cosine;
};
inline Circle circle_of(std::uint32_t turn) {
  const std::uint32_t quarter = (turn + (1U << 29)) >> 30;
  const auto rest = static_cast<std::int32_t>(turn - (quarter << 30));
  const float x = static_cast<float>(rest) * 1.46291807926715968e-9F;  // 2 pi / 2^32
  const float z = x * x;
  const float sine = ((-1.9515295891e-4F * z + 8.3321608736e-3F) * z - 1.6666654611e-1F) * z * x + x;
  const float cosine = ((2.443315711809948e-5F * z - 1.388731625493765e-3F) * z + 4.166664568298827e-2F) * z * z - 0.5F * z + 1.0F;
  const std::uint32_t swap = 0U - (quarter & 1U);
  const auto s = __builtin_bit_cast(std::uint32_t, sine);
  const auto c = __builtin_bit_cast(std::uint32_t, cosine);
  const std::uint32_t sine_bits = ((s & ~swap) | (c & swap)) ^ ((quarter & 2U) << 30);
  const std::uint32_t cosine_bits = ((c & ~swap) | (s & swap)) ^ (((quarter + 1U) & 2U) << 30);
  return {__builtin_bit_cast(float, sine_bits), __builtin_bit_cast(float, cosine_bits)};
}

/// Two numbers of two words: radius and angle, by Box and Muller.
MOE_EVERY_WIDTH void to_normals(const std::uint32_t* words, std::size_t count, float* out) {
  for (std::size_t i = 0; i < count; i += 2) {
    // (a + 1) / 2^24 lies in (0, 1], so the logarithm is finite.
    const float uniform = static_cast<float>(static_cast<std::int32_t>(words[i] >> 8) + 1) * 0x1p-24F;
    const float radius = __builtin_sqrtf(-2.0F * log_of(uniform));
    const Circle circle = circle_of(words[i + 1]);
    out[i] = radius * circle.cosine;
    out[i + 1] = radius * circle.sine;
  }
}

}  // namespace

float KeyedDraws::normal(std::uint64_t index) {
  if (index / kBlockNumbers != block_) {
    block_ = index / kBlockNumbers;
    const auto words = random_.block(block_);
    float drawn[kBlockNumbers];
    to_normals(words.data(), kBlockNumbers, drawn);
    std::copy_n(drawn, kBlockNumbers, values_.begin());
  }
  return static_cast<float>(values_[index % kBlockNumbers]);
}

void KeyedDraws::normals(std::uint64_t first, std::span<float> out) const {
  std::array<std::uint32_t, kBatch> words;
  std::array<float, kBatch> drawn;
  for (std::size_t done = 0; done < out.size();) {
    const std::uint64_t block = (first + done) / kBlockNumbers;
    const std::size_t skip = (first + done) % kBlockNumbers;
    const std::size_t wanted = std::min(kBatch - skip, out.size() - done);
    const std::size_t whole = (skip + wanted + kBlockNumbers - 1) / kBlockNumbers * kBlockNumbers;
    random_.blocks(block, std::span(words).first(whole));
    to_normals(words.data(), whole, drawn.data());
    std::copy_n(drawn.data() + skip, wanted, out.data() + done);
    done += wanted;
  }
}

double KeyedDraws::uniform(std::uint64_t index) {
  if (index / kBlockNumbers != block_) {
    block_ = index / kBlockNumbers;
    const auto words = random_.block(block_);
    for (std::size_t i = 0; i < kBlockNumbers; ++i) {
      values_[i] = static_cast<double>(static_cast<std::int32_t>(words[i])) * 0x1p-31;
    }
  }
  return values_[index % kBlockNumbers];
}

}  // namespace moe::growth
