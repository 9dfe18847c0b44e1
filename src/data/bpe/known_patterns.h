/// Where texts may be cut although a pattern still has to split them.
#pragma once

#include <string_view>

namespace moe::data::bpe {

/// What is known of one splitting step. Unknown patterns get all false: then documents are encoded whole.
struct CutFacts {
  /// No match holds a space or a line end beside another character, so that no cut below is inside one.
  bool narrow = false;
  /// Every character is in a match.
  bool covers = false;
  /// A piece ends before each space that follows something else than white space.
  bool before_space = false;
  /// The same before line ends.
  bool before_line_end = false;
  /// A piece ends after each line end that a letter or digit follows, and the text up to there alone is split the same.
  bool after_line_end = false;
};

/// `regex`: exactly as in tokenizer.json.
CutFacts cut_facts_of(std::string_view regex);

/// The pattern that ByteLevel has built in (GPT-2's).
std::string_view byte_level_pattern();

}  // namespace moe::data::bpe
