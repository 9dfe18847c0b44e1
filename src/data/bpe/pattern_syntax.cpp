#include "data/bpe/pattern_syntax.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/format.h"

namespace moe::data::bpe {
namespace {

constexpr int kDeepest = 64;  // groups and classes inside each other

/// Oniguruma's \w, as what stands inside a class.
constexpr std::string_view kWord =
    "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{1F149}\\x{1F150}-\\x{1F169}"
    "\\x{1F170}-\\x{1F189}";

constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kPosixClasses{{
    {"alnum", "\\p{Alphabetic}\\p{Nd}"},
    {"alpha", "\\p{Alphabetic}"},
    {"ascii", "\\x00-\\x7f"},
    {"blank", "\\p{Zs}\\t"},
    {"cntrl", "\\p{Cc}"},
    {"digit", "\\d"},
    {"lower", "\\p{Lowercase}"},
    {"punct", "\\p{P}\\p{S}"},
    {"space", "\\s"},
    {"upper", "\\p{Uppercase}"},
    {"word", "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}"},
    {"xdigit", "0-9A-Fa-f"},
}};

/// Properties by their long names. All other long names are scripts.
constexpr std::array<std::pair<std::string_view, std::string_view>, 11> kProperties{{
    {"Letter", "L"},       {"Mark", "M"},      {"Number", "N"},
    {"Punctuation", "P"},  {"Symbol", "S"},    {"Separator", "Z"},
    {"Other", "C"},        {"Any", "Any"},     {"Alphabetic", "Alphabetic"},
    {"Lowercase", "Lowercase"},                {"Uppercase", "Uppercase"},
}};

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

/// A character class: `items` as PCRE2 writes them, and classes that are part of it.
struct CharacterClass {
  bool negated = false;
  std::string items;
  std::vector<std::string> nested;  // patterns that consume one character

  std::string plain() const {
    std::string pattern = "(?:";
    if (!items.empty()) pattern += "[" + items + "]";
    for (const std::string& part : nested) {
      if (pattern.size() > 3) pattern += '|';
      pattern += part;
    }
    return pattern + ")";
  }
};

class Translator {
 public:
  Translator(std::string_view pattern, const std::string& where) : pattern_(pattern), where_(where) {}

  std::string run() {
    alternatives(0);
    if (!done()) fail("a pattern whose parentheses fit");
    return std::move(out_);
  }

 private:
  bool done() const { return at_ >= pattern_.size(); }
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < pattern_.size() ? pattern_[at_ + ahead] : '\0';
  }
  bool take(std::string_view text) {
    if (!pattern_.substr(at_).starts_with(text)) return false;
    at_ += text.size();
    return true;
  }
  [[noreturn]] void fail(const std::string& expected) const {
    throw DataError(format("{}: expected {}, found \"{}\" (at byte {})", where_, expected,
                           printable(pattern_.substr(std::min(at_, pattern_.size()), 12)), at_));
  }
  static std::string printable(std::string_view text) {
    std::string line;
    for (const char c : text) line += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
    return line;
  }
  void enter(int depth) const {
    if (depth > kDeepest) fail(format("at most {} levels of parentheses", kDeepest));
  }

  void alternatives(int depth) {
    enter(depth);
    while (!done() && peek() != ')') {
      if (take("|")) {
        out_ += '|';
        continue;
      }
      const std::size_t begin = out_.size();
      if (atom(depth)) quantifiers(begin);
    }
  }

  /// False for what cannot be repeated.
  bool atom(int depth) {
    const char c = peek();
    if (c == '(') return group(depth);
    if (c == '[') {
      ++at_;
      out_ += character_class(depth + 1);
      return true;
    }
    if (c == '\\') {
      out_ += escape();
      return true;
    }
    if (c == '*' || c == '+' || c == '?') fail("something to repeat");
    out_ += character();
    return c != '^';
  }

