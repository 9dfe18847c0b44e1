#include "base/digest.h"

#include <gtest/gtest.h>

#include <string>

#include "base/error.h"
#include "support/temporary_folder.h"

namespace moe {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

std::string pattern(std::size_t size) {
  std::string text;
  for (std::size_t i = 0; i < size; ++i) text += static_cast<char>((i * 7 + 3) % 256);
  return text;
}

struct Row {
  std::string input;
  const char* xxh3_128;
  std::uint64_t xxh3_64;
  std::uint64_t xxh3_64_seed_42;
};

// Made with python-xxhash; the sizes visit each branch of XXH3 (0, 1-16, 17-128, 129-240, more).
const std::vector<Row>& rows() {
  static const std::vector<Row> kRows{
      {"", "99aa06d3014798d86001c324468d497f", 0x2d06800538d394c2, 0xb029411ff43d84d2},
      {"a", "a96faf705af16834e6c632b61e964e1f", 0xe6c632b61e964e1f, 0x4c437dd47f0716f4},
      {"abc", "06b05ab6733a618578af5f94892f3950", 0x78af5f94892f3950, 0xd8438def21bbdcc3},
      {"123456789", "33119477ede5dcd5e9716427681d5860", 0x72dcb18b67a17dff, 0x6f803e3c27e6da22},
      {pattern(17), "bfd327edcc2fbd12eeed7654312a26d7", 0x714a04408e79b80f, 0x148ada809b3845dd},
      {pattern(129), "293e4968c4619023bd91ce7ace4d385b", 0xc664bf3311c6abc4, 0x4df9521149f6f8c5},
      {pattern(241), "ac6c3492c3d6b45d8beadd3a8874fe17", 0x8beadd3a8874fe17, 0x59fdc74e63a7aee7},
      {pattern(1000), "6bcc7eff62da44c26c4f14bd97bd9e82", 0x6c4f14bd97bd9e82, 0xf0f163846cbf0c33},
  };
  return kRows;
}

TEST(Digest, KnownAnswersOfXxh3) {
  for (const Row& row : rows()) {
    EXPECT_EQ(digest_128(bytes_of(row.input)), row.xxh3_128);
    EXPECT_EQ(digest_64(bytes_of(row.input)), row.xxh3_64);
    EXPECT_EQ(digest_64(bytes_of(row.input), 42), row.xxh3_64_seed_42);
  }
}

TEST(Digest, OfAFileIsThatOfItsBytes) {
  const testing::TemporaryFolder folder;
  for (const Row& row : rows()) {
    write_file_atomically(folder / "f", row.input);
    EXPECT_EQ(digest_file_128(folder / "f"), row.xxh3_128);
  }
  EXPECT_THROW(digest_file_128(folder / "absent"), DataError);
}

TEST(Digest, EveryFlippedBitChangesIt) {
  std::string text = pattern(64);
  const std::string before = digest_128(bytes_of(text));
  for (std::size_t bit = 0; bit < 8 * text.size(); ++bit) {
    const char mask = static_cast<char>(1U << (bit % 8));
    text[bit / 8] = static_cast<char>(text[bit / 8] ^ mask);
    EXPECT_NE(digest_128(bytes_of(text)), before);
    text[bit / 8] = static_cast<char>(text[bit / 8] ^ mask);
  }
}

}  // namespace
}  // namespace moe
