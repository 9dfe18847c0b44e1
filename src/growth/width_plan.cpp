#include "growth/width_plan.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/check.h"
#include "base/format.h"

namespace moe::growth {
namespace {

using Scale = std::shared_ptr<const std::vector<double>>;

/// Null where all would be 1.
Scale scale_or_null(std::vector<double> values) {
  if (std::ranges::all_of(values, [](double v) { return v == 1.0; })) return nullptr;
  return std::make_shared<std::vector<double>>(std::move(values));
}

Scale constant_scale(std::int64_t size, double value) {
  return scale_or_null(std::vector<double>(static_cast<std::size_t>(size), value));
}

std::shared_ptr<const AxisMap> shared(AxisMap map) {
  return map.is_identity() ? nullptr : std::make_shared<AxisMap>(std::move(map));
}

double whole_copies(const ModelConfig& source, const ModelConfig& result) {
  return static_cast<double>(result.hidden_size / source.hidden_size);
}

}  // namespace

WidthPlan::WidthPlan(const WidthChange& change, const StageContext& context)
    : change_(change),
      context_(context),
      moments_(context.moments_of != nullptr),
      share_(moments_ ? Share::Whole : change.rule.share) {
  const ModelConfig& from = change_.source;
  const ModelConfig& to = change_.result;
  const bool circular = change_.rule.hidden == WidthRule::Hidden::Circular;
  if (!circular && !moments_) {
    norm_scale_ = std::sqrt(whole_copies(from, to) * static_cast<double>(from.hidden_size) /
                            static_cast<double>(to.hidden_size));
  }
  hidden_ = hidden_map(circular);
  gain_ = hidden_map(true);
  dense_ = shared(circular_map(from.intermediate_size, to.intermediate_size));
  expert_ = shared(circular_map(from.expert_width(), to.expert_width()));
  if (from.shared_expert_intermediate_size > 0) {
    shared_ = shared(circular_map(from.shared_expert_intermediate_size,
                                  to.shared_expert_intermediate_size));
  }
  const HeadMaps maps = head_maps({from.num_attention_heads, from.key_value_heads()},
                                  {to.num_attention_heads, to.key_value_heads()});
  query_ = heads(maps.query);
  key_ = heads(maps.key_value);
  value_ = {key_.rows, nullptr, nullptr};
}

WidthPlan::Map WidthPlan::hidden_map(bool circular) const {
  const std::int64_t from = change_.source.hidden_size;
  const std::int64_t to = change_.result.hidden_size;
  return shared(circular ? circular_map(from, to) : whole_copies_map(from, to));
}

/// Norms of queries and keys use the model's eps, so what they norm must follow it; and the mean over the whole
/// projection must weigh every head as before, whatever its copies.
WidthPlan::Heads WidthPlan::heads(const AxisMap& map) const {
  Heads heads;
  const AxisMap rows = in_blocks(map, change_.source.head_width());
  heads.rows = shared(rows);
  if (change_.source.qk_norm == "none" || moments_) return heads;
  std::vector<double> scale(rows.from.size(), norm_scale_);
  std::vector<double> gain(rows.from.size(), 1.0);
  if (change_.source.qk_norm == "whole") {
    for (std::size_t i = 0; i < rows.from.size(); ++i) {
      const auto copies = static_cast<double>(rows.copies[static_cast<std::size_t>(rows.from[i])]);
      const double weight =
          std::sqrt(static_cast<double>(rows.size()) / static_cast<double>(rows.source) / copies);
      scale[i] *= weight;
      gain[i] /= weight;
    }
  }
  heads.scale = scale_or_null(std::move(scale));
  heads.gain = scale_or_null(std::move(gain));
  return heads;
}

std::optional<Draws> WidthPlan::draws(const ParameterName& name) const {
  const bool drawn = change_.rule.hidden == WidthRule::Hidden::WholeCopies && !moments_;
  if (!drawn) return std::nullopt;
  const std::string text = name.text();
  return Draws{.random = Random(context_.seed, format("growth.{}.{}", context_.index, text)),
               .deviation = change_.source.initializer_range,
               .rows_alike = name.part == "moe.router.weight"};
}

std::string WidthPlan::upper_of(const ParameterName& name) const {
  if (!change_.rule.from_next_layer || !name.layer) return "";
  const std::int64_t above = *name.layer + 1;
  if (above >= change_.source.num_hidden_layers) return "";
  const bool has_part = name.part.starts_with("attention.") ||
                        name.part.starts_with("moe.") == change_.source.is_sparse(above);
  return has_part ? name.in_layer(above).text() : "";
}

/// In-columns read the residual stream.
Expansion WidthPlan::reader(const ParameterName& name, Map rows) const {
  return {.base = name.text(),
          .upper = upper_of(name),
          .rows = std::move(rows),
          .columns = hidden_,
          .share = share_,
          .draws = hidden_ ? draws(name) : std::nullopt};
}

/// In-columns are neurons or heads; rows write the residual stream.
Expansion WidthPlan::neuron_sum(const ParameterName& name, Map columns) const {
  Expansion expansion{.base = name.text(), .upper = upper_of(name), .rows = hidden_, .share = share_};
  if (columns) expansion.draws = draws(name);
  expansion.columns = std::move(columns);
  return expansion;
}

Expansion WidthPlan::copied(const ParameterName& name, Map rows, Scale scale) const {
  return {.base = name.text(), .rows = std::move(rows), .row_scale = std::move(scale)};
}

/// A tied head cannot share its columns, so the gain before it does.
Expansion WidthPlan::final_norm(const ParameterName& name) const {
  const std::int64_t size = change_.result.hidden_size;
  if (!change_.source.tie_word_embeddings || moments_ || !hidden_) {
    return copied(name, gain_, constant_scale(size, norm_scale_));
  }
  std::vector<double> scale(static_cast<std::size_t>(size));
  std::vector<double> shares;
  if (share_ == Share::Projected) shares = projected_shares(*hidden_, *draws(name), 0);
  for (std::size_t i = 0; i < scale.size(); ++i) {
    const std::int64_t from = hidden_->from[i];
    if (from == kNowhere) {
      scale[i] = norm_scale_ / whole_copies(change_.source, change_.result);
    } else {
      const auto copies = static_cast<double>(hidden_->copies[static_cast<std::size_t>(from)]);
      scale[i] = norm_scale_ * (shares.empty() ? 1.0 / copies : shares[i]);
    }
  }
  return copied(name, gain_, scale_or_null(std::move(scale)));
}

Expansion WidthPlan::attention_part(const ParameterName& name) const {
  const auto of = [&](const Heads& heads, bool weight) {
    Expansion expansion = weight ? reader(name, heads.rows) : copied(name, heads.rows, nullptr);
    expansion.upper = upper_of(name);
    expansion.row_scale = heads.scale;
    return expansion;
  };
  const std::string& part = name.part;
  if (part.starts_with("attention.q_proj.")) return of(query_, part.ends_with("weight"));
  if (part.starts_with("attention.k_proj.")) return of(key_, part.ends_with("weight"));
  if (part.starts_with("attention.v_proj.")) return of(value_, part.ends_with("weight"));
  if (part == "attention.o_proj.weight") return neuron_sum(name, query_.rows);
  if (part == "attention.o_proj.bias") {
    Expansion expansion = copied(name, hidden_, nullptr);
    expansion.upper = upper_of(name);
    return expansion;
  }
  const bool whole = change_.source.qk_norm == "whole";
  const Heads& heads = part == "attention.q_norm.weight" ? query_ : key_;
  MOE_CHECK(part == "attention.q_norm.weight" || part == "attention.k_norm.weight");
  return copied(name, whole ? heads.rows : nullptr, whole ? heads.gain : nullptr);
}

Expansion WidthPlan::layer_part(const ParameterName& name) const {
  const std::string& part = name.part;
  if (part.starts_with("attention.")) return attention_part(name);
  if (part == "attention_norm.weight" || part == "feed_forward_norm.weight") {
    return copied(name, gain_, constant_scale(change_.result.hidden_size, norm_scale_));
  }
  if (part == "mlp.gate_up.weight") return reader(name, dense_);
  if (part == "mlp.down.weight") return neuron_sum(name, dense_);
  if (part == "moe.experts.gate_up.weight") return reader(name, expert_);
  if (part == "moe.experts.down.weight") return neuron_sum(name, expert_);
  if (part == "moe.shared.gate_up.weight") return reader(name, shared_);
  if (part == "moe.shared.down.weight") return neuron_sum(name, shared_);
  MOE_CHECK(part == "moe.router.weight" || part == "moe.shared_gate.weight");
  Expansion expansion = reader(name, nullptr);
  expansion.upper.clear();
  return expansion;
}

Expansion WidthPlan::expansion(const std::string& text) const {
  const ParameterName name = ParameterName::parse(text);
  if (name.layer) return layer_part(name);
  if (name.part == "embedding.weight") return {.base = text, .columns = hidden_};
  if (name.part == "head.weight") return reader(name, nullptr);
  MOE_CHECK(name.part == "norm.weight");
  return final_norm(name);
}

std::shared_ptr<const TensorRecipe> WidthPlan::recipe(const std::string& text) const {
  Expansion expansion = this->expansion(text);
  const bool unchanged = !expansion.rows && !expansion.columns && !expansion.row_scale;
  return unchanged ? same_as(text) : expanded(std::move(expansion));
}

}  // namespace moe::growth
