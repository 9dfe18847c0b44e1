#include "autograd/tape.h"

#include <utility>

#include "base/check.h"

namespace moe {
namespace {

thread_local Tape* current_tape = nullptr;
thread_local int backward_depth = 0;
thread_local int recompute_depth = 0;

class DepthScope {
 public:
  explicit DepthScope(int& depth) : depth_(depth) { ++depth_; }
  ~DepthScope() { --depth_; }
  DepthScope(const DepthScope&) = delete;
  DepthScope& operator=(const DepthScope&) = delete;

 private:
  int& depth_;
};

}  // namespace

Tape* Tape::current() { return current_tape; }
bool Tape::in_backward() { return backward_depth > 0; }
bool Tape::recomputing() { return recompute_depth > 0; }

TapeScope::TapeScope(Tape* tape) : previous_(std::exchange(current_tape, tape)) {}
TapeScope::~TapeScope() { current_tape = previous_; }

bool needs_record(std::initializer_list<const Variable*> inputs,
                  std::initializer_list<const Leaf*> leaves) {
  if (current_tape == nullptr) return false;
  for (const Variable* input : inputs) {
    if (input != nullptr && input->requires_gradient()) return true;
  }
  for (const Leaf* leaf : leaves) {
    if (leaf != nullptr && leaf->trainable()) return true;
  }
  return false;
}

std::vector<Variable> Tape::record(const char* name, std::vector<Tensor> outputs,
                                   Backward backward) {
  std::vector<Variable> variables;
  std::vector<std::shared_ptr<GradientSlot>> slots;
  for (Tensor& output : outputs) {
    slots.push_back(std::make_shared<GradientSlot>());
    variables.emplace_back(std::move(output), slots.back());
  }
  if (mode_ == TapeMode::Record) {
    nodes_.push_back({name, std::move(slots), std::move(backward)});
  }
  return variables;
}

Variable Tape::record_one(const char* name, Tensor output, BackwardOne backward) {
  std::vector<Tensor> outputs;
  outputs.push_back(std::move(output));
  return record(name, std::move(outputs),
                [step = std::move(backward)](std::span<const Tensor> gradients) {
                  step(gradients[0]);
                })
      .front();
}

void Tape::backward(std::span<const Variable> outputs, std::span<const Tensor> seeds) {
  MOE_CHECK_EQ(outputs.size(), seeds.size());
  MOE_CHECK(mode_ == TapeMode::Record);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!outputs[i].requires_gradient()) continue;
    const Tensor& value = outputs[i].value();
    accumulate(outputs[i].slot(),
               seeds[i].defined() ? seeds[i] : Tensor::full(value.shape(), value.dtype(), 1.0));
  }
  const TapeScope nothing_recorded(nullptr);
  const DepthScope inside(backward_depth);
  while (!nodes_.empty()) {
    const Node node = std::move(nodes_.back());
    nodes_.pop_back();
    std::vector<Tensor> gradients;
    bool wanted = false;
    for (const auto& slot : node.outputs) {
      gradients.push_back(slot->take());
      wanted = wanted || gradients.back().defined();
    }
    if (wanted) node.backward(gradients);
  }
}

void Tape::backward(const Variable& loss) {
  MOE_CHECK_EQ(loss.value().numel(), 1);
  const Tensor ones;
  backward({&loss, 1}, {&ones, 1});
}

void Tape::note_use(const std::shared_ptr<LeafUse>& use) {
  if (mode_ == TapeMode::CountUses) uses_.push_back(use);
}

std::vector<std::shared_ptr<LeafUse>> Tape::take_uses() { return std::exchange(uses_, {}); }

namespace {

std::vector<Variable> fresh_inputs(std::span<const Variable> inputs) {
  std::vector<Variable> fresh;
  for (const Variable& input : inputs) {
    fresh.push_back(input.requires_gradient() ? Variable::input(input.value()) : input);
  }
  return fresh;
}

void replay(const Segment& segment, std::span<const Variable> inputs,
            std::span<const Tensor> gradients) {
  const std::vector<Variable> fresh = fresh_inputs(inputs);
  Tape tape;
  std::vector<Variable> outputs;
  {
    const DepthScope inside(recompute_depth);
    const TapeScope recording(&tape);
    outputs = segment(fresh);
  }
  std::vector<Variable> wanted;
  std::vector<Tensor> seeds;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!gradients[i].defined()) continue;
    wanted.push_back(outputs[i]);
    seeds.push_back(gradients[i]);
  }
  outputs.clear();
  tape.backward(wanted, seeds);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (fresh[i].slot() && fresh[i].slot() != inputs[i].slot()) {
      Tensor gradient = fresh[i].slot()->take();
      if (gradient.defined()) accumulate(inputs[i].slot(), std::move(gradient));
    }
  }
}

}  // namespace

std::vector<Variable> recompute(const Segment& segment, std::span<const Variable> inputs) {
  Tape* outer = Tape::current();
  if (outer == nullptr || outer->mode() == TapeMode::CountUses) return segment(inputs);
  Tape counting(TapeMode::CountUses);
  std::vector<Tensor> outputs;
  {
    const TapeScope scope(&counting);
    for (const Variable& output : segment(fresh_inputs(inputs))) outputs.push_back(output.value());
  }
  std::vector<Variable> kept(inputs.begin(), inputs.end());
  return outer->record("recompute", std::move(outputs),
                       [segment, kept = std::move(kept), uses = counting.take_uses()](
                           std::span<const Tensor> gradients) { replay(segment, kept, gradients); });
}

}  // namespace moe
