/// The recipe of every tensor of a widened model.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "growth/axis_map.h"
#include "growth/parameter_name.h"
#include "growth/stage.h"
#include "growth/width_rule.h"

namespace moe::growth {

/// What widths grow to, and how.
struct WidthChange {
  ModelConfig source;
  ModelConfig result;
  WidthRule rule;
};

class WidthPlan {
 public:
  WidthPlan(const WidthChange& change, const StageContext& context);

  /// @throws InternalError for a parameter that no rule names
  Expansion expansion(const std::string& name) const;
  /// The same as a recipe.
  std::shared_ptr<const TensorRecipe> recipe(const std::string& name) const;

 private:
  using Map = std::shared_ptr<const AxisMap>;
  using Scale = std::shared_ptr<const std::vector<double>>;
  /// Rows of a projection of heads: where from, and what they and their norm's gain are multiplied by.
  struct Heads {
    Map rows;
    Scale scale;
    Scale gain;
  };

  Map hidden_map(bool circular) const;
  Heads heads(const AxisMap& map) const;
  Expansion layer_part(const ParameterName& name) const;
  Expansion attention_part(const ParameterName& name) const;
  Expansion reader(const ParameterName& name, Map rows) const;
  Expansion neuron_sum(const ParameterName& name, Map columns) const;
  Expansion copied(const ParameterName& name, Map rows, Scale scale) const;
  Expansion final_norm(const ParameterName& name) const;
  std::string upper_of(const ParameterName& name) const;
  std::optional<Draws> draws(const ParameterName& name) const;

  WidthChange change_;
  StageContext context_;
  bool moments_;
  Share share_;
  double norm_scale_ = 1;  ///< sqrt(s)
  Map hidden_, gain_;      ///< of the residual stream, of norm gains
  Map dense_, expert_, shared_;
  Heads query_, key_, value_;
};

}  // namespace moe::growth
