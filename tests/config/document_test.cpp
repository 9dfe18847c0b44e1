#include "config/document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "config/sample_config.h"

namespace moe::config::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = ::testing::TempDir() + "moe_config_XXXXXX";
    path_ = ::mkdtemp(name.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const Path& path() const { return path_; }

 private:
  Path path_;
};

std::string load_error(const Path& path) {
  try {
    Document::load(path);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(Document, LoadsAFileAndNamesItInMessages) {
  const TemporaryFolder folder;
  const Path path = folder.path() / "run.yaml";
  write_file_atomically(path, "name: x\nseed: y\n");
  const Document document = Document::load(path);
  try {
    decode<SampleRun>(document);
    FAIL() << "seed: y must be refused";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), StartsWith(path.string() + ":2:7: seed:"));
    EXPECT_EQ(error.exit_code(), 64);
  }
}

TEST(Document, RefusesFilesThatAreNoConfig) {
  const TemporaryFolder folder;
  EXPECT_THAT(load_error(folder.path() / "missing.yaml"), HasSubstr("missing.yaml: cannot open"));
  EXPECT_THAT(load_error(folder.path()), HasSubstr("regular file"));
  const Path large = folder.path() / "large.yaml";
  write_file_atomically(large, "name: x\n" + std::string(std::size_t{2} << 20, '#'));
  EXPECT_THAT(load_error(large), HasSubstr("at most 1048576 bytes, found 2097160"));
  const Path empty = folder.path() / "empty.yaml";
  write_file_atomically(empty, "");
  EXPECT_THAT(load_error(empty), HasSubstr("there is nothing here"));
}

TEST(Document, OverridesWithScalarsAndFlowCollections) {
  const SampleRun run =
      decode_text("training: {steps: 5}\nmodel:\n  hidden_size: 8\n",
                  {"output=/tmp/a b", "training.steps=10", "training.steps=11",
                   "model.sparse_layers=[1, 2]", "optimizer.learning_rate=1e-3",
                   "model.rope_scaling={factor: 2}", "data.sources=[{prefix: p}]",
                   "parallel.data=auto", "name='a: b # c'", "checkpoint.resume = x"});
  EXPECT_EQ(run.output, "/tmp/a b");
  EXPECT_EQ(run.training.steps, 11) << "the last one wins";
  EXPECT_EQ(run.model.hidden_size, 8) << "the rest of the section stays";
  EXPECT_EQ(run.model.sparse_layers, (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(run.model.rope_scaling.factor, 2.0);
  EXPECT_EQ(run.data.sources, (std::vector<Source>{{"p", 1.0}}));
  EXPECT_EQ(run.name, "a: b # c");
  EXPECT_EQ(run.checkpoint.resume, "x");
}

TEST(Document, OverridesReachIntoWhatOverridesMade) {
  const SampleRun run =
      decode_text("model: {rope_scaling: null}",
                  {"model.rope_scaling.factor=2", "model.rope_scaling.type=linear"});
  EXPECT_TRUE(run.model.has_rope_scaling);
  EXPECT_EQ(run.model.rope_scaling, (RopeScaling{2.0, "linear"}));
}

TEST(Document, OverridesRepairTheFile) {
  EXPECT_EQ(decode_text("seed: x", {"seed=3"}).seed, 3);
}

struct BadOverride {
  const char* assignment;
  const char* phrase;
};

TEST(Document, ExplainsBadOverrides) {
  const BadOverride rows[] = {
      {"", "expected section.key=value"},
      {"steps", "expected section.key=value"},
      {"=3", "expected section.key=value"},
      {".steps=3", "expected section.key=value"},
      {"training..steps=3", "expected section.key=value"},
      {"training.=3", "expected section.key=value"},
      {"--steps 3=4", "expected section.key=value"},
      {"training.steps=", "training.steps: no value after '='"},
      {"training.steps= ", "no value after '='"},
      {"training.steps=1e3",
       "training.steps: expected an integer, got '1e3'; allowed >= 1, or null; "
       "HINT write 1000"},
      {"training.steps=010", "HINT write 10"},
      {"training.stpes=10", "training.stpes: unknown key 'stpes'; HINT did you mean steps?"},
      {"lr=10", "did you mean optimizer.learning_rate?"},
      {"name.first=x", "name.first: name is 'n', not a mapping (run.yaml:1:7)"},
      {"model={hidden_size: 8, hidden_size: 9}", "model: 'hidden_size' appears twice"},
      {"name=a: b", "expected a scalar, [a, b] or {key: value}"},
      {"name=- b", "expected a scalar, [a, b] or {key: value}"},
      {"name=a # b", "only 'a' of the value would be read; HINT quote it"},
      {"name=a\nseed: 2", "an override is one line"},
      {"name=&a b", "anchors are not allowed"},
      {"name=*a", "not valid YAML"},
      {"name=!!str b", "tags are not allowed"},
      {"name=[a", "not valid YAML"},
      {"name='a", "never closed"},
      {"name=--- a", "name: "},
      {"name=\xFF", "not valid UTF-8"},
      {"data.sources[0].prefix=x", "expected section.key=value"},
  };
  for (const BadOverride& row : rows) {
    const std::string message = error_of("name: n\n", {row.assignment});
    EXPECT_THAT(message, StartsWith("command line: ")) << row.assignment;
    EXPECT_THAT(message, HasSubstr(row.phrase)) << row.assignment;
  }
}

TEST(Document, ReportsFaultsOfFileAndOverridesTogether) {
  const std::string message = error_of("seed: x\nseed: 1\n", {"a..b=1", "name=[x"});
  EXPECT_THAT(message, HasSubstr("run.yaml:1:7: seed: expected an integer"));
  EXPECT_THAT(message, HasSubstr("run.yaml:2:1: 'seed' appears twice"));
  EXPECT_THAT(message, HasSubstr("command line: a..b=1: expected section.key=value"));
  EXPECT_THAT(message, HasSubstr("command line: name=[x: name: not valid YAML"));
  EXPECT_THAT(message, HasSubstr("4 problems"));
}

}  // namespace
}  // namespace moe::config::testing
