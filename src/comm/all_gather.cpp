#include "comm/all_gather.h"

#include <vector>

#include "comm/require.h"

namespace moe::comm {

void check_all_gather(int ranks, const View& input, const View& output) {
  constexpr const char* kName = "all_gather";
  require_same_dtype(kName, input, output);
  require_contiguous(kName, "input", input);
  require_contiguous(kName, "output", output);
  require_numel(kName, "output", output, input.numel() * ranks);
}

void all_gather(Transport& transport, const View& input, const View& output) {
  const auto ranks = static_cast<std::size_t>(transport.size());
  const std::int64_t bytes = input.bytes();
  if (bytes == 0) return;
  std::vector<SendPart> send(ranks, {input.as<std::byte>(), bytes});
  std::vector<ReceivePart> receive(ranks);
  for (std::size_t p = 0; p < ranks; ++p) {
    receive[p] = {output.as<std::byte>() + bytes * static_cast<std::int64_t>(p), bytes};
  }
  transport.exchange(send, receive);
}

}  // namespace moe::comm