  bool group(int depth) {
    for (const std::string_view opening : {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>"}) {
      if (take(opening)) return rest_of_group(opening, depth);
    }
    if (take("(?#")) {
      while (!done() && peek() != ')') ++at_;
      if (!take(")")) fail("the end of a comment");
      return false;
    }
    if (pattern_.substr(at_).starts_with("(?")) return options(depth);
    take("(");
    return rest_of_group("(?:", depth);
  }
  bool rest_of_group(std::string_view opening, int depth) {
    out_ += opening;
    alternatives(depth + 1);
    if (!take(")")) fail("the end of a group");
    out_ += ')';
    return true;
  }
  /// (?i:...) and, at the start, (?i). Ruby's m is what others call s.
  bool options(int depth) {
    const bool at_start = at_ == 0;
    at_ += 2;
    std::string flags;
    for (; peek() == 'i' || peek() == 'm' || peek() == '-'; ++at_) flags += peek() == 'm' ? 's' : peek();
    if (flags.empty()) fail("(?:, (?=, (?!, (?<=, (?<!, (?>, or the options i and m");
    if (take(":")) return rest_of_group("(?" + flags + ":", depth);
    if (!at_start || !take(")")) fail("options with a colon");
    out_ += "(?" + flags + ")";
    return false;
  }

  /// What follows the atom that starts at `begin` of the result.
  void quantifiers(std::size_t begin) {
    for (bool first = true; quantifier(begin, first); first = false) {
    }
  }
  bool quantifier(std::size_t begin, bool first) {
    const std::string count = repetition();
    if (count.empty()) return false;
    if (!first) wrap(begin);  // a quantifier repeats all that precedes it
    out_ += count;
    const bool interval = count.back() == '}';
    if (take("?")) {
      out_ += '?';
    } else if (!interval && take("+")) {
      out_ += '+';
    }
    return true;
  }
  void wrap(std::size_t begin) {
    out_.insert(begin, "(?:");
    out_ += ')';
  }
  /// "*", "+", "?", "{n,m}", or nothing.
  std::string repetition() {
    const char c = peek();
    if (c == '*' || c == '+' || c == '?') {
      ++at_;
      return {c};
    }
    if (c != '{') return {};
    std::size_t at = at_ + 1;
    std::string low;
    std::string high;
    while (at < pattern_.size() && is_digit(pattern_[at])) low += pattern_[at++];
    const bool comma = at < pattern_.size() && pattern_[at] == ',';
    if (comma) ++at;
    while (comma && at < pattern_.size() && is_digit(pattern_[at])) high += pattern_[at++];
    const bool closed = at < pattern_.size() && pattern_[at] == '}';
    if (!closed || (low.empty() && high.empty())) return {};  // a brace that means itself
    at_ = at + 1;
    if (low.empty()) low = "0";
    return "{" + low + (comma ? "," + high : "") + "}";
  }

  /// An escape outside of classes.
  std::string escape() {
    const char c = peek(1);
    switch (c) {
      case 'b': case 'B': return word_boundary(c == 'b');
      case 'A': case 'z': case 'Z': case 'G': at_ += 2; return {'\\', c};
      case 'R': case 'X': at_ += 2; return {'\\', c};
      case 'w': case 'h': return "[" + class_escape() + "]";
      case 'W': case 'H': return negated_escape();
      default: return class_escape();
    }
  }
  std::string word_boundary(bool inside) {
    at_ += 2;
    const std::string word = "[" + std::string(kWord) + "]";
    const std::string left = "(?<=" + word + ")";
    const std::string no_left = "(?<!" + word + ")";
    const std::string right = "(?=" + word + ")";
    const std::string no_right = "(?!" + word + ")";
    return inside ? "(?:" + left + no_right + "|" + no_left + right + ")"
                  : "(?:" + left + right + "|" + no_left + no_right + ")";
  }
  /// \W and \H.
  std::string negated_escape() {
    const char c = peek(1);
    at_ += 2;
    return "[^" + (c == 'W' ? std::string(kWord) : std::string("0-9A-Fa-f")) + "]";
  }

  /// An escape that may stand inside a class.
  std::string class_escape() {
    const char c = peek(1);
    if (at_ + 1 >= pattern_.size()) fail("a character after the backslash");
    if (c == 'p' || c == 'P') return property();
    if (c == 'u' || c == 'x') return code_point();
    at_ += 2;
    switch (c) {
      case 's': case 'S': case 'd': case 'D':
      case 'n': case 'r': case 't': case 'f': case 'a': case 'e': return {'\\', c};
      case 'w': return std::string(kWord);
      case 'h': return "0-9A-Fa-f";
      case 'v': return "\\x0b";
      case '0': return "\\x00";
      default: break;
    }
    if (is_letter(c) || is_digit(c)) {
      at_ -= 2;
      fail("an escape of a tokenizer's pattern");
    }
    if ((static_cast<unsigned char>(c) & 0x80U) == 0) return {'\\', c};
    --at_;
    return character();
  }
  /// All bytes of a character that means itself.
  std::string character() {
    std::string bytes(1, pattern_[at_++]);
    while ((static_cast<unsigned char>(peek()) & 0xC0U) == 0x80U) bytes += pattern_[at_++];
    return bytes;
  }
  std::string property() {
    const bool negated = peek(1) == 'P';
    at_ += 2;
    if (!take("{")) fail("\\p{NAME}");
    const bool inverted = take("^");
    std::string name;
    for (; is_letter(peek()) || peek() == '_' || is_digit(peek()); ++at_) name += peek();
    if (name.empty() || !take("}")) fail("\\p{NAME}");
    bool known = name.size() <= 2;  // a general category
    for (const auto& [spelled, meant] : kProperties) {
      if (name != spelled) continue;
      name = meant;
      known = true;
    }
    if (!known) name = "sc:" + name;  // a script, without its "extensions"
    return std::string(negated != inverted ? "\\P{" : "\\p{") + name + "}";
  }
  std::string code_point() {
    const bool short_form = peek(1) == 'u';
    at_ += 2;
    const bool braces = !short_form && take("{");
    std::string digits;
    const std::size_t most = short_form ? 4 : braces ? 8 : 2;
    for (; digits.size() < most && is_hex(peek()); ++at_) digits += peek();
    if (digits.empty() || (short_form && digits.size() < 4) || (braces && !take("}"))) {
      fail("hexadecimal digits");
    }
    if (!short_form && !braces && digits.size() == 2 && digits[0] >= '8') {
      fail("\\x{...} for characters past 7F");
    }
    return "\\x{" + digits + "}";
  }

  /// After the bracket. A pattern that consumes one character.
  std::string character_class(int depth) {
    enter(depth);
    const bool negated = take("^");
    std::vector<CharacterClass> operands(1);  // between &&
    while (peek() != ']') {
      if (done()) fail("the end of a character class");
      if (take("&&")) {
        operands.emplace_back();
      } else {
        item(operands.back(), depth);
      }
    }
    ++at_;
    return joined(negated, operands);
  }
  std::string joined(bool negated, const std::vector<CharacterClass>& operands) const {
    for (const CharacterClass& operand : operands) {
      if (operand.items.empty() && operand.nested.empty()) fail("a character in a class");
    }
    const CharacterClass& last = operands.back();
    if (operands.size() == 1 && last.nested.empty()) {
      return (negated ? "[^" : "[") + last.items + "]";
    }
    std::string pattern;
    for (std::size_t i = 0; i + 1 < operands.size(); ++i) pattern += "(?=" + operands[i].plain() + ")";
    pattern += last.plain();
    return negated ? "(?:(?!" + pattern + ")[\\s\\S])" : "(?:" + pattern + ")";
  }

  void item(CharacterClass& into, int depth) {
    if (pattern_.substr(at_).starts_with("[:")) {
      into.items += posix_class(into);
    } else if (peek() == '[') {
      ++at_;
      into.nested.push_back(character_class(depth + 1));
    } else if (peek() == '\\' && (peek(1) == 'W' || peek(1) == 'H')) {
      into.nested.push_back(negated_escape());
    } else if (peek() == '\\' && peek(1) == 'b') {
      at_ += 2;
      into.items += "\\x08";
    } else if (peek() == '\\') {
      into.items += class_escape();
    } else {
      if (peek() == '^') into.items += '\\';
      into.items += pattern_[at_++];
    }
  }
  /// [:name:] is part of the class, [:^name:] a class of its own.
  std::string posix_class(CharacterClass& into) {
    const std::size_t end = pattern_.find(":]", at_);
    if (end == std::string_view::npos) fail("the end of [:class:]");
    std::string_view name = pattern_.substr(at_ + 2, end - at_ - 2);
    const bool negated = name.starts_with('^');
    if (negated) name.remove_prefix(1);
    std::string items;
    for (const auto& [known, content] : kPosixClasses) {
      if (known == name) items = content;
    }
    if (items.empty()) fail("a POSIX class");
    at_ = end + 2;
    if (!negated) return items;
    into.nested.push_back("[^" + items + "]");
    return {};
  }

  std::string_view pattern_;
  const std::string& where_;
  std::size_t at_ = 0;
  std::string out_;
};

}  // namespace

std::string to_pcre2(std::string_view pattern, const std::string& where) {
  return Translator(pattern, where).run();
}

}  // namespace moe::data::bpe
