/// A plan at work: stages are put on a source one after another, and after each the model before and the model after are
/// evaluated on the same tokens.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "growth/plan.h"
#include "growth/stage.h"

namespace moe::growth {

/// What is told of a stage after it was checked: a row of the table and of growth.json.
struct StageReport {
  std::string stage;
  std::string method;
  double loss_before = 0;           ///< @unit nats a token
  double loss_after = 0;
  double max_logit_difference = 0;
  double max_logit = 0;             ///< largest |logit| before
  std::int64_t parameters_total = 0;
  std::int64_t parameters_active = 0;
  std::optional<double> expert_cosine;  ///< none: a dense model
  bool keeps_function = false;          ///< what the method promises
};

struct GrowthRunOptions {
  const TokenProbe* probe = nullptr;    ///< for stages that calibrate
  std::span<const std::int32_t> tokens; ///< to verify on
  /// Told what is about to be done: "evaluate the source", "stage 1 of 3: widen (lemon)", ...
  std::function<void(const std::string& what, std::size_t done, std::size_t total)> progress;
};

struct GrownModel {
  ModelSource model;
  std::vector<StageReport> reports;
  std::optional<std::size_t> failed;  ///< the first stage beyond require_exact; later ones were not run
};

/// Nothing is written. Runs block by block: see BlockwiseModel for the memory it takes.
/// @throws ConfigError naming stage and option, CheckpointError, DataError
GrownModel run_plan(const Plan& plan, const ModelSource& source, const GrowthRunOptions& options);

/// The stages of a plan on an optimizer's moments of `source`, which move as the weights do.
/// @shape `moments` has the names and shapes of the source's parameters
ModelSource carry_moments(const Plan& plan, const ModelSource& source, const ModelSource& moments,
                          const TokenProbe* probe);

}  // namespace moe::growth
