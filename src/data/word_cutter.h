/// Cuts text into words that a subword model encodes independently of each other.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>

namespace moe::data {

/// SentencePiece's stand-in for a space inside pieces (U+2581).
inline constexpr char32_t kSpaceMark = 0x2581;

/// Two neighbours can share a token only if some piece holds them side by side. Everywhere else the
/// best segmentation of a text is that of its parts, so cutting there changes no id; it makes the
/// parts cacheable and lets threads and streams work on them.
/// @thread any, after construction
class WordCutter {
 public:
  /// Words never grow past this, whatever the text: work stays linear in it. @unit bytes
  static constexpr std::size_t kLongestWord = 16384;

  /// `pieces` as UTF-8, where U+2581 stands for a space.
  explicit WordCutter(std::span<const std::string> pieces);

  struct Word {
    std::size_t size = 0;
    bool raw = false;  ///< not for the model: an invalid byte, or U+2581, which it takes for a space
  };
  /// The word that starts at `at` < text.size().
  Word next(std::string_view text, std::size_t at) const;

  /// See Tokenizer::safe_cut.
  std::size_t safe_cut(std::string_view text) const;

 private:
  bool may_join(char32_t left, char32_t right) const;
  bool cuts_before_ascii(std::string_view text, std::size_t at) const;

  static constexpr std::size_t kAscii = 128;
  std::bitset<kAscii * kAscii> ascii_pairs_;
  std::unordered_set<std::uint64_t> other_pairs_;
};

}  // namespace moe::data
