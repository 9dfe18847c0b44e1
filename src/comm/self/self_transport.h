/// The transport of one rank: its own part is copied, nothing else exists.
#pragma once

#include <cstring>
#include <memory>

#include "base/check.h"
#include "comm/transport.h"

namespace moe::comm {

/// Copies a rank's own part, for every back end.
inline void copy_own_part(const SendPart& send, const ReceivePart& receive) {
  MOE_CHECK_EQ(send.bytes, receive.bytes);
  if (send.bytes == 0 || send.data == receive.data) return;
  std::memmove(receive.data, send.data, static_cast<std::size_t>(send.bytes));
}

class SelfTransport : public Transport {
 public:
  explicit SelfTransport(int world_rank = 0) : world_rank_(world_rank) {}

  int rank() const override { return 0; }
  int size() const override { return 1; }
  int world_rank(int) const override { return world_rank_; }
  void exchange(std::span<const SendPart> send, std::span<const ReceivePart> receive) override {
    copy_own_part(send[0], receive[0]);
  }
  std::unique_ptr<Transport> split(int color) override {
    return color < 0 ? nullptr : std::make_unique<SelfTransport>(world_rank_);
  }
  void cancel(const std::string&) noexcept override {}

 private:
  int world_rank_;
};

}  // namespace moe::comm
