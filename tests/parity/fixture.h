/// Fixtures: models of other programs and what they compute, as files.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "checkpoint/tensor_source.h"
#include "interop/hf_config.h"

namespace moe::parity {

struct AdamWSettings {
  double learning_rate = 0.0;
  double beta1 = 0.0;
  double beta2 = 0.0;
  double epsilon = 0.0;
  double weight_decay = 0.0;
  double clip = 0.0;  ///< largest global gradient norm; 0 = off
  std::int64_t steps = 0;
};

/// One folder, opened. Tensors have the names of the program that wrote them.
struct Fixture {
  interop::HuggingFaceConfig config;
  std::shared_ptr<const checkpoint::TensorSource> model;
  std::shared_ptr<const checkpoint::TensorSource> gradients;
  std::shared_ptr<const checkpoint::TensorSource> expected;
  AdamWSettings adamw;
};

/// @throws Error for whatever is missing or unreadable
Fixture open_fixture(const Path& folder);

/// The folders below `root`, sorted. @throws std::runtime_error if there is none or `root` cannot be read
std::vector<Path> fixture_folders(const Path& root);

/// A tensor of f32, or of i64, flat.
std::vector<double> read_numbers(const checkpoint::TensorSource& source, const std::string& name);
std::vector<std::int64_t> read_integers(const checkpoint::TensorSource& source,
                                        const std::string& name);

}  // namespace moe::parity
