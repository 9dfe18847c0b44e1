// The program as a person runs it: exit codes, one line of error, nothing half-written.
#include <gmock/gmock.h>
#include <stdio.h>
#include <sys/wait.h>

#include "data/support.h"

namespace moe::data {
namespace {

using testing::ScratchFolder;
using ::testing::HasSubstr;

struct Outcome {
  int code;
  std::string output;
};

Outcome run(const std::string& arguments) {
  const std::string command = MOE_BINARY_DIR "/bin/moe-data " + arguments + " 2>&1";
  FILE* pipe = ::popen(command.c_str(), "r");
  std::string output;
  char buffer[4096];
  while (const std::size_t got = ::fread(buffer, 1, sizeof(buffer), pipe)) output.append(buffer, got);
  return {WEXITSTATUS(::pclose(pipe)), output};
}

struct Row {
  const char* arguments;
  int code;
  const char* output;
};

class MoeData : public ::testing::TestWithParam<Row> {};

TEST_P(MoeData, EndsWithTheDesignedCode) {
  const Outcome outcome = run(GetParam().arguments);
  EXPECT_EQ(outcome.code, GetParam().code) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr(GetParam().output));
  if (outcome.code != 0) {
    EXPECT_TRUE(outcome.output.starts_with("error: ")) << outcome.output;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Rows, MoeData,
    ::testing::Values(Row{"--version", 0, "moe-data "}, Row{"--help", 0, "train-tokenizer"},
                      Row{"prepare --help", 0, "--split-documents"},
                      Row{"verify --version", 0, "moe-data "},
                      Row{"", 64, "subcommand"}, Row{"prepar", 64, "error"},
                      Row{"prepare --input x", 64, "required"},
                      Row{"prepare --input x --tokenizer bytes --output y --split-documents pages", 64,
                          "blank-lines"},
                      Row{"train-tokenizer --input x --output y --vocab-size 12", 64, "vocab-size"},
                      Row{"prepare --input /nonexistent --tokenizer bytes --output y", 66,
                          "/nonexistent"},
                      Row{"prepare --input /nonexistent --tokenizer z.model --output y", 66, "z.model"},
                      Row{"inspect /nonexistent/p", 66, "/nonexistent/p.idx"},
                      Row{"verify /nonexistent/p --json", 66, "/nonexistent/p.idx"}));

TEST(MoeDataProgram, PreparesInspectsAndVerifies) {
  const ScratchFolder scratch;
  const std::string input = scratch.write("in.txt", "some text\n");
  const std::string prefix = (scratch / "shard").string();
  const Outcome made = run("prepare --input " + input + " --tokenizer bytes --output " + prefix);
  EXPECT_EQ(made.code, 0) << made.output;
  EXPECT_THAT(made.output, HasSubstr("11 tokens"));
  EXPECT_THAT(run("inspect " + prefix + " --json").output, HasSubstr("\"tokens\": 11"));
  EXPECT_EQ(run("verify " + prefix).code, 0);
  write_file_atomically(prefix + ".bin", "0123456789012345678901");
  EXPECT_EQ(run("verify " + prefix).code, 66);
}

}  // namespace
}  // namespace moe::data
