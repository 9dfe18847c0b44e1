#include "config/scalar.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <system_error>
#include <vector>

#include "base/check.h"
#include "base/format.h"

namespace moe::config {
namespace {

constexpr std::int64_t kNoMin = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kNoMax = std::numeric_limits<std::int64_t>::max();

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::size_t count_digits(std::string_view text) {
  return static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_digit) -
                                  text.begin());
}

/// Removes -?(0|[1-9][0-9]*) from the front.
bool take_integer(std::string_view& text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  const std::size_t digits = count_digits(text);
  if (digits == 0 || (digits > 1 && text[0] == '0')) return false;
  text.remove_prefix(digits);
  return true;
}

bool is_integer(std::string_view text) {
  return take_integer(text) && text.empty();
}

bool is_number(std::string_view text) {
  if (!take_integer(text)) return false;
  if (text.starts_with('.')) {
    const std::size_t digits = count_digits(text.substr(1));
    if (digits == 0) return false;
    text.remove_prefix(1 + digits);
  }
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
    const std::size_t digits = count_digits(text);
    if (digits == 0) return false;
    text.remove_prefix(digits);
  }
  return text.empty();
}

std::optional<double> to_double(std::string_view text) {
  double value = 0.0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc() || !std::isfinite(value)) return std::nullopt;
  return value;
}

/// What the writer of "+5", "010", "1_000", ".5", "5." probably meant; empty if that is no number.
std::string repaired(std::string_view text) {
  std::string number;
  std::copy_if(text.begin(), text.end(), std::back_inserter(number),
               [](char c) { return c != '_'; });
  std::string sign;
  if (number.starts_with('-') || number.starts_with('+')) {
    if (number[0] == '-') sign = "-";
    number.erase(0, 1);
  }
  const std::size_t zeros = std::min(number.find_first_not_of('0'), number.size());
  number.erase(0, zeros);
  if (number.empty() || !is_digit(number[0])) number.insert(0, "0");
  const std::size_t dot = number.find('.');
  if (dot != std::string::npos && (dot + 1 == number.size() || !is_digit(number[dot + 1]))) {
    number.insert(dot + 1, "0");
  }
  number.insert(0, sign);
  const bool had_digit = std::any_of(text.begin(), text.end(), is_digit);
  return had_digit && is_number(number) ? number : std::string();
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::string hint_for_other_notation(std::string_view text) {
  if (looks_null(text)) return "remove the line to keep the default";
  if (text.starts_with("0x") || text.starts_with("0o")) return "write it in decimal";
  if (!text.empty() && is_digit(text[0])) {
    const std::string_view unit = text.substr(count_digits(text));
    if (unit.size() == 1 &&
        std::string_view("kKmMbBgGtT").find(unit[0]) != std::string_view::npos) {
      return "write out all digits";
    }
    if (unit.starts_with(',')) return "write it without commas, with '.' before a fraction";
  }
  return "";
}

bool names_non_finite(std::string_view text) {
  std::string word = lower_case(text);
  if (word.starts_with('-') || word.starts_with('+')) word.erase(0, 1);
  if (word.starts_with('.')) word.erase(0, 1);
  return word == "inf" || word == "infinity" || word == "nan";
}

}  // namespace

bool looks_null(std::string_view text) {
  return text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL";
}

Parsed<std::int64_t> parse_integer(std::string_view text) {
  if (is_integer(text)) {
    std::int64_t value = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
    if (result.ec == std::errc()) return {value, "", ""};
    return {std::nullopt, "the integer does not fit in 64 bits", ""};
  }
  const std::string meant = repaired(text);
  const std::optional<double> number = meant.empty() ? std::nullopt : to_double(meant);
  constexpr double kExact = 9007199254740992.0;
  if (number && std::abs(*number) <= kExact && *number == std::trunc(*number)) {
    return {std::nullopt, "expected an integer",
            format("write {}", static_cast<std::int64_t>(*number))};
  }
  return {std::nullopt, "expected an integer", number ? "" : hint_for_other_notation(text)};
}

Parsed<double> parse_number(std::string_view text) {
  if (is_number(text)) {
    if (const auto value = to_double(text)) return {value, "", ""};
    return {std::nullopt, "the number is outside the range of a double", ""};
  }
  if (names_non_finite(text)) return {std::nullopt, "expected a finite number", ""};
  const std::string meant = repaired(text);
  if (!meant.empty()) return {std::nullopt, "expected a number", format("write {}", meant)};
  return {std::nullopt, "expected a number", hint_for_other_notation(text)};
}

