/// Runs the collectives of one group one after another, in the order they were issued.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace moe::comm {

class OperationQueue;

/// One collective: its body, and how it ended.
class Operation {
 public:
  Operation(std::shared_ptr<OperationQueue> queue, std::function<void()> body)
      : queue_(std::move(queue)), body_(std::move(body)) {}

  /// @throws what the body threw
  void wait();
  /// Waits, whatever the body threw.
  void finish();
  bool done() const { return done_.load(std::memory_order_acquire); }
  double elapsed() const { return done() ? elapsed_ : 0.0; }

 private:
  friend class OperationQueue;
  void run() noexcept;

  std::shared_ptr<OperationQueue> queue_;
  std::function<void()> body_;
  std::exception_ptr error_;
  double elapsed_ = 0;
  std::atomic<bool> done_ = false;
};

/// A worker thread, started at the first submit, runs what nobody waits for. A thread that waits
/// while no operation runs becomes the runner itself, up to the operation it waits for:
/// issue-then-wait pays no thread hop.
/// @thread any; the owner alone calls close()
class OperationQueue : public std::enable_shared_from_this<OperationQueue> {
 public:
  /// `urgency(true)` is called when a thread waits, `urgency(false)` when it no longer does.
  explicit OperationQueue(std::function<void(bool)> urgency) : urgency_(std::move(urgency)) {}
  ~OperationQueue();
  OperationQueue(const OperationQueue&) = delete;
  OperationQueue& operator=(const OperationQueue&) = delete;

  std::shared_ptr<Operation> submit(std::function<void()> body);
  void wait(const Operation& operation);
  /// Runs what was issued, then ends the worker.
  void close();

 private:
  void work();
  void run_next(std::unique_lock<std::mutex>& lock);

  std::function<void(bool)> urgency_;
  std::mutex mutex_;
  std::condition_variable issued_;  // the worker sleeps here
  std::condition_variable ended_;   // waiters sleep here
  std::deque<std::shared_ptr<Operation>> pending_;
  bool running_ = false;
  bool closing_ = false;
  std::thread worker_;
};

}  // namespace moe::comm
