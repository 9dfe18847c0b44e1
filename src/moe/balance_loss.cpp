#include "moe/balance_loss.h"

#include "base/error.h"
#include "base/format.h"
#include "ops/arithmetic.h"
#include "ops/router_loss.h"

namespace moe {
namespace {

/// counts[(l * G + g) * E + i]: routes of layer l's group g to expert i.
struct Counts {
  std::int64_t layers = 0;
  std::int64_t groups = 1;
  std::int64_t experts = 0;
  std::vector<double> values;

  double& at(std::int64_t layer, std::int64_t group, std::int64_t expert) {
    return values[static_cast<std::size_t>((layer * groups + group) * experts + expert)];
  }
};

Counts count_routes(const BalanceInput& input, std::int64_t experts, const Tensor& group_T,
                    std::int64_t groups) {
  Counts counts{static_cast<std::int64_t>(input.terms.size()), groups, experts, {}};
  for (const BalanceTerm& term : input.terms) {
    const Tensor count =
        ops::count_routes(term.chosen_TK, group_T, input.mask_T, {groups, experts});
    for (const double value : count.to_vector()) counts.values.push_back(value);
  }
  return counts;
}

/// Replaces every layer's counts by their sum over layers: one loss for the whole model.
void pool_layers(Counts& counts) {
  for (std::int64_t g = 0; g < counts.groups; ++g) {
    for (std::int64_t e = 0; e < counts.experts; ++e) {
      double sum = 0.0;
      for (std::int64_t l = 0; l < counts.layers; ++l) sum += counts.at(l, g, e);
      for (std::int64_t l = 0; l < counts.layers; ++l) counts.at(l, g, e) = sum;
    }
  }
}

/// sum over layers, groups and experts of factor_g * n_lgi * S_lgi; with pooling, n is already the sum.
Variable weighted_total(const BalanceInput& input, Counts& counts, const Tensor& group_T,
                        const std::vector<double>& factor_g) {
  std::vector<Variable> shares;
  for (std::int64_t l = 0; l < counts.layers; ++l) {
    const Tensor coefficient = Tensor::empty({counts.groups, counts.experts}, DType::F64);
    auto values = coefficient.span<double>();
    for (std::int64_t g = 0; g < counts.groups; ++g) {
      for (std::int64_t e = 0; e < counts.experts; ++e) {
        values[static_cast<std::size_t>(g * counts.experts + e)] =
            counts.at(l, g, e) * factor_g[static_cast<std::size_t>(g)];
      }
    }
    shares.push_back(ops::weighted_score_sum(input.terms[static_cast<std::size_t>(l)].probability_TE,
                                             coefficient, group_T, input.mask_T));
  }
  const std::vector<double> ones(shares.size(), 1.0);
  return ops::weighted_sum(shares, ones);
}

/// E / (K * layers) per layer, or E / (K * layers^2) when sums are pooled first.
double layer_factor(const BalanceSpec& spec, std::int64_t layers) {
  const double per_layer =
      static_cast<double>(spec.experts) / static_cast<double>(spec.choices * layers);
  return spec.pool_layers ? per_layer / static_cast<double>(layers) : per_layer;
}

/// Counts of one rank's micro-batch.
class MicroBatchBalance : public BalanceLoss {
 public:
  explicit MicroBatchBalance(const BalanceSpec& spec) : spec_(spec) {}

  Variable share(const BalanceInput& input, RoutingSums&) override {
    Counts counts = count_routes(input, spec_.experts, Tensor(), 1);
    if (spec_.pool_layers) pool_layers(counts);
    const auto tokens = static_cast<double>(input.real_tokens);
    const double factor = tokens == 0 ? 0.0
                                      : layer_factor(spec_, counts.layers) *
                                            input.scale.per_micro_batch / (tokens * tokens);
    return weighted_total(input, counts, Tensor(), {factor});
  }

