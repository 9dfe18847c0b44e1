/// What the forward and the backward pass of attention share.
///
/// A tile has keys on one side and columns on the other: a column is one query of one head, and the
/// heads that share a key head stand together, so that keys are packed once for all of them.
/// Internal to *_cpu.cpp files: everything has internal linkage.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/attention/problem.h"
#include "kernels/common/dispatch.h"
#include "kernels/gemm/pack.h"

namespace moe::kernels::MOE_ISA {
namespace {

constexpr std::int64_t kColumns = 96;  ///< most columns of a tile
constexpr std::int64_t kKeys = 192;    ///< most keys of a tile

/// [first, last), empty unless first < last.
struct Span {
  std::int64_t first = 0;
  std::int64_t last = 0;
  bool empty() const { return first >= last; }
};

MOE_INLINE Span join(Span a, Span b) {
  if (a.empty()) return b;
  if (b.empty()) return a;
  return {a.first < b.first ? a.first : b.first, a.last > b.last ? a.last : b.last};
}
MOE_INLINE Span meet(Span a, Span b) {
  return {a.first > b.first ? a.first : b.first, a.last < b.last ? a.last : b.last};
}

/// Columns [0, count) of one tile: some queries of one sequence, for some heads of one group.
struct ColumnBlock {
  std::int64_t sequence;
  std::int64_t group;
  std::int64_t first_query;
  std::int64_t first_head;  ///< of the group
  std::int64_t heads;
  std::int64_t count;

  MOE_INLINE std::int64_t token(const AttentionProblem& x, std::int64_t c) const {
    return sequence * x.queries + first_query + c / heads;
  }
  MOE_INLINE std::int64_t head(const AttentionProblem& x, std::int64_t c) const {
    return group * x.ratio + first_head + c % heads;
  }
};

/// How the columns of one sequence and group are cut into blocks.
struct ColumnCut {
  std::int64_t heads;    ///< of a block
  std::int64_t queries;  ///< of a block
  std::int64_t head_blocks;
  std::int64_t query_blocks;

  explicit ColumnCut(const AttentionProblem& x)
      : heads(x.ratio < kColumns ? x.ratio : kColumns),
        queries(kColumns / (heads < 1 ? 1 : heads)),
        head_blocks(heads < 1 ? 0 : (x.ratio + heads - 1) / heads),
        query_blocks((x.queries + queries - 1) / queries) {}
  std::int64_t blocks() const { return head_blocks * query_blocks; }

  ColumnBlock block(const AttentionProblem& x, std::int64_t sequence, std::int64_t group,
                    std::int64_t at) const {
    const std::int64_t query = at / head_blocks * queries;
    const std::int64_t head = at % head_blocks * heads;
    const std::int64_t here = x.ratio - head < heads ? x.ratio - head : heads;
    const std::int64_t rows = x.queries - query < queries ? x.queries - query : queries;
    return {sequence, group, query, head, here, rows * here};
  }
};

/// The keys every column sees.
struct ColumnRanges {
  Span range[kColumns];

  ColumnRanges(const AttentionProblem& x, const ColumnBlock& block, const View& begin,
               const View& end) {
    for (std::int64_t c = 0; c < kColumns; ++c) {
      range[c] = {};
      if (c >= block.count) continue;
      const std::int64_t t = block.token(x, c);
      range[c] = meet({begin.as<const std::int32_t>()[t], end.as<const std::int32_t>()[t]},
                      {0, x.keys});
      if (range[c].empty()) range[c] = {};
    }
  }
  /// The keys that some column of [first, first + count) sees.
  Span of(std::int64_t first, std::int64_t count) const {
    Span all;
    for (std::int64_t c = first; c < first + count && c < kColumns; ++c) all = join(all, range[c]);
    return all;
  }
};

/// The heads of a tensor [tokens, heads, width].
template <class T>
struct Heads {
  T* data;
  std::int64_t stride;  ///< of tokens
  std::int64_t width;

  explicit Heads(const View& x) : data(x.as<T>()), stride(x.stride(0)), width(x.dim(2)) {}
  MOE_INLINE T* at(std::int64_t token, std::int64_t head) const {
    return data + token * stride + head * width;
  }
  /// Column c of a block.
  MOE_INLINE T* column(const AttentionProblem& x, const ColumnBlock& block, std::int64_t c) const {
    return at(block.token(x, c), block.head(x, c));
  }
  /// The columns of a block as rows of a matrix.
  Operand<T> columns(const AttentionProblem& x, const ColumnBlock& block,
                     bool depth_contiguous) const {
    return {column(x, block, 0), stride, depth_contiguous, nullptr, block.heads, width};
  }
  /// The keys of one sequence and group from key `first` on, as rows of a matrix.
  Operand<T> keys(const AttentionProblem& x, std::int64_t sequence, std::int64_t group,
                  std::int64_t first, bool depth_contiguous) const {
    return {at(sequence * x.keys + first, group), stride, depth_contiguous, nullptr, 1, 0};
  }
};

/// x rounded up to a multiple of `step`.
MOE_INLINE std::int64_t round_up(std::int64_t x, std::int64_t step) {
  return (x + step - 1) / step * step;
}

/// Hands out pieces of one allocation that begins at `at`, each aligned to 64 bytes.
struct Pieces {
  std::uintptr_t at;
  template <class E>
  MOE_INLINE E* take(std::int64_t count) {
    auto* piece = reinterpret_cast<E*>(at);
    at += static_cast<std::uintptr_t>(round_up(count * static_cast<std::int64_t>(sizeof(E)), 64));
    return piece;
  }
};

/// The bytes that Memory(pieces, width) takes.
template <class Memory>
MOE_INLINE std::int64_t bytes_of(std::int64_t width) {
  Pieces pieces{0};
  (void)Memory(pieces, width);
  return static_cast<std::int64_t>(pieces.at);
}
template <class Memory>
MOE_INLINE Memory memory_in(const Scratch& scratch, std::int64_t width) {
  Pieces pieces{reinterpret_cast<std::uintptr_t>(scratch.as<std::byte>())};
  return Memory(pieces, width);
}

/// The packed elements that hold the depths [first, last), counted from where packing began.
template <class Mode>
MOE_INLINE Span packed_span(Span depths) {
  return {depths.first / Mode::kSpan, packed_depths<Mode>(depths.last)};
}
/// The depths of those elements.
template <class Mode>
MOE_INLINE Span whole_packed(Span depths) {
  const Span packed = packed_span<Mode>(depths);
  return {packed.first * Mode::kSpan, packed.last * Mode::kSpan};
}

/// y[0, count) = x, converted.
template <class C, class T>
MOE_INLINE void copy_row(const C* x, T* y, std::int64_t count) {
  for_vectors<C>(count, [=](std::int64_t i, auto lanes) { store(y + i, load(x + i, lanes), lanes); });
}

}  // namespace
}  // namespace moe::kernels::MOE_ISA