Parsed<bool> parse_boolean(std::string_view text) {
  if (text == "true") return {true, "", ""};
  if (text == "false") return {false, "", ""};
  const std::string word = lower_case(text);
  for (const char* yes : {"true", "yes", "on", "y", "1"}) {
    if (word == yes) return {std::nullopt, "expected true or false", "write true"};
  }
  for (const char* no : {"false", "no", "off", "n", "0"}) {
    if (word == no) return {std::nullopt, "expected true or false", "write false"};
  }
  return {std::nullopt, "expected true or false",
          looks_null(text) ? "remove the line to keep the default" : ""};
}

bool contains(const IntegerRange& range, std::int64_t value) {
  return value >= range.min && value <= range.max;
}

bool contains(const NumberRange& range, double value) {
  return value >= range.min && value <= range.max && value > range.above && value < range.below;
}

std::string range_text(const IntegerRange& range) {
  if (range.min == kNoMin && range.max == kNoMax) return "";
  if (range.max == kNoMax) return format(">= {}", range.min);
  if (range.min == kNoMin) return format("<= {}", range.max);
  return format("{} to {}", range.min, range.max);
}

std::string range_text(const NumberRange& range) {
  std::vector<std::string> parts;
  const auto add = [&parts](const char* comparison, double bound) {
    if (std::isfinite(bound)) parts.push_back(format("{} {}", comparison, exact_number(bound)));
  };
  add(">=", range.min);
  add(">", range.above);
  add("<=", range.max);
  add("<", range.below);
  return format("{}", fmt::join(parts, " and "));
}

std::string number_text(double value) {
  MOE_CHECK(std::isfinite(value));
  std::string text = exact_number(value);
  if (text.find('.') != std::string::npos) return text;
  // YAML 1.1 readers want the dot: 1e-04 is text to them.
  const std::size_t exponent = std::min(text.find('e'), text.size());
  return text.insert(exponent, ".0");
}

namespace {

/// Words that some YAML reader takes for a boolean, null or number.
bool is_ambiguous_word(std::string_view text) {
  static constexpr std::array<std::string_view, 12> kWords{
      "true", "false", "yes", "no", "on", "off", "y", "n", "null", "inf", "nan", "infinity"};
  return std::find(kWords.begin(), kWords.end(), lower_case(text)) != kWords.end();
}

bool is_safe_plain(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto safe = [&letter](char c) {
    return letter(c) || is_digit(c) || c == '_' || c == '/' || c == '.' || c == '-' || c == '+';
  };
  if (text.empty() || is_ambiguous_word(text)) return false;
  const bool starts_well = letter(text[0]) || text[0] == '_' || text[0] == '/' ||
                           text.starts_with("./") || text.starts_with("../");
  return starts_well && std::all_of(text.begin(), text.end(), safe);
}

/// Characters that a reader may fold, drop or refuse when they stand raw: controls and Unicode's
/// line ends and byte order mark.
std::string escape_of(std::string_view rest, std::size_t& length) {
  const auto byte = static_cast<unsigned char>(rest[0]);
  length = 1;
  if (byte == '"') return "\\\"";
  if (byte == '\\') return "\\\\";
  if (byte == '\n') return "\\n";
  if (byte == '\t') return "\\t";
  if (byte < 0x20 || byte == 0x7F) return format("\\x{:02x}", byte);
  if (byte == 0xC2 && rest.size() > 1 && static_cast<unsigned char>(rest[1]) < 0xA0) {
    length = 2;
    return format("\\x{:02x}", static_cast<unsigned char>(rest[1]));
  }
  length = 3;
  if (rest.starts_with("\xE2\x80\xA8")) return "\\u2028";
  if (rest.starts_with("\xE2\x80\xA9")) return "\\u2029";
  if (rest.starts_with("\xEF\xBB\xBF")) return "\\ufeff";
  length = 1;
  return std::string(1, rest[0]);
}

}  // namespace

std::string text_scalar(std::string_view text) {
  if (is_safe_plain(text)) return std::string(text);
  std::string quoted_text = "\"";
  while (!text.empty()) {
    std::size_t length = 1;
    quoted_text += escape_of(text, length);
    text.remove_prefix(length);
  }
  return quoted_text + '"';
}

}  // namespace moe::config
