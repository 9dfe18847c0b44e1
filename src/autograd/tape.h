/// The record of a forward pass, played backward once.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "autograd/leaf.h"
#include "autograd/variable.h"

namespace moe {

/// What a tape does with the operations it sees.
enum class TapeMode {
  Record,     ///< keep them for backward
  CountUses,  ///< keep nothing but the uses of leaves (the first run of a recomputed segment)
};

/// @invariant backward visits nodes in strict reverse recording order and drops each after its visit, so saved
///   tensors go as early as possible and communication started late in forward is finished early in backward
/// @thread one thread; several tapes may live, one is current at most
class Tape {
 public:
  explicit Tape(TapeMode mode = TapeMode::Record) : mode_(mode) {}
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  /// The tape operations record on; null means nothing is recorded.
  static Tape* current();
  /// True while a node's backward runs on this thread.
  static bool in_backward();
  /// True while a segment is run again for its gradients: no side effects (statistics) then.
  static bool recomputing();

  /// Gradients of the outputs in order; undefined where none arrived.
  using Backward = std::function<void(std::span<const Tensor>)>;
  using BackwardOne = std::function<void(const Tensor&)>;

  /// Appends a node and returns its outputs as variables with slots.
  std::vector<Variable> record(const char* name, std::vector<Tensor> outputs, Backward backward);
  Variable record_one(const char* name, Tensor output, BackwardOne backward);

  /// Plays the tape backward from `outputs` with their gradients, and empties it.
  /// @shape seeds as the outputs; an undefined seed stands for ones
  void backward(std::span<const Variable> outputs, std::span<const Tensor> seeds);
  /// From one scalar, with gradient 1.
  void backward(const Variable& loss);

  std::size_t size() const { return nodes_.size(); }
  TapeMode mode() const { return mode_; }

  void note_use(const std::shared_ptr<LeafUse>& use);
  /// The uses counted (CountUses mode); the caller keeps them pending.
  std::vector<std::shared_ptr<LeafUse>> take_uses();

 private:
  struct Node {
    const char* name;
    std::vector<std::shared_ptr<GradientSlot>> outputs;
    Backward backward;
  };
  TapeMode mode_;
  std::vector<Node> nodes_;
  std::vector<std::shared_ptr<LeafUse>> uses_;
};

/// Makes a tape (or none, with null) current for a scope.
class TapeScope {
 public:
  explicit TapeScope(Tape* tape);
  ~TapeScope();
  TapeScope(const TapeScope&) = delete;
  TapeScope& operator=(const TapeScope&) = delete;

 private:
  Tape* previous_;
};

/// Whether an operation on these must be recorded: a tape is current and something wants a gradient.
bool needs_record(std::initializer_list<const Variable*> inputs,
                  std::initializer_list<const Leaf*> leaves = {});

/// Runs `segment` on `inputs` without keeping its activations and runs it again during backward.
/// @invariant the second run computes the same bits as the first; leaves used inside stay pending until its
///   backward is done, so ready hooks fire once
/// @grad to inputs and to every leaf used inside
using Segment = std::function<std::vector<Variable>(std::span<const Variable>)>;
std::vector<Variable> recompute(const Segment& segment, std::span<const Variable> inputs);

}  // namespace moe
