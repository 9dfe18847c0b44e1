#include "comm/all_to_all.h"

#include <numeric>

#include "base/error.h"
#include "base/format.h"
#include "comm/require.h"

namespace moe::comm {
namespace {

constexpr const char* kName = "all_to_all";

std::int64_t row_elements(const View& view) {
  std::int64_t elements = 1;
  for (int dim = 1; dim < view.rank; ++dim) elements *= view.dim(dim);
  return elements;
}

// Rows must be non-negative, one count per rank, and add up to dim 0.
void require_rows(const char* name, const View& view, std::span<const std::int64_t> rows,
                  int ranks) {
  if (view.rank < 1) {
    throw ShapeError(format("[{}] {}: expected rows in dim 0, got a scalar", kName, name));
  }
  if (rows.size() != static_cast<std::size_t>(ranks)) {
    throw ShapeError(format("[{}] {}_rows: expected {} counts (one per rank), got {}", kName, name,
                            ranks, rows.size()));
  }
  for (const std::int64_t count : rows) {
    if (count < 0) {
      throw ShapeError(
          format("[{}] {}_rows: expected counts >= 0, got {}", kName, name, format_shape(rows)));
    }
  }
  const std::int64_t total = std::accumulate(rows.begin(), rows.end(), std::int64_t{0});
  if (total != view.dim(0)) {
    throw ShapeError(format("[{}] {}: expected {} rows (the sum of {}_rows), got {}", kName, name,
                            total, name, view.dim(0)));
  }
}

}  // namespace

AllToAllParts cut_all_to_all(int rank, const View& send, std::span<const std::int64_t> send_rows,
                             const View& receive, std::span<const std::int64_t> receive_rows,
                             int ranks) {
  require_same_dtype(kName, send, receive);
  require_contiguous(kName, "send", send);
  require_contiguous(kName, "receive", receive);
  require_rows("send", send, send_rows, ranks);
  require_rows("receive", receive, receive_rows, ranks);
  if (row_elements(send) != row_elements(receive)) {
    throw ShapeError(format("[{}] receive: expected rows of {} elements as sent, got {}", kName,
                            row_elements(send), row_elements(receive)));
  }
  const auto self = static_cast<std::size_t>(rank);
  if (send_rows[self] != receive_rows[self]) {
    throw ShapeError(format("[{}] receive_rows: expected {} rows from this rank itself, got {}",
                            kName, send_rows[self], receive_rows[self]));
  }
  const std::int64_t row_bytes = row_elements(send) * size_of(send.dtype);
  AllToAllParts parts;
  const std::byte* from = send.as<std::byte>();
  std::byte* to = receive.as<std::byte>();
  for (std::size_t p = 0; p < send_rows.size(); ++p) {
    parts.send.push_back({from, send_rows[p] * row_bytes});
    parts.receive.push_back({to, receive_rows[p] * row_bytes});
    from += parts.send.back().bytes;
    to += parts.receive.back().bytes;
  }
  return parts;
}

}  // namespace moe::comm
