/// Tokens that stand for whole strings and are found before anything else: special tokens and others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace moe::data::bpe {

struct AddedToken {
  std::int32_t id = 0;
  std::string content;
  bool single_word = false;  ///< only where no word character precedes or follows
  bool lstrip = false;       ///< swallows the white space before it
  bool rstrip = false;       ///< swallows the white space after it
  bool normalized = false;   ///< looked for in the normalised text
  bool special = false;
};

/// A part of a text: one added token, or text between them.
struct Segment {
  std::string_view text;
  std::int32_t id = -1;  ///< of the token; -1: text
};

/// @thread any, after construction
class AddedTokens {
 public:
  AddedTokens() = default;
  /// `tokens` have different contents, none empty.
  explicit AddedTokens(std::vector<AddedToken> tokens);
  bool empty() const { return tokens_.empty(); }

  /// Cuts `text`: from left to right, the longest token where several begin. Appends the segments.
  void cut(std::string_view text, std::vector<Segment>& segments) const;

 private:
  const AddedToken* longest_at(std::string_view text, std::size_t at) const;

  std::vector<AddedToken> tokens_;  // in the order of their contents
  std::vector<bool> begins_;        // by first byte
};

}  // namespace moe::data::bpe
