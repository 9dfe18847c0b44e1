/// One step of growing (or shrinking) a model: from a config and a source of weights to another
/// config and another source, which computes its tensors when they are read. Stages chain, so a
/// plan of many streams with the memory of one tensor.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/tensor_source.h"
#include "config/fields.h"
#include "config/registry.h"
#include "model/model_config.h"

namespace moe::growth {

/// A model at rest.
/// @invariant `weights` holds exactly the parameters of Model(config)
struct ModelSource {
  ModelConfig config;
  std::shared_ptr<const checkpoint::TensorSource> weights;
};

/// Tokens to measure activations on, where a method asks for them.
struct CalibrationConfig {
  std::string text;           ///< a file; empty: a built-in random probe
  std::int64_t tokens = 4096;

  void fields(config::Fields& f);
};

/// What calibrating methods need of the outside: token ids of a text, in the source's vocabulary.
class TokenProbe {
 public:
  virtual ~TokenProbe() = default;
  /// @throws DataError(path), ConfigError
  virtual std::vector<std::int32_t> tokens(const CalibrationConfig& calibration) const = 0;
};

/// What a stage is told besides its options.
struct StageContext {
  std::uint64_t seed = 1;       ///< of the plan; draws are keyed by (seed, index, layer, expert, tensor)
  int index = 0;                ///< position in the plan
  const TokenProbe* probe = nullptr;
  /// Not null: the source of apply() holds an optimizer's moments of this model. Elements move to where
  /// their weights went, nothing is divided, scaled or drawn, and what has no source is zero; what must
  /// be measured is measured on this model.
  const ModelSource* moments_of = nullptr;
};

/// @invariant the same result for the same (seed, index, options, source), whatever the order, the
///   slices and the threads it is read by
class Stage {
 public:
  virtual ~Stage() = default;

  virtual std::string method() const = 0;

  /// Shapes only: the config after this stage.
  /// @throws ConfigError naming the option that the source cannot take, and what it could
  virtual ModelConfig grow(const ModelConfig& source) const = 0;

  /// For each layer of the result, the layer of the source that it came from; none: the stage
  /// keeps depth.
  virtual std::optional<std::vector<std::int64_t>> depth_map(const ModelConfig&) const {
    return std::nullopt;
  }

  /// The same, if the function the model computes is kept up to rounding; a stage whose method
  /// promises no such thing says false. Printed, never assumed.
  virtual bool keeps_function(const ModelConfig& source) const = 0;

  /// apply() knows what to do with StageContext::moments_of.
  virtual bool carries_moments() const { return false; }

  /// The weights of the result. Reads nothing of `source` yet, unless the method calibrates.
  /// @throws ConfigError, CheckpointError, DataError
  virtual std::shared_ptr<const checkpoint::TensorSource> apply(
      const ModelSource& source, const StageContext& context) const = 0;
};

/// A stage and the options it is decoded from.
class StageOptions {
 public:
  virtual ~StageOptions() = default;
  virtual void fields(config::Fields& f) = 0;
  virtual std::unique_ptr<Stage> make() const = 0;
};

using StageFactory = std::unique_ptr<StageOptions> (*)();
/// widen, deepen, sparsify, expand; merge, prune, densify, narrow, shorten.
const config::Registry<StageFactory>& stages();

}  // namespace moe::growth
