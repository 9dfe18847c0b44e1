/// The tokens of words met before, shared by all threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace moe::data::bpe {

/// Natural text repeats its words. Nothing is ever replaced, so that finding takes no lock.
/// @invariant never more than about 90 MB, and a third of that for natural text
/// @thread any
class WordCache {
 public:
  WordCache();
  ~WordCache();
  WordCache(const WordCache&) = delete;
  WordCache& operator=(const WordCache&) = delete;

  /// Appends the tokens of a known word.
  bool append(std::string_view word, std::vector<std::int32_t>& ids) const;
  /// Remembers a word where there is room; long ones, of many tokens, are not kept.
  void insert(std::string_view word, std::span<const std::int32_t> ids);

 private:
  struct Entry;
  std::vector<std::atomic<const Entry*>> slots_;
};

}  // namespace moe::data::bpe
