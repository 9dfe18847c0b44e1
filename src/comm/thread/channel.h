/// The meeting place of the threads of one group: they show each other their buffers and copy
/// straight out of them.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "comm/transport.h"

namespace moe::comm {

/// @invariant after the arrival meeting of an exchange either all members copy or none does, so a
///   failure never frees a buffer that someone still reads
/// @cost no allocation per message; a small message is copied twice and needs one meeting instead
/// of two
/// @thread each member calls with its own rank, one call at a time
class Channel {
 public:
  Channel(std::vector<int> world_ranks, double timeout_seconds);

  int size() const { return static_cast<int>(world_ranks_.size()); }
  int world_rank(int member) const { return world_ranks_[static_cast<std::size_t>(member)]; }
  double timeout_seconds() const { return timeout_seconds_; }

  /// @throws TransportFailure when aborted, or naming the members that did not come in time
  void exchange(int rank, std::span<const SendPart> send, std::span<const ReceivePart> receive);

  /// Everybody who waits for an arrival, now or later, fails with `reason`.
  void abort(const std::string& reason) noexcept;

  /// Where the leader of a split leaves the new channel for the other members.
  std::shared_ptr<Channel>& handover(int leader) {
    return handover_[static_cast<std::size_t>(leader)];
  }

 private:
  struct Post {
    std::vector<SendPart> parts;
    std::vector<std::byte> copy;  // of all parts, when they are small
    bool direct = false;          // receivers read the sender's own memory
  };

  void post(int rank, Post& post, std::span<const SendPart> send);
  void arrive(int rank);
  void leave(std::unique_lock<std::mutex>& lock);
  [[noreturn]] void fail_late(int rank);
  std::vector<int> missing() const;
  bool complete();

  std::vector<int> world_ranks_;
  double timeout_seconds_;
  // Two sets take turns: a set is written again only after everybody came to the next exchange, and
  // so has finished reading it.
  std::array<std::vector<Post>, 2> posts_;
  std::vector<std::uint64_t> exchanges_;  // per member
  std::vector<std::shared_ptr<Channel>> handover_;

  std::mutex mutex_;
  std::condition_variable met_;
  std::vector<char> here_;
  int arrived_ = 0;
  std::uint64_t meetings_ = 0;
  std::string abort_reason_;
  bool aborted_ = false;
};

}  // namespace moe::comm
