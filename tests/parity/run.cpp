#include "parity/run.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "autograd/tape.h"
#include "base/error.h"
#include "base/format.h"
#include "device/context.h"
#include "interop/hugging_face_source.h"
#include "interop/load_weights.h"
#include "kernels/optim/adamw.h"
#include "model/model.h"

namespace moe::parity {
namespace {

constexpr int kThreads = 1;  // results do not depend on it

/// One batch of whole sequences, and how its loss is divided.
struct Batch {
  ModelInput input;
  LossScale scale;
};

/// labels [B, S] are not shifted: position s predicts labels[s + 1], the last one nothing; negative is not counted.
Batch read_batch(const checkpoint::TensorSource& expected) {
  const std::vector<std::int64_t> ids = read_integers(expected, "input_ids");
  const std::vector<std::int64_t> labels = read_integers(expected, "labels");
  const Shape shape = expected.info("input_ids").shape;
  if (shape.rank() != 2 || ids.empty() || labels.size() != ids.size()) {
    throw DataError(expected.description() + ": expected input_ids and labels [B, S]");
  }
  const auto length = static_cast<std::size_t>(shape[1]);
  std::vector<std::int32_t> tokens(ids.begin(), ids.end());
  std::vector<std::int32_t> targets(ids.size(), -1);
  std::int64_t counted = 0;
  for (std::size_t t = 0; t < ids.size(); ++t) {
    if (t % length + 1 == length || labels[t + 1] < 0) continue;
    targets[t] = static_cast<std::int32_t>(labels[t + 1]);
    ++counted;
  }
  const auto count = static_cast<std::int64_t>(ids.size());
  Batch batch;
  batch.input.token_T = Tensor::from(std::span<const std::int32_t>(tokens), {count});
  batch.input.target_T = Tensor::from(std::span<const std::int32_t>(targets), {count});
  batch.input.batch = shape[0];
  batch.scale.per_target = 1.0 / static_cast<double>(counted);
  batch.scale.per_token = 1.0 / static_cast<double>(count);
  return batch;
}

/// torch.optim.AdamW on every parameter, with weight decay on all.
class AdamW {
 public:
  AdamW(std::vector<nn::Parameter*> parameters, const AdamWSettings& settings)
      : parameters_(std::move(parameters)), settings_(settings) {
    for (const nn::Parameter* parameter : parameters_) {
      const Shape flat{parameter->master().numel()};
      moments_.emplace_back(Tensor::zeros(flat, DType::F32), Tensor::zeros(flat, DType::F32));
    }
  }

  void step() {
    ++step_;
    const auto t = static_cast<double>(step_);
    const std::vector<float> scalars{static_cast<float>(settings_.learning_rate),
                                     static_cast<float>(clip_factor()),
                                     static_cast<float>(1.0 - std::pow(settings_.beta1, t)),
                                     static_cast<float>(1.0 - std::pow(settings_.beta2, t))};
    const Tensor step = Tensor::from(std::span<const float>(scalars), {4});
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      const Shape flat{parameters_[i]->master().numel()};
      kernels::adamw(current_context().stream,
                     {.parameter = parameters_[i]->master().reshape(flat).view(),
                      .gradient = parameters_[i]->gradient().reshape(flat).view(),
                      .moment1 = moments_[i].first.view(),
                      .moment2 = moments_[i].second.view(),
                      .step = step.view(),
                      .beta1 = settings_.beta1,
                      .beta2 = settings_.beta2,
                      .epsilon = settings_.epsilon,
                      .weight_decay = settings_.weight_decay});
      parameters_[i]->publish();
    }
  }

 private:
  /// As torch.nn.utils.clip_grad_norm_.
  double clip_factor() const {
    if (settings_.clip <= 0.0) return 1.0;
    double squares = 0.0;
    for (const nn::Parameter* parameter : parameters_) {
      for (const double g : parameter->gradient().to_vector()) squares += g * g;
    }
    return std::min(1.0, settings_.clip / (std::sqrt(squares) + 1e-6));
  }

