/// Losses that keep experts evenly used. All layers' terms come in together, after the layers have run.
///
/// With S_i = sum of scores of expert i, n_i = routes to it, T tokens, K choices, E experts, a group's loss is
/// E / (K T^2) * sum_i S_i n_i: 1 when balanced. Gradient flows through S only.
/// @paper Switch, arXiv:2101.03961; the balanced value divided by K: OLMoE, arXiv:2409.02060; global counts:
///   arXiv:2501.11873
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "comm/group.h"
#include "moe/routing.h"
#include "nn/forward_context.h"

namespace moe {

/// How this micro-batch counts in the step; all known before the first forward.
struct LossScale {
  double per_target = 1.0;       ///< 1 / counted targets of the whole step (all ranks and micro-batches)
  double per_token = 1.0;        ///< 1 / real tokens of the whole step
  double per_micro_batch = 1.0;  ///< 1 / (ranks * micro-batches)
};

/// Sums of routing counts beyond this rank's micro-batch; the default knows nothing beyond it.
/// @invariant begin_step() is called once a step, add() once a micro-batch on every rank, never while recomputing
class RoutingSums {
 public:
  virtual ~RoutingSums() = default;
  virtual void begin_step();
  /// Adds counts [n] f64 of this micro-batch over all ranks and returns the running mean over the step's
  /// micro-batches so far.
  std::vector<double> add(std::vector<double> counts);

 protected:
  /// Sum over the ranks that share a balance loss; here: itself.
  virtual void sum_over_ranks(std::vector<double>& counts) { (void)counts; }

 private:
  std::vector<double> total_;
  std::int64_t micro_batches_ = 0;
};

/// Counts are summed over the ranks of a group (SumRouting).
std::unique_ptr<RoutingSums> make_group_routing_sums(comm::Group& group);

struct BalanceSpec {
  std::string type = "micro_batch";  ///< micro_batch, sequence, global, none
  bool pool_layers = false;          ///< one loss over all layers' sums (as transformers) instead of the layers' mean
  std::int64_t experts = 0;
  std::int64_t choices = 0;
};

/// What the loss needs of the micro-batch.
struct BalanceInput {
  std::vector<BalanceTerm> terms;  ///< one per sparse layer
  Tensor group_T;                  ///< i32 logical sequence of each token, or undefined (one)
  std::int64_t groups = 1;
  Tensor mask_T;                   ///< u8 or undefined
  std::int64_t real_tokens = 0;
  LossScale scale;
};

class BalanceLoss {
 public:
  virtual ~BalanceLoss() = default;
  /// The micro-batch's share of the step's loss: shares of all ranks and micro-batches add up to the loss, 1 when
  /// balanced. Unweighted by its coefficient. @shape [1] f64, or undefined for `none`
  virtual Variable share(const BalanceInput& input, RoutingSums& sums) = 0;
};

/// @throws ConfigError naming the known losses
std::unique_ptr<BalanceLoss> make_balance_loss(const BalanceSpec& spec);
std::vector<std::string> balance_loss_names();

/// Share of the z-loss: mean over layers and real tokens of logsumexp(logits)^2. @shape [1] f64
/// @paper ST-MoE, arXiv:2202.08906
Variable z_loss_share(const BalanceInput& input);

}  // namespace moe
