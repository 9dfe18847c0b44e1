/// What a back end implements: bytes between the ranks of one group. The collectives are written
/// once over it, so their bits are equal on all back ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace moe::comm {

struct SendPart {
  const std::byte* data = nullptr;
  std::int64_t bytes = 0;
};

struct ReceivePart {
  std::byte* data = nullptr;
  std::int64_t bytes = 0;
};

/// A peer that failed or did not come; the group turns it into a CommError.
class TransportFailure : public std::runtime_error {
 public:
  /// `peers` are ranks of the group, as far as they are known.
  TransportFailure(const std::string& reason, std::vector<int> peers)
      : std::runtime_error(reason), peers_(std::move(peers)) {}
  const std::vector<int>& peers() const { return peers_; }

 private:
  std::vector<int> peers_;
};

/// @thread one exchange or split at a time, in the same order on all ranks; `cancel` and
///   `set_urgent` from any thread
class Transport {
 public:
  virtual ~Transport() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// Rank of a member in the world the group was split from, for messages.
  virtual int world_rank(int member) const = 0;

  /// All-to-all-v: send[p] goes to rank p, receive[p] is filled by rank p. Returns when the sent
  /// bytes may be overwritten and the received ones are there.
  /// @invariant send[p] here and receive[rank] at p have the same size; 0 is normal, and pairs with
  ///   nothing to say need not meet. A sent range may be received nowhere and overlaps no received
  ///   one, but for a rank's own part, which may be sent onto itself
  /// @throws TransportFailure
  virtual void exchange(std::span<const SendPart> send, std::span<const ReceivePart> receive) = 0;

  /// Collective: the ranks that gave the same color, ordered by rank; null for a color < 0.
  /// @throws TransportFailure
  virtual std::unique_ptr<Transport> split(int color) = 0;

  /// Makes this rank's exchange, running or next, fail instead of waiting on; peers follow if they
  /// can be reached.
  virtual void cancel(const std::string& reason) noexcept = 0;

  /// A thread waits for the result (poll hard), or it computes meanwhile (leave it the cores).
  virtual void set_urgent(bool) noexcept {}
};

}  // namespace moe::comm
