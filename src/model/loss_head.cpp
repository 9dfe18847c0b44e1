#include "model/loss_head.h"

namespace moe {
namespace {

class ChunkedLossHead : public LossHead {
 public:
  ops::HeadLoss loss(const Variable& hidden_TD, nn::Parameter& weight_VD, const Tensor& target_T,
                     double scale) override {
    return ops::linear_cross_entropy(hidden_TD, weight_VD, target_T, scale);
  }
};

}  // namespace

std::unique_ptr<LossHead> make_chunked_loss_head() { return std::make_unique<ChunkedLossHead>(); }

}  // namespace moe
