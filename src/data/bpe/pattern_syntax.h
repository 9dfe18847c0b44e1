/// Oniguruma's regular expressions (Ruby syntax, as tokenizer.json holds them) in PCRE2's words.
#pragma once

#include <string>
#include <string_view>

namespace moe::data::bpe {

/// A pattern that matches the same under PCRE2_UTF, PCRE2_UCP and PCRE2_MULTILINE.
/// Where the two languages differ: nested classes and `&&`, \w, \h, \v, \b, POSIX classes, scripts, `{,n}`,
/// `{n,m}+` (repeats, is not possessive), (?m).
/// @throws DataError(where, position, feature): back references, named groups, conditionals and other things
///   that no tokenizer needs
std::string to_pcre2(std::string_view pattern, const std::string& where);

}  // namespace moe::data::bpe
