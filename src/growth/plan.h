/// What moe-upcycle is asked to do: a source, stages in order, and how the result is checked.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "growth/stage.h"

namespace moe::growth {

/// Tokens that source and result of every stage are evaluated on.
struct VerifyConfig {
  std::string text;  ///< a file; empty: a built-in random probe
  std::int64_t tokens = 4096;
  std::optional<double> require_exact;  ///< the largest logit difference a stage may make

  void fields(config::Fields& f);
};

/// A stage of the registry and its options.
struct PlannedStage {
  std::string name;
  std::shared_ptr<StageOptions> options;
};

struct Plan {
  std::string source;
  std::string output;
  std::string output_format = "native";    ///< native, hf
  std::int64_t seed = 1;
  std::vector<PlannedStage> stages;
  std::string optimizer_state = "reset";   ///< reset, copy, tile
  bool verify_given = false;
  VerifyConfig verify;

  /// The section, or a probe of 256 random tokens where there is none.
  VerifyConfig verified_on() const;
  void fields(config::Fields& f);
};

/// Reads a file and applies `key=value` overrides. @throws ConfigError with all errors at once
Plan load_plan(const Path& path, const std::vector<std::string>& overrides);
/// The resolved plan as YAML that is itself a valid plan.
std::string print_plan(const Plan& plan);
/// Markdown tables of every key, generated from the sections.
std::string plan_reference();

}  // namespace moe::growth
