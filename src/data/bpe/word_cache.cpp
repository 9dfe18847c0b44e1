#include "data/bpe/word_cache.h"

#include <cstring>
#include <memory>
#include <new>

namespace moe::data::bpe {
namespace {

constexpr std::size_t kLongestWord = 64;
constexpr std::size_t kMostTokens = 16;
constexpr std::size_t kSlots = std::size_t{1} << 19;
/// A word stands in one of so many slots; more would make every miss slow.
constexpr std::size_t kProbes = 4;

std::uint64_t load(const char* from, std::size_t size) {
  std::uint64_t value = 0;
  std::memcpy(&value, from, size);
  return value;
}

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a ^ 0x9E3779B97F4A7C15U) * (b ^ 0xE7037ED1A0B428DBU);
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::uint64_t hash_of(std::string_view word) {
  std::uint64_t hash = word.size();
  const char* at = word.data();
  std::size_t left = word.size();
  for (; left > 8; at += 8, left -= 8) hash = mix(hash, load(at, 8));
  return mix(hash, load(at, left));
}

}  // namespace

/// Followed by the tokens, then by the word.
struct WordCache::Entry {
  std::uint64_t hash;
  std::uint32_t size;   // of the word, in bytes
  std::uint32_t count;  // of the tokens

  static Entry* make(std::uint64_t hash, std::string_view word, std::span<const std::int32_t> ids) {
    void* memory = ::operator new(sizeof(Entry) + ids.size_bytes() + word.size());
    auto* entry = new (memory) Entry{hash, static_cast<std::uint32_t>(word.size()),
                                     static_cast<std::uint32_t>(ids.size())};
    auto* bytes = reinterpret_cast<char*>(entry + 1);
    std::memcpy(bytes, ids.data(), ids.size_bytes());
    std::memcpy(bytes + ids.size_bytes(), word.data(), word.size());
    return entry;
  }
  const std::int32_t* ids() const { return reinterpret_cast<const std::int32_t*>(this + 1); }
  bool holds(std::uint64_t wanted, std::string_view word) const {
    return hash == wanted && size == word.size() &&
           std::memcmp(ids() + count, word.data(), word.size()) == 0;
  }
};

WordCache::WordCache() : slots_(kSlots) {}

WordCache::~WordCache() {
  for (const auto& slot : slots_) {
    ::operator delete(const_cast<Entry*>(slot.load(std::memory_order_relaxed)));
  }
}

bool WordCache::append(std::string_view word, std::vector<std::int32_t>& ids) const {
  if (word.size() > kLongestWord) return false;
  const std::uint64_t hash = hash_of(word);
  for (std::size_t i = 0; i < kProbes; ++i) {
    const Entry* entry = slots_[(hash + i) % kSlots].load(std::memory_order_acquire);
    if (entry == nullptr) return false;
    if (entry->holds(hash, word)) {
      ids.insert(ids.end(), entry->ids(), entry->ids() + entry->count);
      return true;
    }
  }
  return false;
}

void WordCache::insert(std::string_view word, std::span<const std::int32_t> ids) {
  if (word.size() > kLongestWord || ids.size() > kMostTokens) return;
  const std::uint64_t hash = hash_of(word);
  for (std::size_t i = 0; i < kProbes; ++i) {
    auto& slot = slots_[(hash + i) % kSlots];
    const Entry* seen = slot.load(std::memory_order_acquire);
    if (seen != nullptr && seen->holds(hash, word)) return;
    if (seen != nullptr) continue;
    Entry* fresh = Entry::make(hash, word, ids);
    if (slot.compare_exchange_strong(seen, fresh, std::memory_order_acq_rel)) return;
    ::operator delete(fresh);  // another thread was faster
  }
}

}  // namespace moe::data::bpe
