/// Cuts text into the words that BPE encodes independently of each other.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "data/bpe/known_patterns.h"
#include "data/bpe/pattern.h"

namespace moe::data::bpe {

/// What becomes of the matches of a pattern; the text between them is always a piece of its own, or part of one.
enum class SplitBehavior {
  Isolated,            ///< a match is a piece
  MergedWithPrevious,  ///< a match ends the piece before it
  MergedWithNext,      ///< a match begins the piece after it
  Contiguous,          ///< matches that follow each other are one piece
};

/// One step of cutting.
struct Split {
  Pattern pattern;
  SplitBehavior behavior = SplitBehavior::Isolated;
  bool invert = false;  ///< what does not match takes the part of the matches
  CutFacts facts;       ///< all false unless Isolated
};

/// A word is [begin, end) of the text, after a space that is not in the text if `spaced`.
struct Word {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool spaced = false;
};

/// Steps that cut the pieces of the step before, and ByteLevel as the last one.
/// @thread any
class PreTokenizer {
 public:
  struct Steps {
    std::vector<Split> splits;  ///< ByteLevel's own pattern is the last one where it has one
    /// ByteLevel puts a space before pieces that begin with something else.
    bool prefix_space = false;
    /// How many of the splits come before that.
    std::size_t before_prefix = 0;
  };
  explicit PreTokenizer(Steps steps) : steps_(std::move(steps)) {}
  const Steps& steps() const { return steps_; }

  /// The words of `text`, which is valid UTF-8, from left to right; together they are the text.
  /// @throws DataError when a pattern takes too long
  std::vector<Word> words(std::string_view text, Pattern::Scratch& scratch) const;

 private:
  Steps steps_;
};

}  // namespace moe::data::bpe