  std::vector<nn::Parameter*> parameters_;
  AdamWSettings settings_;
  std::vector<std::pair<Tensor, Tensor>> moments_;
  std::int64_t step_ = 0;
};

/// Loss of the batch; the gradient of every parameter is in its window afterwards.
ModelLoss forward_backward(Model& model, const Batch& batch) {
  model.for_each_parameter([](nn::Parameter& parameter) { parameter.clear_written(); });
  Tape tape;
  ModelLoss loss;
  {
    const TapeScope recording(&tape);
    model.routing_sums().begin_step();
    loss = model.loss(batch.input, batch.scale, nn::Phase::Train);
  }
  tape.backward(loss.total);
  model.for_each_parameter([](nn::Parameter& parameter) { parameter.zero_unless_written(); });
  return loss;
}

void compare_one(Comparison& comparison, const std::string& what, double ours, double theirs) {
  comparison.compare(what, {&ours, 1}, {&theirs, 1});
}

void compare_losses(const Fixture& fixture, const ModelLoss& loss, Comparison& comparison) {
  const checkpoint::TensorSource& expected = *fixture.expected;
  const double total = loss.total.value().item();
  comparison.compare("loss", {&total, 1}, read_numbers(expected, "loss"));
  const ModelConfig& config = fixture.config.model;
  if (config.num_experts == 0) return;
  const double balance = loss.balance * static_cast<double>(config.num_experts_per_tok);
  comparison.compare("aux_loss", {&balance, 1}, read_numbers(expected, "aux_loss"));
}

/// Gradients tensor by tensor as the fixture has them.
void compare_gradients(const Fixture& fixture, Model& model, Comparison& comparison) {
  const interop::HuggingFaceSource theirs(fixture.config, fixture.gradients);
  struct Pair {
    std::vector<double> ours;
    std::vector<double> theirs;
  };
  std::map<std::string, Pair> tensors;
  model.for_each_parameter([&](const nn::Parameter& parameter) {
    const std::vector<double> all = parameter.gradient().to_vector();
    for (const interop::NamedPart& part : theirs.map_of(parameter.name()).parts) {
      Pair& pair = tensors[part.name];
      const auto begin = all.begin() + global_index(part.ours, 0);
      pair.ours.insert(pair.ours.end(), begin, begin + part.ours.numel());
      std::vector<double> read(static_cast<std::size_t>(part.theirs.numel()));
      fixture.gradients->read(part.name, part.theirs,
                              checkpoint::flat_view(read.data(), DType::F64, part.theirs.numel()));
      pair.theirs.insert(pair.theirs.end(), read.begin(), read.end());
    }
  });
  for (const std::string& name : fixture.gradients->names()) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) {
      comparison.fail("no parameter of ours has the gradient of " + name);
      continue;
    }
    comparison.compare("gradient of " + name, found->second.ours, found->second.theirs);
  }
}

void compare_training(const Fixture& fixture, Model& model, const Batch& batch,
                      Comparison& comparison) {
  const std::vector<double> theirs = read_numbers(*fixture.expected, "adamw_losses");
  if (static_cast<std::int64_t>(theirs.size()) != fixture.adamw.steps || theirs.empty()) {
    return comparison.fail(format("adamw_losses: {} values for {} steps", theirs.size(),
                                  fixture.adamw.steps));
  }
  AdamW optimizer(model.parameters(), fixture.adamw);
  for (std::size_t i = 0; i < theirs.size(); ++i) {
    const ModelLoss loss = forward_backward(model, batch);
    compare_one(comparison, format("adamw_losses[{}]", i), loss.total.value().item(), theirs[i]);
    optimizer.step();
  }
}

}  // namespace

Comparison run_fixture(const Fixture& fixture, CpuIsa isa) {
  DeviceContext device(kThreads, isa);
  const ContextScope scope(device);
  Comparison comparison;
  Model model(fixture.config.model);
  model.allocate(DType::F32);
  interop::load_parameters(model, interop::HuggingFaceSource(fixture.config, fixture.model));
  const Batch batch = read_batch(*fixture.expected);
  comparison.compare("logits", model.logits(batch.input).to_vector(),
                     read_numbers(*fixture.expected, "logits"));
  compare_losses(fixture, forward_backward(model, batch), comparison);
  compare_gradients(fixture, model, comparison);
  compare_training(fixture, model, batch, comparison);
  return comparison;
}

}  // namespace moe::parity
