// Folders from strangers, each with one thing wrong, through the whole of a conversion.
#include "support/bad_directories.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "run/convert_run.h"
#include "support/temporary_folder.h"

namespace moe::run {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::bad_directories;
using testing::BadDirectory;
using testing::TemporaryFolder;

ConvertOptions conversion(const TemporaryFolder& folder) {
  ConvertOptions options;
  options.source = folder / "NAME";
  options.write.output = folder / "output";
  options.write.progress = false;
  return options;
}

class BadDirectories : public ::testing::TestWithParam<BadDirectory> {};

TEST_P(BadDirectories, AreRefusedByNameAndLeaveNothing) {
  const TemporaryFolder folder(true);
  GetParam().make().write(folder / "NAME");
  try {
    (void)convert_model(conversion(folder));
    ADD_FAILURE() << "was converted";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 66) << error.what();
    for (const std::string& part : GetParam().expected) EXPECT_THAT(error.what(), HasSubstr(part));
  }
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    EXPECT_THAT(entry.path().filename().string(), ::testing::StartsWith("NAME"));
  }
}

INSTANTIATE_TEST_SUITE_P(Convert, BadDirectories, ::testing::ValuesIn(bad_directories()),
                         [](const auto& tested) { return tested.param.name; });

TEST(BadDirectories, StartFromModelsThatAreGood) {
  for (auto make : {&testing::tiny_llama, &testing::tiny_mixtral}) {
    const TemporaryFolder folder(true);
    make().write(folder / "NAME");
    EXPECT_NO_THROW((void)convert_model(conversion(folder)));
    auto shards = make();
    shards.use_shards();
    shards.write(folder / "shards");
    ConvertOptions options = conversion(folder);
    options.source = folder / "shards";
    options.write.output = folder / "second";
    EXPECT_NO_THROW((void)convert_model(options));
  }
}

TEST(BadDirectories, LinksAreFollowedWhenAllowed) {
  const TemporaryFolder folder(true);
  auto model = testing::tiny_llama();
  model.links = {{"model.safetensors", "OUTSIDE"}, {"config.json", "OUTSIDE"}};
  model.write(folder / "NAME");
  ConvertOptions options = conversion(folder);
  EXPECT_THROW((void)convert_model(options), CheckpointError);
  options.follow_links = true;
  EXPECT_NO_THROW((void)convert_model(options));
}

TEST(BadDirectories, LinksWithinTheFolderAreFine) {
  const TemporaryFolder folder(true);
  auto model = testing::tiny_llama();
  model.write(folder / "NAME");
  std::filesystem::rename(folder / "NAME/model.safetensors", folder / "NAME/blob");
  std::filesystem::create_symlink("blob", folder / "NAME/model.safetensors");
  EXPECT_NO_THROW((void)convert_model(conversion(folder)));
}

}  // namespace
}  // namespace moe::run
