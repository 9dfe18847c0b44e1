#include "comm/broadcast.h"

#include <vector>

#include "base/error.h"
#include "base/format.h"
#include "comm/partition.h"
#include "comm/require.h"

namespace moe::comm {
namespace {

constexpr std::int64_t kSmallBytes = 64 << 10;

void send_whole(Transport& transport, std::byte* data, std::int64_t bytes, int root) {
  const auto ranks = static_cast<std::size_t>(transport.size());
  const auto self = static_cast<std::size_t>(transport.rank());
  std::vector<SendPart> send(ranks);
  std::vector<ReceivePart> receive(ranks);
  if (transport.rank() == root) {
    for (std::size_t p = 0; p < ranks; ++p) send[p] = {data, p == self ? 0 : bytes};
  } else {
    receive[static_cast<std::size_t>(root)] = {data, bytes};
  }
  transport.exchange(send, receive);
}

void scatter_then_gather(Transport& transport, std::byte* data, std::int64_t bytes, int root) {
  const auto ranks = static_cast<std::size_t>(transport.size());
  const auto self = static_cast<std::size_t>(transport.rank());
  const bool is_root = transport.rank() == root;
  const auto chunk = [&](std::size_t p) {
    return chunk_of(bytes, transport.size(), static_cast<int>(p));
  };
  std::vector<SendPart> send(ranks);
  std::vector<ReceivePart> receive(ranks);
  if (is_root) {
    for (std::size_t p = 0; p < ranks; ++p) {
      send[p] = {data + chunk(p).begin, p == self ? 0 : chunk(p).size()};
    }
  } else {
    receive[static_cast<std::size_t>(root)] = {data + chunk(self).begin, chunk(self).size()};
  }
  transport.exchange(send, receive);
  // The root has everything: nobody sends to it.
  for (std::size_t p = 0; p < ranks; ++p) {
    const bool to_root = static_cast<int>(p) == root;
    send[p] = {data + chunk(self).begin, p == self || to_root ? 0 : chunk(self).size()};
    receive[p] = {data + chunk(p).begin, p == self || is_root ? 0 : chunk(p).size()};
  }
  transport.exchange(send, receive);
}

}  // namespace

void check_broadcast(int ranks, const View& buffer, int root) {
  require_contiguous("broadcast", "buffer", buffer);
  if (root < 0 || root >= ranks) {
    throw ShapeError(format("[broadcast] root: expected a rank below {}, got {}", ranks, root));
  }
}

void broadcast(Transport& transport, const View& buffer, int root) {
  const std::int64_t bytes = buffer.bytes();
  if (transport.size() == 1 || bytes == 0) return;
  if (bytes <= kSmallBytes || transport.size() == 2) {
    send_whole(transport, buffer.as<std::byte>(), bytes, root);
  } else {
    scatter_then_gather(transport, buffer.as<std::byte>(), bytes, root);
  }
}

}  // namespace moe::comm
