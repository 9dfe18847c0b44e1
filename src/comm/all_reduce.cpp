#include "comm/all_reduce.h"

#include <vector>

#include "comm/partition.h"
#include "comm/require.h"

namespace moe::comm {
namespace {

// Below this many bytes from all ranks together one exchange is cheaper than two.
constexpr std::int64_t kSmallBytes = 16 << 10;

struct Job {
  Transport& transport;
  Scratch& scratch;
  const View& buffer;
  Reduction reduction;
  std::vector<SendPart> send;
  std::vector<ReceivePart> receive;
  std::vector<const std::byte*> inputs;

  std::size_t ranks() const { return send.size(); }
  std::byte* at(std::int64_t element) const {
    return buffer.as<std::byte>() + element * size_of(buffer.dtype);
  }
  std::int64_t bytes(const Range& range) const { return range.size() * size_of(buffer.dtype); }
  Range chunk(std::size_t rank) const {
    return chunk_of(buffer.numel(), static_cast<int>(ranks()), static_cast<int>(rank));
  }
};

void reduce_whole(Job& job) {
  const std::int64_t bytes = job.buffer.bytes();
  std::byte* received = job.scratch.get(bytes * static_cast<std::int64_t>(job.ranks()));
  for (std::size_t p = 0; p < job.ranks(); ++p) {
    std::byte* slot = received + bytes * static_cast<std::int64_t>(p);
    job.send[p] = {job.at(0), bytes};
    job.receive[p] = {slot, bytes};
    job.inputs[p] = slot;
  }
  job.transport.exchange(job.send, job.receive);
  reduce_in_order(job.reduction, job.buffer.dtype, job.inputs, job.at(0), job.buffer.numel());
}

// This rank's own segment ends up reduced, in place.
void reduce_segment(Job& job, std::int64_t offset, std::int64_t length) {
  const auto self = static_cast<std::size_t>(job.transport.rank());
  const Range own = segment_of(job.chunk(self), offset, length);
  std::byte* slot =
      job.scratch.get(length * size_of(job.buffer.dtype) * static_cast<std::int64_t>(job.ranks()));
  for (std::size_t p = 0; p < job.ranks(); ++p) {
    const Range theirs = segment_of(job.chunk(p), offset, length);
    job.send[p] = {job.at(theirs.begin), p == self ? 0 : job.bytes(theirs)};
    job.receive[p] = {slot, p == self ? 0 : job.bytes(own)};
    job.inputs[p] = p == self ? job.at(own.begin) : slot;
    slot += job.bytes(own);
  }
  job.transport.exchange(job.send, job.receive);
  reduce_in_order(job.reduction, job.buffer.dtype, job.inputs, job.at(own.begin), own.size());
}

void gather_segment(Job& job, std::int64_t offset, std::int64_t length) {
  const auto self = static_cast<std::size_t>(job.transport.rank());
  const Range own = segment_of(job.chunk(self), offset, length);
  for (std::size_t p = 0; p < job.ranks(); ++p) {
    const Range theirs = segment_of(job.chunk(p), offset, length);
    job.send[p] = {job.at(own.begin), p == self ? 0 : job.bytes(own)};
    job.receive[p] = {job.at(theirs.begin), p == self ? 0 : job.bytes(theirs)};
  }
  job.transport.exchange(job.send, job.receive);
}

}  // namespace

void check_all_reduce(const char* operation, const View& buffer) {
  require_reducible(operation, buffer);
  require_contiguous(operation, "buffer", buffer);
}

void all_reduce(Transport& transport, Scratch& scratch, const View& buffer, Reduction reduction) {
  const auto ranks = static_cast<std::size_t>(transport.size());
  if (ranks == 1 || buffer.numel() == 0) return;
  Job job{transport,
          scratch,
          buffer,
          reduction,
          std::vector<SendPart>(ranks),
          std::vector<ReceivePart>(ranks),
          std::vector<const std::byte*>(ranks)};
  if (buffer.bytes() * transport.size() <= kSmallBytes) return reduce_whole(job);
  const std::int64_t chunk = job.chunk(0).size();
  const std::int64_t length = std::min(chunk, segment_elements(buffer.dtype, transport.size()));
  for (std::int64_t offset = 0; offset < chunk; offset += length) {
    reduce_segment(job, offset, length);
    gather_segment(job, offset, length);
  }
}

}  // namespace moe::comm
