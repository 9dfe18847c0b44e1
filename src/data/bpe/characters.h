/// Unicode properties of single characters, as tokenizers ask for them.
#pragma once

#include <vector>

namespace moe::data::bpe {

/// The property White_Space.
bool is_white_space(char32_t code);

/// Part of a word (\w of UTS 18): alphabetic, mark, decimal digit, connector or joiner.
bool is_word_character(char32_t code);

/// What patterns are shown instead of `code`: an older character of the same general category whose
/// UTF-8 has the same size, where the library of regular expressions does not know `code` or thinks
/// otherwise of it; else `code` itself.
char32_t stand_in_for(char32_t code);

/// All characters for which `stand_in_for` gives another one.
std::vector<char32_t> characters_with_stand_ins();

}  // namespace moe::data::bpe