 private:
  BalanceSpec spec_;
};

/// Counts of one logical sequence; sequences weigh by their tokens.
class SequenceBalance : public BalanceLoss {
 public:
  explicit SequenceBalance(const BalanceSpec& spec) : spec_(spec) {}

  Variable share(const BalanceInput& input, RoutingSums&) override {
    Counts counts = count_routes(input, spec_.experts, input.group_T, input.groups);
    if (spec_.pool_layers) pool_layers(counts);
    std::vector<double> factors = tokens_of_groups(input);
    for (double& tokens : factors) {
      // (tokens / step tokens) * E / (K tokens^2)
      tokens = tokens == 0 ? 0.0
                           : layer_factor(spec_, counts.layers) * input.scale.per_token / tokens;
    }
    return weighted_total(input, counts, input.group_T, factors);
  }

 private:
  static std::vector<double> tokens_of_groups(const BalanceInput& input) {
    std::vector<double> tokens(static_cast<std::size_t>(input.groups), 0.0);
    if (!input.group_T.defined()) return {static_cast<double>(input.real_tokens)};
    const auto group = input.group_T.span<std::int32_t>();
    for (std::size_t t = 0; t < group.size(); ++t) {
      const bool real = !input.mask_T.defined() || input.mask_T.span<std::uint8_t>()[t] != 0;
      if (real) tokens[static_cast<std::size_t>(group[t])] += 1.0;
    }
    return tokens;
  }

  BalanceSpec spec_;
};

/// Counts summed over the data ranks, running mean over the step's micro-batches.
class GlobalBalance : public BalanceLoss {
 public:
  explicit GlobalBalance(const BalanceSpec& spec) : spec_(spec) {}

  Variable share(const BalanceInput& input, RoutingSums& sums) override {
    Counts counts = count_routes(input, spec_.experts, Tensor(), 1);
    counts.values.push_back(static_cast<double>(input.real_tokens));
    counts.values = sums.add(std::move(counts.values));
    const double all_tokens = counts.values.back();
    counts.values.pop_back();
    if (spec_.pool_layers) pool_layers(counts);
    const auto tokens = static_cast<double>(input.real_tokens);
    const double factor = tokens == 0 ? 0.0
                                      : layer_factor(spec_, counts.layers) *
                                            input.scale.per_micro_batch / (tokens * all_tokens);
    return weighted_total(input, counts, Tensor(), {factor});
  }

 private:
  BalanceSpec spec_;
};

class NoBalance : public BalanceLoss {
 public:
  explicit NoBalance(const BalanceSpec&) {}
  Variable share(const BalanceInput&, RoutingSums&) override { return {}; }
};

template <class T>
std::unique_ptr<BalanceLoss> make(const BalanceSpec& spec) {
  return std::make_unique<T>(spec);
}

struct Entry {
  const char* name;
  std::unique_ptr<BalanceLoss> (*make)(const BalanceSpec&);
};

constexpr Entry kBalanceLosses[] = {
    {"micro_batch", &make<MicroBatchBalance>},
    {"sequence", &make<SequenceBalance>},
    {"global", &make<GlobalBalance>},
    {"none", &make<NoBalance>},
};

}  // namespace

std::unique_ptr<BalanceLoss> make_balance_loss(const BalanceSpec& spec) {
  for (const Entry& entry : kBalanceLosses) {
    if (spec.type == entry.name) return entry.make(spec);
  }
  throw ConfigError(format("balance loss '{}' is not known; allowed: {}", spec.type,
                           fmt::join(balance_loss_names(), ", ")));
}

std::vector<std::string> balance_loss_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kBalanceLosses) names.emplace_back(entry.name);
  return names;
}

Variable z_loss_share(const BalanceInput& input) {
  std::vector<Variable> shares;
  for (const BalanceTerm& term : input.terms) {
    shares.push_back(ops::masked_square_sum(term.logsumexp_T, input.mask_T));
  }
  const std::vector<double> weights(
      shares.size(), input.scale.per_token / static_cast<double>(shares.size()));
  return ops::weighted_sum(shares, weights);
}

}  // namespace moe
