#include "comm/reduce_scatter.h"

#include <algorithm>
#include <vector>

#include "comm/local_reduce.h"
#include "comm/partition.h"
#include "comm/require.h"

namespace moe::comm {

void check_reduce_scatter(int ranks, const View& input, const View& output) {
  constexpr const char* kName = "reduce_scatter_sum";
  require_reducible(kName, input);
  require_same_dtype(kName, input, output);
  require_contiguous(kName, "input", input);
  require_contiguous(kName, "output", output);
  require_numel(kName, "input", input, output.numel() * ranks);
}

void reduce_scatter_sum(Transport& transport, Scratch& scratch, const View& input,
                        const View& output) {
  const auto ranks = static_cast<std::size_t>(transport.size());
  const auto self = static_cast<std::size_t>(transport.rank());
  const std::int64_t element = size_of(input.dtype);
  const std::int64_t part = output.numel();
  const std::int64_t length = std::min(part, segment_elements(input.dtype, transport.size()));
  std::vector<SendPart> send(ranks);
  std::vector<ReceivePart> receive(ranks);
  std::vector<const std::byte*> inputs(ranks);
  for (std::int64_t offset = 0; offset < part; offset += length) {
    const std::int64_t count = std::min(length, part - offset);
    std::byte* slot = scratch.get(length * element * transport.size());
    for (std::size_t p = 0; p < ranks; ++p) {
      const std::byte* theirs =
          input.as<std::byte>() + (part * static_cast<std::int64_t>(p) + offset) * element;
      const std::int64_t bytes = p == self ? 0 : count * element;
      send[p] = {theirs, bytes};
      receive[p] = {slot, bytes};
      inputs[p] = p == self ? theirs : slot;
      slot += bytes;
    }
    transport.exchange(send, receive);
    reduce_in_order(Reduction::Sum, input.dtype, inputs, output.as<std::byte>() + offset * element,
                    count);
  }
}

}  // namespace moe::comm
