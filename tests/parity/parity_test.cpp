/// Our numbers beside those of Hugging Face transformers; the fixtures' format is docs/formats/parity-fixtures.md.
///
/// MOE_PARITY_FIXTURES=FOLDER holds further models against us: every folder below it is visited.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <map>

#include "base/error.h"
#include "base/format.h"
#include "parity/comparison.h"
#include "parity/fixture.h"
#include "parity/run.h"
#include "support/temporary_folder.h"

namespace moe::parity {
namespace {

const Path kOwnFixtures = Path(MOE_SOURCE_DIR) / "tests" / "parity" / "fixtures";

/// Holds one folder against us on every instruction set of this CPU.
void visit(const Path& folder) {
  SCOPED_TRACE(folder.string());
  try {
    const Fixture fixture = open_fixture(folder);
    for (const CpuIsa isa : available_cpu_isas()) {
      const Comparison result = run_fixture(fixture, isa);
      for (const std::string& failure : result.failures()) {
        ADD_FAILURE() << to_string(isa) << ": " << failure;
      }
      fmt::print("{} on {}: {} tensors, worst {:.3f} of the tolerance in {}\n",
                 folder.filename().string(), to_string(isa), result.count(), result.worst(),
                 result.worst_in());
    }
  } catch (const std::exception& error) {
    ADD_FAILURE() << "cannot be visited: " << error.what();
  }
}

std::vector<std::string> own_names() {
  std::vector<std::string> names;
  for (const Path& folder : fixture_folders(kOwnFixtures)) names.push_back(folder.filename());
  return names;
}

class TransformersFixture : public ::testing::TestWithParam<std::string> {};

TEST_P(TransformersFixture, GivesTheirNumbers) { visit(kOwnFixtures / GetParam()); }

std::string case_name(const ::testing::TestParamInfo<std::string>& fixture) {
  std::string name = fixture.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(parity, TransformersFixture,
                         ::testing::ValuesIn(own_names()), case_name);

TEST(parity, EveryFolderOfTheVariableGivesTheirNumbers) {
  const char* root = std::getenv("MOE_PARITY_FIXTURES");
  if (root == nullptr || *root == '\0') GTEST_SKIP() << "MOE_PARITY_FIXTURES is not set";
  std::vector<Path> folders;
  ASSERT_NO_THROW(folders = fixture_folders(root)) << root;
  for (const Path& folder : folders) visit(folder);
}

TEST(parity, EveryArchitectureHasTwoFixtures) {
  std::map<interop::Architecture, int> count;
  for (const Path& folder : fixture_folders(kOwnFixtures)) {
    ++count[open_fixture(folder).config.architecture];
  }
  for (const interop::Architecture architecture : interop::kArchitectures) {
    EXPECT_GE(count[architecture], 2) << to_string(architecture);
  }
}

TEST(parity, AFolderWithoutFixturesIsRefused) {
  const moe::testing::TemporaryFolder folder;
  EXPECT_THROW(fixture_folders(folder.path()), std::runtime_error);
  EXPECT_THROW(fixture_folders(folder / "absent"), std::exception);
  std::filesystem::create_directory(folder / "empty");
  ASSERT_EQ(fixture_folders(folder.path()).size(), 1U);
  EXPECT_THROW(open_fixture(folder / "empty"), Error);
}

TEST(parity, ATruncatedFixtureIsRefused) {
  const moe::testing::TemporaryFolder folder;
  const Path copy = folder / "copy";
  std::filesystem::copy(fixture_folders(kOwnFixtures).front(), copy);
  EXPECT_NO_THROW(open_fixture(copy));
  const Path file = copy / "gradients.safetensors";
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 1);
  EXPECT_THROW(open_fixture(copy), Error);
}

struct ComparisonCase {
  const char* name;
  std::vector<double> ours;
  std::vector<double> theirs;
  bool passes;
};

TEST(parity, TheComparisonCanFail) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double inf = std::numeric_limits<double>::infinity();
  const ComparisonCase cases[] = {
      {"equal", {1, -4}, {1, -4}, true},
      {"within", {1 + 3.9e-5, -4}, {1, -4}, true},
      {"beyond", {1 + 4.1e-5, -4}, {1, -4}, false},
      {"zeros", {0, 0}, {0, 0}, true},
      {"almost zeros", {0, 1e-30}, {0, 0}, false},
      {"ours NaN", {nan, 1}, {1, 1}, false},
      {"theirs NaN", {1, 1}, {nan, 1}, false},
      {"ours NaN first, then fine", {nan, 1, 1}, {1, 1, 1}, false},
      {"infinite", {inf}, {inf}, false},
      {"other count", {1}, {1, 1}, false},
  };
  for (const ComparisonCase& row : cases) {
    Comparison comparison;
    comparison.compare(row.name, row.ours, row.theirs);
    EXPECT_EQ(comparison.failures().empty(), row.passes) << row.name;
  }
}

TEST(parity, AWrongModelFails) {
  Fixture fixture = open_fixture(kOwnFixtures / "mixtral-gqa");
  fixture.config.model.rms_norm_eps = 1e-2;
  const Comparison result = run_fixture(fixture, choose_cpu_isa());
  EXPECT_FALSE(result.failures().empty());
}

}  // namespace
}  // namespace moe::parity
