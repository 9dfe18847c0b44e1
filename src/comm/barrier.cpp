#include "comm/barrier.h"

#include <vector>

namespace moe::comm {

void barrier(Transport& transport) {
  const auto ranks = static_cast<std::size_t>(transport.size());
  const std::byte token{1};
  std::vector<std::byte> tokens(ranks);
  std::vector<SendPart> send(ranks, {&token, 1});
  std::vector<ReceivePart> receive(ranks);
  for (std::size_t p = 0; p < ranks; ++p) receive[p] = {&tokens[p], 1};
  transport.exchange(send, receive);
}

}  // namespace moe::comm
