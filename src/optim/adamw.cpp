#include "optim/adamw.h"

#include <cmath>

#include "kernels/optim/adamw.h"

namespace moe::optim {
namespace {

class AdamW : public Optimizer {
 public:
  AdamW(const OptimizerConfig& config, std::vector<TrainedTensor> tensors)
      : config_(config), tensors_(std::move(tensors)) {
    for (const TrainedTensor& tensor : tensors_) {
      const auto zeros = [&] {
        return Tensor::zeros(tensor.master.shape(), tensor.master.dtype(),
                             MemoryCategory::Optimizer);
      };
      moment1_.push_back(zeros());
      moment2_.push_back(zeros());
    }
  }

  void step(const StepScalars& scalars) override {
    const auto t = static_cast<double>(scalars.step);
    const double correction1 = 1.0 - std::pow(config_.beta1, t);
    const double correction2 = 1.0 - std::pow(config_.beta2, t);
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      const TrainedTensor& tensor = tensors_[i];
      const double rate = scalars.learning_rate * config_.learning_rate_scale(tensor.kind);
      const double values[4] = {rate, scalars.clip_factor, correction1, correction2};
      const Tensor step_scalars = Tensor::from(std::span<const double>(values), {4},
                                               tensor.master.dtype());
      const Tensor gradient = tensor.gradient();
      kernels::adamw(current_context().stream,
                     {.parameter = tensor.master.view(),
                      .gradient = gradient.view(),
                      .moment1 = moment1_[i].view(),
                      .moment2 = moment2_[i].view(),
                      .compute_copy = tensor.compute.defined() ? tensor.compute.view() : View{},
                      .step = step_scalars.view(),
                      .beta1 = config_.beta1,
                      .beta2 = config_.beta2,
                      .epsilon = config_.epsilon,
                      .weight_decay = config_.decay_of(tensor.kind)});
    }
  }

  std::vector<StateTensor> state() const override {
    std::vector<StateTensor> state;
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      state.push_back({tensors_[i].name + ".moment1", tensors_[i].slice, moment1_[i]});
      state.push_back({tensors_[i].name + ".moment2", tensors_[i].slice, moment2_[i]});
    }
    return state;
  }

 private:
  OptimizerConfig config_;
  std::vector<TrainedTensor> tensors_;
  std::vector<Tensor> moment1_;
  std::vector<Tensor> moment2_;
};

}  // namespace

std::unique_ptr<Optimizer> make_adamw(const OptimizerConfig& config,
                                      std::vector<TrainedTensor> tensors) {
  return std::make_unique<AdamW>(config, std::move(tensors));
}

}  // namespace moe::optim
