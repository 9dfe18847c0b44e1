#include "nn/attention.h"

#include <cmath>

#include "base/check.h"
#include "ops/arithmetic.h"

namespace moe::nn {
namespace {

LinearSpec input_projection(const AttentionSpec& spec, const char* which, std::int64_t heads,
                            Role role) {
  return {.name = spec.name + "." + which,
          .weight = {heads * spec.head_width, spec.width},
          .kind = ParameterKind::Attention,
          .placement = Placement().split(0, role),
          .bias_placement = Placement().split(0, role),
          .deviation = spec.deviation,
          .bias = spec.input_bias};
}

LinearSpec output_projection(const AttentionSpec& spec) {
  return {.name = spec.name + ".o_proj",
          .weight = {spec.width, spec.heads * spec.head_width},
          .kind = ParameterKind::Attention,
          .placement = Placement().split(1, Role::Heads),
          .deviation = spec.output_deviation,
          .bias = spec.output_bias};
}

std::unique_ptr<RmsNorm> make_norm(const AttentionSpec& spec, const char* which, std::int64_t heads,
                                   Role role) {
  const std::string name = spec.name + "." + which;
  switch (spec.qk_norm) {
    case QkNorm::None: return nullptr;
    case QkNorm::PerHead:
      return std::make_unique<RmsNorm>(name, spec.head_width, spec.norm_epsilon);
    case QkNorm::Whole:
      return std::make_unique<RmsNorm>(name, heads * spec.head_width, spec.norm_epsilon,
                                       Placement().split(0, role));
  }
  return nullptr;
}

}  // namespace

Attention::Attention(const AttentionSpec& spec)
    : spec_(spec),
      q_(input_projection(spec, "q_proj", spec.heads, Role::Heads)),
      k_(input_projection(spec, "k_proj", spec.key_value_heads, Role::KeyValueHeads)),
      v_(input_projection(spec, "v_proj", spec.key_value_heads, Role::KeyValueHeads)),
      o_(output_projection(spec)),
      q_norm_(make_norm(spec, "q_norm", spec.heads, Role::Heads)),
      k_norm_(make_norm(spec, "k_norm", spec.key_value_heads, Role::KeyValueHeads)) {
  for (Module* child : {&q_, &k_, &v_, &o_}) adopt(*child);
  if (q_norm_) adopt(*q_norm_);
  if (k_norm_) adopt(*k_norm_);
}

Variable Attention::project(const Variable& x, Linear& projection, RmsNorm* norm) const {
  Variable y = projection.forward(x);
  if (norm != nullptr) y = norm->forward(y);
  if (spec_.clip) y = ops::clamp(y, *spec_.clip);
  return y.reshape({y.dim(0), y.dim(1) / spec_.head_width, spec_.head_width});
}

Variable Attention::forward(const Variable& x, const ops::RopeTable& rope,
                            const ForwardContext& context) {
  const auto range = context.range_of_window.find(spec_.window);
  MOE_CHECK(range != context.range_of_window.end());
  const Variable q = ops::rope(project(x, q_, q_norm_.get()), rope, context.position_T);
  Variable k = ops::rope(project(x, k_, k_norm_.get()), rope, context.position_T);
  Variable v = project(x, v_, nullptr);
  if (context.cache != nullptr) {
    const KeyValueCache::Pair known = context.cache->append(spec_.layer, k.value(), v.value());
    k = Variable(known.key);
    v = Variable(known.value);
  }
  const double scale = 1.0 / std::sqrt(static_cast<double>(spec_.head_width));
  const Variable mixed = core_->forward(q, k, v, range->second, scale);
  return o_.forward(mixed.reshape({mixed.dim(0), mixed.dim(1) * mixed.dim(2)}));
}

}  // namespace moe::nn
