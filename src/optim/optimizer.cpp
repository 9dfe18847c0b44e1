#include "optim/optimizer.h"

#include <algorithm>

#include "base/error.h"
#include "base/format.h"
#include "optim/adamw.h"

namespace moe::optim {
namespace {

struct Entry {
  const char* name;
  std::unique_ptr<Optimizer> (*make)(const OptimizerConfig&, std::vector<TrainedTensor>);
  std::int64_t bytes_per_element;
};

constexpr Entry kOptimizers[] = {
    {"adamw", &make_adamw, 8},
};

const Entry& find(const std::string& name) {
  for (const Entry& entry : kOptimizers) {
    if (name == entry.name) return entry;
  }
  throw ConfigError(format("optimizer.name: '{}' is not known; allowed: {}", name,
                           fmt::join(optimizer_names(), ", ")));
}

std::vector<std::string> kind_names() {
  std::vector<std::string> names;
  for (const ParameterKind kind : kParameterKinds) names.emplace_back(to_string(kind));
  return names;
}

bool contains(const std::vector<std::string>& names, ParameterKind kind) {
  return std::ranges::find(names, to_string(kind)) != names.end();
}

}  // namespace

void ParameterGroup::fields(config::Fields& f) {
  f.choices("kinds", kinds, kind_names(), "kinds of parameters this group is about");
  f.number("learning_rate_scale", learning_rate_scale, "times the scheduled learning rate",
           {.min = 0});
  f.optional_number("weight_decay", weight_decay, "null", "instead of the optimizer's", {.min = 0});
}

void OptimizerConfig::fields(config::Fields& f) {
  f.choice("name", name, optimizer_names(), "update rule");
  f.number("learning_rate", learning_rate, "peak learning rate", {.min = 0});
  f.number("beta1", beta1, "decay of the first moment", {.min = 0, .below = 1});
  f.number("beta2", beta2, "decay of the second moment", {.min = 0, .below = 1});
  f.number("epsilon", epsilon, "added to the root of the second moment", {.above = 0});
  f.number("weight_decay", weight_decay, "decoupled decay", {.min = 0});
  f.choices("no_decay", no_decay, kind_names(), "kinds of parameters without weight decay");
  f.list(
      "groups", groups.size(), [this](std::size_t count) { groups.resize(count); },
      "exceptions by kind of parameter; the first group that names a kind counts",
      [this](std::size_t i, config::Fields& inner) { groups[i].fields(inner); });
}

double OptimizerConfig::learning_rate_scale(ParameterKind kind) const {
  for (const ParameterGroup& group : groups) {
    if (contains(group.kinds, kind)) return group.learning_rate_scale;
  }
  return 1.0;
}

double OptimizerConfig::decay_of(ParameterKind kind) const {
  for (const ParameterGroup& group : groups) {
    if (contains(group.kinds, kind) && group.weight_decay) return *group.weight_decay;
  }
  return contains(no_decay, kind) ? 0.0 : weight_decay;
}

std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config,
                                          std::vector<TrainedTensor> tensors) {
  return find(config.name).make(config, std::move(tensors));
}

std::vector<std::string> optimizer_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kOptimizers) names.emplace_back(entry.name);
  return names;
}

std::int64_t state_bytes_per_element(const OptimizerConfig& config) {
  return find(config.name).bytes_per_element;
}

}  // namespace moe::optim
