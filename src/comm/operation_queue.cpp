#include "comm/operation_queue.h"

#include "base/clock.h"

namespace moe::comm {

void Operation::finish() {
  if (!done()) queue_->wait(*this);
}

void Operation::wait() {
  finish();
  if (error_) std::rethrow_exception(error_);
}

void Operation::run() noexcept {
  const Stopwatch watch;
  try {
    body_();
  } catch (...) {
    error_ = std::current_exception();
  }
  body_ = nullptr;
  elapsed_ = watch.seconds();
}

OperationQueue::~OperationQueue() {
  close();
}

std::shared_ptr<Operation> OperationQueue::submit(std::function<void()> body) {
  auto operation = std::make_shared<Operation>(shared_from_this(), std::move(body));
  {
    const std::lock_guard lock(mutex_);
    pending_.push_back(operation);
    if (!worker_.joinable()) worker_ = std::thread([this] { work(); });
  }
  issued_.notify_one();
  return operation;
}

void OperationQueue::wait(const Operation& operation) {
  urgency_(true);
  {
    std::unique_lock lock(mutex_);
    while (!operation.done()) {
      if (!running_ && !pending_.empty()) {
        run_next(lock);
      } else {
        ended_.wait(lock);
      }
    }
  }
  urgency_(false);
}

void OperationQueue::close() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  issued_.notify_one();
  if (worker_.joinable()) worker_.join();
}

void OperationQueue::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    issued_.wait(lock, [this] { return !running_ && (closing_ || !pending_.empty()); });
    if (pending_.empty()) return;
    run_next(lock);
  }
}

void OperationQueue::run_next(std::unique_lock<std::mutex>& lock) {
  const std::shared_ptr<Operation> operation = std::move(pending_.front());
  pending_.pop_front();
  running_ = true;
  lock.unlock();
  operation->run();
  lock.lock();
  running_ = false;
  operation->done_.store(true, std::memory_order_release);
  ended_.notify_all();
  if (!pending_.empty() || closing_) issued_.notify_one();
}

}  // namespace moe::comm
