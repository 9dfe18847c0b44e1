#include "run/tokenizer_files.h"

#include <gtest/gtest.h>

#include "support/temporary_folder.h"

namespace moe::run {
namespace {

TEST(TokenizerFiles, ReadBackAsTheSameTokenizer) {
  const testing::TemporaryFolder folder(true);
  const auto bytes = data::make_tokenizer("bytes", {}, "bytes");
  const auto files = save_tokenizer_files(*bytes, folder.path());
  ASSERT_TRUE(files.contains("tokenizer.name"));
  for (const auto& [name, path] : files) {
    EXPECT_EQ(path, folder / "tokenizer" / name);
    EXPECT_TRUE(std::filesystem::is_regular_file(path));
  }
  const auto loaded = data::load_tokenizer((folder / "tokenizer").string());
  EXPECT_EQ(loaded->name(), "bytes");
  EXPECT_EQ(loaded->vocab_size(), bytes->vocab_size());
}

}  // namespace
}  // namespace moe::run
