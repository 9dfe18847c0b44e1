/// The built programs, run as a person runs them: in a folder of their own, with the launch scripts' environment.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/types.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/temporary_folder.h"

namespace moe::testing {

struct Outcome {
  int code = -1;       ///< exit code; 128 + signal when killed
  std::string output;  ///< standard output
  std::string errors;  ///< standard error
  std::string all() const { return output + errors; }
};

/// A folder with token shards and a small config in which programs run one at a time.
class Workplace {
 public:
  std::filesystem::path operator/(const std::string& name) const { return folder_ / name; }

  void write(const std::string& name, const std::string& text) const;
  std::string read(const std::string& name) const;
  bool exists(const std::string& name) const { return std::filesystem::exists(folder_ / name); }
  std::vector<nlohmann::ordered_json> lines(const std::string& name) const;

  /// `command` begins with a program's name; with `ranks` > 0 it runs under mpirun.
  Outcome run(const std::string& command, int ranks = 0) const;
  /// The same, with SIGTERM once `file` has `lines` lines.
  Outcome run_and_stop(const std::string& command, const std::string& file, int lines) const;

  /// Shards `train` and `held_out` of generated prose.
  void prepare_data() const;

 private:
  std::string shell_line(const std::string& command, int ranks) const;
  pid_t start(const std::string& command, int ranks) const;
  Outcome collect(pid_t child) const;

  TemporaryFolder folder_{true};
};

/// Prose-like text of about `bytes` bytes; the same for the same `name`.
std::string make_text(const std::string& name, std::size_t bytes);

/// A whole run in a second: 2 layers, 4 experts, on the shards of prepare_data().
std::string small_config(int steps = 12);

/// `text` with its one occurrence of `from` replaced.
std::string with(std::string text, const std::string& from, const std::string& to);

int count(const std::string& text, const std::string& part);

}  // namespace moe::testing
