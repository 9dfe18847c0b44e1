#include "data/bpe/merges.h"

#include <bit>
#include <limits>
#include <queue>
#include <tuple>

namespace moe::data::bpe {
namespace {

constexpr std::uint32_t kNever = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t kEmpty = std::numeric_limits<std::uint64_t>::max();
/// Up to here scanning all neighbours for the lowest rank beats a queue.
constexpr std::size_t kShortWord = 128;

std::uint64_t pack(std::int32_t left, std::int32_t right) {
  return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32) |
         static_cast<std::uint32_t>(right);
}

std::uint64_t scatter(std::uint64_t pair) {
  pair *= 0x9E3779B97F4A7C15U;
  return pair ^ (pair >> 32);
}

}  // namespace

Merger::Merger(const std::array<std::int32_t, 256>& bytes, const std::vector<Merge>& merges)
    : bytes_(bytes),
      slots_(std::bit_ceil(2 * merges.size() + 2), Slot{.pair = kEmpty}),
      mask_(slots_.size() - 1) {
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const std::uint64_t pair = pack(merges[rank].left, merges[rank].right);
    slot_of(pair) = {pair, static_cast<std::uint32_t>(rank), merges[rank].result};
  }
}

Merger::Slot& Merger::slot_of(std::uint64_t pair) {
  std::uint64_t at = scatter(pair) & mask_;
  while (slots_[at].pair != kEmpty && slots_[at].pair != pair) at = (at + 1) & mask_;
  return slots_[at];
}

Merger::Found Merger::find(std::int32_t left, std::int32_t right) const {
  const std::uint64_t pair = pack(left, right);
  for (std::uint64_t at = scatter(pair) & mask_;; at = (at + 1) & mask_) {
    const Slot& slot = slots_[at];
    if (slot.pair == pair) return {slot.rank, slot.result};
    if (slot.pair == kEmpty) return {kNever, 0};
  }
}

/// Few symbols, side by side.
class Merger::Scan {
 public:
  Scan(const Merger& merger, std::string_view word) : merger_(merger), size_(word.size()) {
    for (std::size_t i = 0; i < size_; ++i) {
      ids_[i] = merger_.bytes_[static_cast<unsigned char>(word[i])];
    }
    for (std::size_t i = 0; i + 1 < size_; ++i) look(i);
  }

  void run() {
    while (size_ > 1) {
      std::size_t best = 0;
      for (std::size_t i = 1; i + 1 < size_; ++i) best = ranks_[i] < ranks_[best] ? i : best;
      if (ranks_[best] == kNever) return;
      join(best);
    }
  }
  const std::int32_t* begin() const { return ids_.data(); }
  const std::int32_t* end() const { return ids_.data() + size_; }

 private:
  void look(std::size_t at) {
    const Found found = merger_.find(ids_[at], ids_[at + 1]);
    ranks_[at] = found.rank;
    results_[at] = found.result;
  }
  void join(std::size_t at) {
    ids_[at] = results_[at];
    --size_;
    for (std::size_t i = at + 1; i < size_; ++i) {
      ids_[i] = ids_[i + 1];
      ranks_[i] = ranks_[i + 1];
      results_[i] = results_[i + 1];
    }
    if (at > 0) look(at - 1);
    if (at + 1 < size_) look(at);
  }

  const Merger& merger_;
  std::size_t size_;
  std::array<std::int32_t, kShortWord> ids_;
  std::array<std::uint32_t, kShortWord> ranks_;  // of the symbol and its right neighbour
  std::array<std::int32_t, kShortWord> results_;
};

/// Many symbols, as a linked list, with a queue of the pairs that can be joined.
class Merger::Queue {
 public:
  Queue(const Merger& merger, std::string_view word) : merger_(merger), symbols_(word.size()) {
    const auto size = static_cast<std::int32_t>(word.size());
    for (std::int32_t i = 0; i < size; ++i) {
      const auto byte = static_cast<unsigned char>(word[static_cast<std::size_t>(i)]);
      symbols_[static_cast<std::size_t>(i)] = {merger_.bytes_[byte], i - 1, i + 1 < size ? i + 1 : -1};
    }
    for (std::int32_t i = 0; i + 1 < size; ++i) look(i);
  }

  void run() {
    while (!candidates_.empty()) {
      const Candidate top = candidates_.top();
      candidates_.pop();
      if (still_there(top)) join(top);
    }
  }
  void append(std::vector<std::int32_t>& ids) const {
    // The first symbol is never swallowed: joining keeps the left one.
    for (std::int32_t i = 0; i >= 0; i = at(i).next) ids.push_back(at(i).id);
  }

 private:
  struct Symbol {
    std::int32_t id, previous, next;  // id -1: swallowed by its left neighbour
  };
  struct Candidate {
    std::uint32_t rank;
    std::int32_t at, left, right, result;
    bool operator>(const Candidate& other) const {
      return std::tie(rank, at) > std::tie(other.rank, other.at);
    }
  };

  Symbol& at(std::int32_t i) { return symbols_[static_cast<std::size_t>(i)]; }
  const Symbol& at(std::int32_t i) const { return symbols_[static_cast<std::size_t>(i)]; }

  bool still_there(const Candidate& top) const {
    const Symbol& symbol = at(top.at);
    return symbol.id == top.left && symbol.next >= 0 && at(symbol.next).id == top.right;
  }
  void look(std::int32_t i) {
    const std::int32_t left = at(i).id;
    const std::int32_t right = at(at(i).next).id;
    const Found found = merger_.find(left, right);
    if (found.rank != kNever) candidates_.push({found.rank, i, left, right, found.result});
  }
  void join(const Candidate& top) {
    Symbol& symbol = at(top.at);
    Symbol& swallowed = at(symbol.next);
    symbol.id = top.result;
    symbol.next = swallowed.next;
    swallowed.id = -1;
    if (symbol.next >= 0) at(symbol.next).previous = top.at;
    if (symbol.previous >= 0) look(symbol.previous);
    if (symbol.next >= 0) look(top.at);
  }

  const Merger& merger_;
  std::vector<Symbol> symbols_;
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> candidates_;
};

void Merger::append(std::string_view word, std::vector<std::int32_t>& ids) const {
  if (word.empty()) return;
  if (word.size() <= kShortWord) {
    Scan scan(*this, word);
    scan.run();
    ids.insert(ids.end(), scan.begin(), scan.end());
  } else {
    Queue queue(*this, word);
    queue.run();
    queue.append(ids);
  }
}

}  // namespace moe::data::bpe
