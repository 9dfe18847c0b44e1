#include "data/bpe/pre_tokenizer.h"

#include <optional>
#include <string>

#include "data/utf8.h"

namespace moe::data::bpe {
namespace {

/// A match, or what lies between two.
struct Part {
  std::size_t begin, end;
  bool match;
};

/// Calls `each` with the matches and what lies between them; together they are the text.
template <class Each>
void for_each_part(const Pattern& pattern, std::string_view text, Pattern::Scratch& scratch,
                   const Each& each) {
  std::size_t done = 0;
  std::optional<std::size_t> last_end;  // of a match
  for (std::size_t from = 0; from <= text.size();) {
    const auto match = pattern.find(text, from, scratch);
    if (!match) break;
    if (match->begin == match->end && last_end == match->end) {
      // An empty match right after another one: look again one character later.
      from += from < text.size() ? utf8_at(text, from).size : 1;
      continue;
    }
    if (done < match->begin) each(Part{done, match->begin, false});
    if (match->begin < match->end) each(Part{match->begin, match->end, true});
    done = from = match->end;
    last_end = match->end;
  }
  if (done < text.size()) each(Part{done, text.size(), false});
}

bool joins_previous(SplitBehavior behavior, const Part& previous, const Part& part) {
  switch (behavior) {
    case SplitBehavior::Isolated: return false;
    case SplitBehavior::MergedWithPrevious: return part.match && !previous.match;
    case SplitBehavior::MergedWithNext: return previous.match && !part.match;
    case SplitBehavior::Contiguous: return part.match == previous.match;
  }
  return false;
}

void split_piece(const Split& split, std::string_view text, Word piece, Pattern::Scratch& scratch,
                 std::vector<Word>& out) {
  std::optional<Part> previous;
  for_each_part(split.pattern, text.substr(piece.begin, piece.end - piece.begin), scratch, [&](Part part) {
    part.match = part.match != split.invert;
    const Word word{piece.begin + part.begin, piece.begin + part.end};
    if (previous && joins_previous(split.behavior, *previous, part)) {
      out.back().end = word.end;
    } else {
      out.push_back(word);
    }
    previous = part;
  });
}

/// A piece with a space before it that the text does not have: cut as the library sees it.
void split_spaced(const Split& split, std::string_view text, Word piece, Pattern::Scratch& scratch,
                  std::vector<Word>& out) {
  const std::string spaced = " " + std::string(text.substr(piece.begin, piece.end - piece.begin));
  const std::size_t before = out.size();
  split_piece(split, spaced, {0, spaced.size()}, scratch, out);
  for (std::size_t i = before; i < out.size(); ++i) {
    out[i].spaced = out[i].begin == 0;
    out[i].begin = piece.begin + (out[i].spaced ? 0 : out[i].begin - 1);
    out[i].end = piece.begin + out[i].end - 1;
  }
}

void put_spaces(std::string_view text, std::vector<Word>& words) {
  for (Word& word : words) word.spaced = text[word.begin] != ' ';
}

}  // namespace

std::vector<Word> PreTokenizer::words(std::string_view text, Pattern::Scratch& scratch) const {
  std::vector<Word> pieces{{0, text.size()}};
  std::vector<Word> next;
  for (std::size_t i = 0; i <= steps_.splits.size(); ++i) {
    if (steps_.prefix_space && i == steps_.before_prefix) put_spaces(text, pieces);
    if (i == steps_.splits.size()) break;
    const Split& split = steps_.splits[i];
    next.clear();
    next.reserve(text.size() / 4);
    for (const Word& piece : pieces) {
      (piece.spaced ? split_spaced : split_piece)(split, text, piece, scratch, next);
    }
    pieces.swap(next);
  }
  return pieces;
}

}  // namespace moe::data::bpe
