#include "metrics/crc32c.h"

#include <gtest/gtest.h>

#include <string>

namespace moe::metrics {
namespace {

TEST(Crc32c, KnownAnswers) {
  // The check value of the catalogue, and RFC 3720 appendix B.4.
  std::string ascending;
  std::string descending;
  for (int i = 0; i < 32; ++i) ascending += static_cast<char>(i);
  for (int i = 31; i >= 0; --i) descending += static_cast<char>(i);
  const std::pair<std::string, std::uint32_t> rows[] = {
      {"", 0x00000000U},
      {"123456789", 0xe3069283U},
      {std::string(32, '\0'), 0x8a9136aaU},
      {std::string(32, '\xff'), 0x62a8ab43U},
      {ascending, 0x46dd794eU},
      {descending, 0x113fdb5cU},
  };
  for (const auto& [bytes, crc] : rows) EXPECT_EQ(crc32c(bytes), crc);
}

TEST(Crc32c, TheMaskRotatesAndAdds) {
  // An unmasked zero becomes the constant alone.
  EXPECT_EQ(masked_crc32c(""), 0xa282ead8U);
  EXPECT_EQ(masked_crc32c("123456789"),
            ((0xe3069283U >> 15) | (0xe3069283U << 17)) + 0xa282ead8U);
}

}  // namespace
}  // namespace moe::metrics
