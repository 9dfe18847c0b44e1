/// What a ModelConfig computes, spelled so that two configs which mean the same have the same facts.
#pragma once

#include <string>
#include <vector>

#include "model/model_config.h"

namespace moe::interop {

struct Fact {
  std::string field;  ///< of ModelConfig
  std::string value;
  friend bool operator==(const Fact&, const Fact&) = default;
};

/// Everything that decides shapes, names of parameters, and the function in evaluation; defaults are
/// spelled out, and what has no effect (an intermediate_size no layer uses) is absent. How a model is
/// initialised, balanced and dropped in training is no part of it.
std::vector<Fact> facts_of(const ModelConfig& config);

struct FactDifference {
  std::string field;
  std::string a;  ///< "nothing" where only the other has such a fact
  std::string b;
};
std::vector<FactDifference> compare_facts(const ModelConfig& a, const ModelConfig& b);

}  // namespace moe::interop
