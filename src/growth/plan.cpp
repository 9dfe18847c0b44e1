#include "growth/plan.h"

#include "config/decode.h"
#include "config/print.h"
#include "config/reference.h"

namespace moe::growth {
namespace {

constexpr std::int64_t kMostTokens = std::int64_t{1} << 24;
constexpr std::int64_t kShortProbe = 256;

void stage_fields(PlannedStage& stage, config::Fields& item) {
  item.one_of(stage.name, stages().names(), "the operator",
              [&stage](const std::string& name, config::Fields& section) {
                if (!stage.options || stage.name != name) stage.options = stages().find(name)();
                stage.name = name;
                stage.options->fields(section);
              });
}

}  // namespace

void VerifyConfig::fields(config::Fields& f) {
  f.text("text", text, "a text file in the source's language; empty: a built-in random probe");
  f.integer("tokens", tokens, "how many of its tokens", {.min = 2, .max = kMostTokens});
  f.optional_number("require_exact", require_exact, "null",
                    "largest logit difference a stage may make; more is an error (exit code 66)",
                    {.min = 0});
}

void Plan::fields(config::Fields& f) {
  f.text("source", source,
         "a step, checkpoints or run folder, or a Hugging Face folder; for --dry-run its config.json is enough");
  f.text("output", output, "folder of the new checkpoint; must not exist");
  f.choice("output_format", output_format, {"native", "hf"}, "a checkpoint of ours, or a Hugging Face folder");
  f.integer("seed", seed, "of everything that is drawn", {.min = 0});
  f.list(
      "stages", stages.size(), [this](std::size_t count) { stages.resize(count); },
      "what is done, in order: one operator an item",
      [this](std::size_t i, config::Fields& item) { stage_fields(stages[i], item); });
  f.choice("optimizer_state", optimizer_state, {"reset", "copy", "tile"},
           "moments: start at zero; copy: kept where a tensor stays as it is; tile: also copied to where weights were copied");
  f.optional_section("verify", verify_given, "what every stage is evaluated on; null: a probe of 256 random tokens",
                     [this](config::Fields& s) { verify.fields(s); });
  if (source.empty()) f.reject("source", "must be given");
  if (output.empty()) f.reject("output", "must be given");
  if (stages.empty()) f.reject("stages", "expected at least one");
  if (optimizer_state != "reset" && output_format == "hf") {
    f.reject("optimizer_state", "Hugging Face folders hold no moments; expected reset with output_format hf");
  }
}

VerifyConfig Plan::verified_on() const {
  return verify_given ? verify : VerifyConfig{.tokens = kShortProbe};
}

Plan load_plan(const Path& path, const std::vector<std::string>& overrides) {
  config::Document document = config::Document::load(path);
  document.override_with(overrides);
  Plan plan;
  config::decode(document, [&](config::Fields& f) { plan.fields(f); });
  return plan;
}

std::string print_plan(const Plan& plan) {
  Plan copy = plan;
  return config::print_yaml([&](config::Fields& f) { copy.fields(f); });
}

std::string plan_reference() {
  Plan defaults;
  return config::reference_markdown([&](config::Fields& f) { defaults.fields(f); });
}

}  // namespace moe::growth
