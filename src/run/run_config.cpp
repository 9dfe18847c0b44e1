#include "run/run_config.h"

#include <algorithm>
#include <map>
#include <sstream>

#include "base/error.h"
#include "base/format.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/folder.h"
#include "config/decode.h"
#include "config/print.h"
#include "config/reference.h"
#include "run/loaded_model.h"
#include "run/open_model.h"

namespace moe::run {

void RuntimeConfig::fields(config::Fields& f) {
  f.choice("device", device, {"cpu"}, "where the run computes");
  f.choice("compute_dtype", compute_dtype, {"f32", "bf16"},
           "type of weights and activations in computation; master weights and gradients stay f32. Without native "
           "bf16 the CPU computes in f32 and says so");
  f.boolean("emulate_bf16", emulate_bf16,
            "compute with bf16 rounding also where the CPU has no native bf16: slow, for checking numerics");
  f.optional_integer("threads", threads, "auto",
                     "threads of one rank; auto: OMP_NUM_THREADS, else the machine's cores shared among its ranks",
                     {.min = 1, .max = 1024});
}

void RunConfig::fields(config::Fields& f) {
  f.text("name", name, "name of the run; its folder is <output>/<name>");
  f.text("output", output, "folder of runs, relative to the working directory");
  f.integer("seed", seed, "of initial weights and of the order of data", {.min = 0});
  f.section("runtime", "device, precision, threads", [this](auto& s) { runtime.fields(s); });
  f.section("model", "architecture, in Hugging Face's names", [this](auto& s) { model.fields(s); });
  f.section("data", "where tokens come from", [this](auto& s) { data.fields(s); });
  f.section("training", "length of the run and sizes of batches", [this](auto& s) { training.fields(s); });
  f.section("optimizer", "update rule", [this](auto& s) { optimizer.fields(s); });
  f.section("schedule", "learning rate over steps", [this](auto& s) { schedule.fields(s); });
  f.section("parallel", "spread over ranks", [this](auto& s) { parallel.fields(s); });
  f.section("checkpoint", "saving and resuming", [this](auto& s) { checkpoint.fields(s); });
  f.section("logging", "where metrics go", [this](auto& s) { logging.fields(s); });
  f.section("eval", "held-out loss", [this](auto& s) { eval.fields(s); });
  if (name.empty() || name.find('/') != std::string::npos || name == "." || name == "..") {
    f.reject("name", "expected a plain folder name");
  }
  if (training.sequence_length > model.max_position_embeddings) {
    f.reject("training", format("sequence_length ({}) exceeds model.max_position_embeddings ({})",
                                training.sequence_length, model.max_position_embeddings));
  }
  if (parallel.expert > 1 &&
      (model.num_experts == 0 || model.num_experts % parallel.expert != 0)) {
    f.reject("parallel", format("expert ({}) must divide model.num_experts ({})", parallel.expert,
                                model.num_experts));
  }
  if (schedule.min_learning_rate > optimizer.learning_rate) {
    f.reject("schedule", format("min_learning_rate ({}) exceeds optimizer.learning_rate ({})",
                                schedule.min_learning_rate, optimizer.learning_rate));
  }
}

namespace {

void decode_into(RunConfig& config, const config::Document& document) {
  config::decode(document, [&config](config::Fields& f) { config.fields(f); });
}

/// The model of the newest checkpoint that an automatic resume would go on from.
std::optional<ModelConfig> model_of_own_checkpoint(const RunConfig& config) {
  if (config.checkpoint.resume == "never") return {};
  const Path folder = config.folder() / "checkpoints";
  std::vector<std::int64_t> steps = checkpoint::list_steps(folder);
  std::ranges::reverse(steps);
  for (const std::int64_t step : steps) {
    const Path path = folder / checkpoint::step_name(step);
    if (!checkpoint::looks_complete(path)) continue;
    return config_of(*checkpoint::open_checkpoint(path, {.verify = false})).model;
  }
  return {};
}

/// What keys of `model` are where the document does not write them: those of the weights to start from.
ModelConfig model_to_start_from(const RunConfig& config) {
  if (const auto own = model_of_own_checkpoint(config)) return *own;
  return open_model(*config.checkpoint.init_from, {.follow_links = config.checkpoint.follow_links,
                                                   .shapes_only = true})
      .model.config;
}

}  // namespace

RunConfig load_run_config(const Path& path, const std::vector<std::string>& overrides) {
  config::Document document = config::Document::load(path);
  document.override_with(overrides);
  RunConfig first;
  try {
    decode_into(first, document);
    if (!first.checkpoint.init_from) return first;
  } catch (const ConfigError&) {
    if (!first.checkpoint.init_from) throw;
  }
  RunConfig config;
  config.model = model_to_start_from(first);
  decode_into(config, document);
  return config;
}

RunConfig parse_run_config(const std::string& yaml, const std::string& name) {
  return config::decode<RunConfig>(config::Document::parse(yaml, name));
}

std::string config_reference() {
  RunConfig defaults;
  return "# Configuration\n\nGenerated from the typed sections by `moe-train --print-reference`; a test fails when it "
         "is stale. `moe-train CONFIG --print-config` prints a run's resolved config.\n\n" +
         config::reference_markdown([&](config::Fields& f) { defaults.fields(f); });
}

std::string print_run_config(const RunConfig& config) { return config::print_yaml(config); }

namespace {

/// "section.key" -> the text of its value, nested keys joined; from the printed form, so that every field counts.
std::map<std::string, std::string> flatten(const RunConfig& config) {
  std::map<std::string, std::string> values;
  std::vector<std::pair<std::size_t, std::string>> path;  // indent, key
  std::istringstream lines(print_run_config(config));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t indent = line.find_first_not_of(' ');
    const std::size_t colon = line.find(':');
    if (indent == std::string::npos || line[indent] == '#') continue;
    while (!path.empty() && path.back().first >= indent) path.pop_back();
    std::string key;
    for (const auto& [depth, part] : path) key += part + ".";
    if (colon == std::string::npos) {
      values[key] += line.substr(indent) + " ";
      continue;
    }
    const std::string own = line.substr(indent, colon - indent);
    const std::size_t value = line.find_first_not_of(' ', colon + 1);
    values[key + own] += value == std::string::npos ? "" : line.substr(value);
    path.emplace_back(indent, own);
  }
  return values;
}

bool starts_with_any(const std::string& key, std::initializer_list<const char*> prefixes) {
  return std::ranges::any_of(prefixes, [&](const char* prefix) { return key.rfind(prefix, 0) == 0; });
}

}  // namespace

ConfigDrift compare_configs(const RunConfig& saved, const RunConfig& current) {
  const auto before = flatten(saved);
  const auto after = flatten(current);
  ConfigDrift drift;
  std::map<std::string, std::pair<std::string, std::string>> changes;
  for (const auto& [key, value] : before) changes[key].first = value;
  for (const auto& [key, value] : after) changes[key].second = value;
  for (const auto& [key, change] : changes) {
    if (change.first == change.second) continue;
    if (starts_with_any(key, {"name", "output", "logging", "checkpoint", "eval", "runtime.threads",
                              "data.prefetch", "parallel.bucket_mib", "parallel.overlap"})) {
      continue;
    }
    const std::string line = format("{}: {} -> {}", key, change.first, change.second);
    // These change rounding or speed, or where the run ends, but not what is learned from.
    const bool harmless =
        starts_with_any(key, {"parallel", "training.micro_batch_size", "training.recompute",
                              "training.steps", "training.tokens", "runtime"});
    (harmless ? drift.named : drift.refused).push_back(line);
  }
  return drift;
}

}  // namespace moe::run
