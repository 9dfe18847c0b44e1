#include "comm/thread/channel.h"

#include <cstring>

#include "base/format.h"
#include "comm/self/self_transport.h"

namespace moe::comm {
namespace {

constexpr std::int64_t kSmallBytes = 4096;

}  // namespace

Channel::Channel(std::vector<int> world_ranks, double timeout_seconds)
    : world_ranks_(std::move(world_ranks)),
      timeout_seconds_(timeout_seconds),
      exchanges_(world_ranks_.size(), 0),
      handover_(world_ranks_.size()),
      here_(world_ranks_.size(), 0) {
  for (auto& set : posts_) {
    set.resize(world_ranks_.size());
    for (Post& post : set) {
      post.parts.resize(world_ranks_.size());
      post.copy.resize(kSmallBytes);
    }
  }
}

void Channel::post(int rank, Post& post, std::span<const SendPart> send) {
  const auto self = static_cast<std::size_t>(rank);
  std::int64_t total = 0;
  for (std::size_t p = 0; p < send.size(); ++p) total += p == self ? 0 : send[p].bytes;
  post.direct = total > kSmallBytes;
  std::byte* at = post.copy.data();
  for (std::size_t p = 0; p < send.size(); ++p) {
    post.parts[p] = send[p];
    if (post.direct || p == self || send[p].bytes == 0) continue;
    std::memcpy(at, send[p].data, static_cast<std::size_t>(send[p].bytes));
    post.parts[p].data = at;
    at += send[p].bytes;
  }
}

void Channel::exchange(int rank, std::span<const SendPart> send,
                       std::span<const ReceivePart> receive) {
  const auto self = static_cast<std::size_t>(rank);
  std::vector<Post>& posts = posts_[exchanges_[self]++ % 2];
  post(rank, posts[self], send);
  arrive(rank);
  bool direct = false;
  std::size_t wrong = send.size();
  for (std::size_t p = 0; p < send.size(); ++p) {
    direct = direct || posts[p].direct;
    const SendPart& part = posts[p].parts[self];
    if (part.bytes != receive[p].bytes) {
      wrong = p;
    } else if (p == self) {
      copy_own_part(part, receive[p]);
    } else if (part.bytes > 0) {
      std::memcpy(receive[p].data, part.data, static_cast<std::size_t>(part.bytes));
    }
  }
  const std::int64_t sent = wrong < send.size() ? posts[wrong].parts[self].bytes : 0;
  if (direct) {
    std::unique_lock lock(mutex_);
    leave(lock);
  }
  if (wrong < send.size()) {
    throw TransportFailure(
        format("expected {} bytes, the peer sent {}: the ranks do not run the same "
               "operation",
               receive[wrong].bytes, sent),
        {static_cast<int>(wrong)});
  }
}

// True for the last one, which lets the others go.
bool Channel::complete() {
  if (++arrived_ < size()) return false;
  arrived_ = 0;
  ++meetings_;
  std::fill(here_.begin(), here_.end(), 0);
  met_.notify_all();
  return true;
}

// Everyone who arrived also leaves, and only copies in between: no time limit, no abort.
void Channel::leave(std::unique_lock<std::mutex>& lock) {
  const std::uint64_t meeting = meetings_;
  if (complete()) return;
  met_.wait(lock, [&] { return meetings_ != meeting; });
}

void Channel::arrive(int rank) {
  const auto self = static_cast<std::size_t>(rank);
  std::unique_lock lock(mutex_);
  if (aborted_) throw TransportFailure(abort_reason_, {});
  const std::uint64_t meeting = meetings_;
  here_[self] = 1;
  if (complete()) return;
  const auto deadline = std::chrono::steady_clock::now() +
                        std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                            std::chrono::duration<double>(timeout_seconds_));
  const bool in_time =
      met_.wait_until(lock, deadline, [&] { return meetings_ != meeting || aborted_; });
  if (meetings_ != meeting) return;
  if (in_time) {
    --arrived_;
    here_[self] = 0;
    throw TransportFailure(abort_reason_, {});
  }
  fail_late(rank);
}

std::vector<int> Channel::missing() const {
  std::vector<int> ranks;
  for (int p = 0; p < size(); ++p) {
    if (here_[static_cast<std::size_t>(p)] == 0) ranks.push_back(p);
  }
  return ranks;
}

void Channel::fail_late(int rank) {
  const std::vector<int> late = missing();
  --arrived_;
  here_[static_cast<std::size_t>(rank)] = 0;
  aborted_ = true;
  abort_reason_ = format("rank {} gave up waiting after {} s", rank, timeout_seconds_);
  met_.notify_all();
  throw TransportFailure(format("did not arrive within {} s", timeout_seconds_), late);
}

void Channel::abort(const std::string& reason) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (aborted_) return;
    aborted_ = true;
    abort_reason_ = reason;
  }
  met_.notify_all();
}

}  // namespace moe::comm
