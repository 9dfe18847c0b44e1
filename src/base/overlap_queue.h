/// One thread that does jobs in order while its owner prepares the next: double buffering.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

namespace moe {

/// @invariant at most one job is held besides the one that its owner prepares
/// @thread one owner
class OverlapQueue {
 public:
  OverlapQueue();
  /// Waits for the job under way; its failure, if nobody asked, is lost.
  ~OverlapQueue();
  OverlapQueue(const OverlapQueue&) = delete;
  OverlapQueue& operator=(const OverlapQueue&) = delete;

  /// Waits until the job before is done, then starts this one and returns.
  /// @throws what the job before threw; this one is not started then
  void submit(std::function<void()> job);
  /// Waits until nothing is under way. @throws what the last job threw
  void wait();

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> job_;
  std::exception_ptr failure_;
  bool busy_ = false;
  bool closing_ = false;
  std::thread thread_;
};

}  // namespace moe
