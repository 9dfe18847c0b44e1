#include <cmath>

#include "base/error.h"
#include "base/format.h"
#include "growth/axis_map.h"
#include "growth/widen.h"
#include "growth/width_rule.h"

namespace moe::growth {
namespace {

using Size = std::int64_t;

[[noreturn]] void refuse(const char* option, const std::string& message) {
  throw ConfigError(format("widen.{}: {}", option, message));
}

/// The named size, or the source's.
Size grown(const char* option, const std::optional<Size>& named, Size source) {
  const Size size = named.value_or(source);
  if (size < source) {
    refuse(option, format("got {}, but the source has {}; widening only grows: {} or more", size,
                          source, source));
  }
  return size;
}

/// "32 or 40": the multiples of `unit` around `size`, none below `least`.
std::string multiples_near(Size size, Size unit, Size least) {
  const Size below = size / unit * unit;
  const Size above = below + unit;
  return below >= least && below > 0 ? format("{} or {}", below, above) : format("{}", above);
}

void grow_heads(const ModelConfig& source, const WidenConfig& options, ModelConfig& result) {
  const HeadCounts from{source.num_attention_heads, source.key_value_heads()};
  const HeadCounts to{grown("num_attention_heads", options.num_attention_heads, from.query),
                      grown("num_key_value_heads", options.num_key_value_heads, from.key_value)};
  if (to.query % to.key_value != 0) {
    const char* named = options.num_attention_heads ? "num_attention_heads" : "num_key_value_heads";
    refuse(named, format("{} query heads do not divide into {} key-value groups; possible with {} "
                         "groups: {} query heads{}",
                         to.query, to.key_value, to.key_value,
                         multiples_near(to.query, to.key_value, from.query),
                         from.group() == 1 ? format("; or num_key_value_heads: {}", to.query) : ""));
  }
  if (!can_grow_heads(from, to)) {
    refuse("num_key_value_heads",
           format("got {} with {} query heads: some of the {} copies of a key-value head would serve {} "
                  "query heads, fewer than the {} of the source's groups; possible: num_attention_heads {} "
                  "or more, or num_key_value_heads {}",
                  to.key_value, to.query, to.key_value / from.key_value,
                  to.key_value / from.key_value * to.group(), from.group(),
                  (from.group() + to.key_value / from.key_value - 1) /
                      (to.key_value / from.key_value) * to.key_value,
                  from.key_value));
  }
  if (width_methods().find(options.method)().equal_groups && to.key_value != from.key_value) {
    refuse("num_key_value_heads",
           format("got {}, but {} keeps the number of groups: {}; or use method lemon, exact, fpi or aki",
                  to.key_value, options.method, from.key_value));
  }
  result.num_attention_heads = to.query;
  if (source.num_key_value_heads || to.key_value != to.query) {
    result.num_key_value_heads = to.key_value;
  }
}

void grow_neurons(const ModelConfig& source, const WidenConfig& options, ModelConfig& result) {
  result.intermediate_size =
      grown("intermediate_size", options.intermediate_size, source.intermediate_size);
  const bool sparse = source.num_experts > 0;
  const bool all_sparse = sparse && source.sparse_layer_count() == source.num_hidden_layers;
  if (options.intermediate_size && all_sparse && source.moe_intermediate_size) {
    refuse("intermediate_size",
           format("got {}, but no layer of the source is dense; name moe_intermediate_size (now {})",
                  *options.intermediate_size, source.expert_width()));
  }
  if (options.moe_intermediate_size && !sparse) {
    refuse("moe_intermediate_size", "the source is dense: name intermediate_size");
  }
  if (options.moe_intermediate_size) {
    result.moe_intermediate_size =
        grown("moe_intermediate_size", options.moe_intermediate_size, source.expert_width());
  }
  if (options.shared_expert_intermediate_size && source.shared_expert_intermediate_size == 0) {
    refuse("shared_expert_intermediate_size", "the source has no shared expert");
  }
  result.shared_expert_intermediate_size =
      grown("shared_expert_intermediate_size", options.shared_expert_intermediate_size,
            source.shared_expert_intermediate_size);
}

}  // namespace

ModelConfig widened(const ModelConfig& source, const WidenConfig& options) {
  ModelConfig result = source;
  result.hidden_size = grown("hidden_size", options.hidden_size, source.hidden_size);
  grow_heads(source, options, result);
  grow_neurons(source, options, result);
  const bool derives = result.hidden_size % result.num_attention_heads == 0 &&
                       result.hidden_size / result.num_attention_heads == source.head_width();
  if (source.head_dim || !derives) result.head_dim = source.head_width();
  if (width_methods().find(options.method)().hidden == WidthRule::Hidden::WholeCopies) {
    const auto d = static_cast<double>(source.hidden_size);
    const auto D = static_cast<double>(result.hidden_size);
    result.rms_norm_eps = source.rms_norm_eps * (std::floor(D / d) * d / D);
  }
  return result;
}

}  // namespace moe::growth
