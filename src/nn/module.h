/// A part of a model: it owns parameters and children, and nothing else is asked of it.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "nn/parameter.h"

namespace moe::nn {

class Module {
 public:
  Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;
  virtual ~Module() = default;

  /// Visits every parameter below, each once, in declaration order.
  void for_each_parameter(const std::function<void(Parameter&)>& visit);
  std::vector<Parameter*> parameters();

 protected:
  /// Declares a parameter; it lives as long as the module.
  Parameter& declare(ParameterSpec spec);
  /// Registers a child held as a member or pointer of the derived class.
  void adopt(Module& child) { children_.push_back(&child); }

 private:
  std::vector<std::unique_ptr<Parameter>> own_;
  std::vector<Module*> children_;
};

}  // namespace moe::nn
