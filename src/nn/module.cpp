#include "nn/module.h"

namespace moe::nn {

void Module::for_each_parameter(const std::function<void(Parameter&)>& visit) {
  for (const auto& parameter : own_) visit(*parameter);
  for (Module* child : children_) child->for_each_parameter(visit);
}

std::vector<Parameter*> Module::parameters() {
  std::vector<Parameter*> all;
  for_each_parameter([&](Parameter& parameter) { all.push_back(&parameter); });
  return all;
}

Parameter& Module::declare(ParameterSpec spec) {
  own_.push_back(std::make_unique<Parameter>(std::move(spec)));
  return *own_.back();
}

}  // namespace moe::nn
