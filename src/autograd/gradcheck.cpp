#include "autograd/gradcheck.h"

#include <cmath>

#include "autograd/tape.h"
#include "base/error.h"
#include "base/format.h"
#include "base/random.h"

namespace moe {
namespace {

class Check {
 public:
  Check(const Differentiable& function, std::span<const Tensor> inputs,
        std::span<Leaf* const> leaves, const GradcheckOptions& options)
      : function_(function), inputs_(inputs.begin(), inputs.end()), leaves_(leaves), options_(options) {
    for (const Tensor& input : inputs_) require_f64("input", input);
    for (const Leaf* leaf : leaves_) require_f64(leaf->name().c_str(), leaf->value());
  }

  std::string run() {
    const std::vector<Tensor> analytic = differentiate();
    for (int turn = 0; turn < options_.ranks; ++turn) {
      const bool mine = turn == options_.rank;
      for (std::size_t i = 0; i < inputs_.size() + leaves_.size(); ++i) {
        check_tensor(i, mine, analytic[i]);
      }
    }
    return worst_;
  }

 private:
  static void require_f64(const char* name, const Tensor& tensor) {
    if (tensor.dtype() != DType::F64) {
      throw DTypeError(format("[gradcheck] {}: expected f64, got {}", name, describe(tensor)));
    }
  }

  Tensor weight_of(std::size_t output, const Tensor& value) const {
    if (value.numel() == 1) return Tensor::full(value.shape(), DType::F64, 1.0);
    const Random random(options_.seed, format("gradcheck.{}.{}", options_.rank, output));
    Tensor weights = Tensor::empty(value.shape(), DType::F64);
    auto numbers = weights.span<double>();
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = random.uniform(i) * 2.0 - 1.0;
    return weights;
  }

  /// Backward once: the gradient of each input, then of each leaf (zeros where none arrived).
  std::vector<Tensor> differentiate() {
    std::vector<Variable> variables;
    for (const Tensor& input : inputs_) variables.push_back(Variable::input(input));
    for (Leaf* leaf : leaves_) leaf->clear_written();
    Tape tape;
    std::vector<Variable> outputs;
    {
      const TapeScope scope(&tape);
      outputs = function_(variables);
    }
    std::vector<Tensor> seeds;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      seeds.push_back(weight_of(i, outputs[i].value()));
    }
    tape.backward(outputs, seeds);
    std::vector<Tensor> gradients;
    for (const Variable& variable : variables) {
      const Tensor gradient = variable.gradient();
      gradients.push_back(gradient.defined() ? gradient
                                             : Tensor::zeros(variable.shape(), DType::F64));
    }
    for (Leaf* leaf : leaves_) {
      leaf->zero_unless_written();
      gradients.push_back(leaf->gradient().clone());
    }
    return gradients;
  }

  double evaluate() {
    std::vector<Variable> variables;
    for (const Tensor& input : inputs_) variables.push_back(Variable::input(input));
    Tape tape;  // recorded, so that ops that form gradients in forward take the same path
    double total = 0.0;
    {
      const TapeScope scope(&tape);
      const std::vector<Variable> outputs = function_(variables);
      for (std::size_t i = 0; i < outputs.size(); ++i) {
        if (!outputs[i].requires_gradient()) continue;
        const auto values = outputs[i].value().span<double>();
        const Tensor weight = weight_of(i, outputs[i].value());
        const auto weights = weight.span<double>();
        for (std::size_t j = 0; j < values.size(); ++j) total += values[j] * weights[j];
      }
    }
    return total;
  }

  double summed(double value) const { return options_.sum ? options_.sum(value) : value; }

  /// All ranks run the function for every element of the rank whose turn it is.
  void check_tensor(std::size_t which, bool mine, const Tensor& analytic) {
    const bool is_leaf = which >= inputs_.size();
    const Tensor& tensor = is_leaf ? leaves_[which - inputs_.size()]->value() : inputs_[which];
    const auto count = static_cast<std::int64_t>(
        std::llround(summed(mine ? static_cast<double>(tensor.numel()) : 0.0)));
    for (std::int64_t i = 0; i < count; ++i) {
      double* element = mine ? &tensor.span<double>()[static_cast<std::size_t>(i)] : nullptr;
      const double original = mine ? *element : 0.0;
      if (mine) *element = original + options_.step;
      const double above = summed(evaluate());
      if (mine) *element = original - options_.step;
      const double below = summed(evaluate());
      if (!mine) continue;
      *element = original;
      const double numeric = (above - below) / (2.0 * options_.step);
      compare(which, i, analytic.span<double>()[static_cast<std::size_t>(i)], numeric);
    }
  }

  void compare(std::size_t which, std::int64_t element, double analytic, double numeric) {
    const double allowed = options_.absolute + options_.relative * std::abs(numeric);
    const double excess = std::abs(analytic - numeric) / allowed;
    if (excess <= std::max(1.0, worst_excess_)) return;
    worst_excess_ = excess;
    const std::string name = which < inputs_.size() ? format("input {}", which)
                                                    : leaves_[which - inputs_.size()]->name();
    worst_ = format("{} element {}: backward gives {}, differences give {}", name, element, analytic,
                    numeric);
  }

  const Differentiable& function_;
  std::vector<Tensor> inputs_;
  std::span<Leaf* const> leaves_;
  const GradcheckOptions& options_;
  double worst_excess_ = 0.0;
  std::string worst_;
};

}  // namespace

std::string gradcheck(const Differentiable& function, std::span<const Tensor> inputs,
                      std::span<Leaf* const> leaves, const GradcheckOptions& options) {
  return Check(function, inputs, leaves, options).run();
}

}  // namespace moe
