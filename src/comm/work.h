/// A handle on a collective that may still be running.
#pragma once

#include <memory>

namespace moe::comm {

/// @invariant buffers given to the collective stay valid and untouched until wait() returned or the
///   last copy of the handle is gone: that one cancels an operation which an exception leaves
///   behind, and waits for any other. Declare a handle after the buffers it works on.
/// @thread one owner; copies share the same operation
class [[nodiscard]] Work {
 public:
  /// What a back end implements.
  class State {
   public:
    virtual ~State() = default;
    /// Blocks until the operation ended. @throws CommError(purpose, peer, operation, elapsed ms)
    virtual void wait() = 0;
    virtual bool done() const = 0;
    /// Seconds from the start of the operation to its end (valid once done).
    virtual double elapsed() const = 0;
  };

  /// Already done.
  Work() = default;
  explicit Work(std::shared_ptr<State> state) : state_(std::move(state)) {}

  void wait() const {
    if (state_) state_->wait();
  }
  bool done() const { return state_ == nullptr || state_->done(); }
  double elapsed() const { return state_ == nullptr ? 0.0 : state_->elapsed(); }

 private:
  std::shared_ptr<State> state_;
};

}  // namespace moe::comm
