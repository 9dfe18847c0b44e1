#include "metrics/unigram.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace moe::metrics {
namespace {

using Counts = std::vector<std::int64_t>;

TEST(Unigram, UniformCountsCostTheLogOfTheVocabulary) {
  const Counts train(256, 1000);
  const Counts held_out = byte_counts("any text at all");
  EXPECT_DOUBLE_EQ(unigram_bits_per_byte(train, held_out, 15), 8.0);
}

TEST(Unigram, AgreesWithTheFormulaByHand) {
  // (3 + 1) / 8, (0 + 1) / 8, (2 + 1) / 8: tokens cost 1, 3 and log2(8/3) bits.
  const double bits = unigram_bits_per_byte(Counts{3, 0, 2}, Counts{2, 1, 1}, 10);
  EXPECT_DOUBLE_EQ(bits, (2 * 1 + 1 * 3 + std::log2(8.0 / 3)) / 10);
}

TEST(Unigram, NothingHeldOutCostsNothing) {
  EXPECT_EQ(unigram_bits_per_byte(Counts{0, 0}, Counts{0, 0}, 1), 0);
}

TEST(Unigram, RefusesCountsThatDoNotMatch) {
  EXPECT_THROW(unigram_bits_per_byte(Counts{1}, Counts{1, 2}, 1), InternalError);
  EXPECT_THROW(unigram_bits_per_byte(Counts{}, Counts{}, 1), InternalError);
  EXPECT_THROW(unigram_bits_per_byte(Counts{1}, Counts{1}, 0), InternalError);
}

TEST(ByteCounts, CountEveryByteValue) {
  const Counts counts = byte_counts(std::string_view("a\0\xff" "a", 4));
  EXPECT_EQ(counts.size(), 256U);
  EXPECT_EQ(counts['a'], 2);
  EXPECT_EQ(counts[0], 1);
  EXPECT_EQ(counts[255], 1);
}

TEST(BitsPerByte, ConvertsNats) {
  EXPECT_DOUBLE_EQ(bits_per_byte(std::log(2.0), 30, 10), 3.0);
}

}  // namespace
}  // namespace moe::metrics
