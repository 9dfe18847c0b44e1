/// What a plain scalar means: stricter than YAML, so that every YAML reader agrees with us.
///
/// integer  -?(0|[1-9][0-9]*), 64 bits
/// number   an integer with optional fraction and exponent as in JSON: 4096.0, 1e-4, 0.5;
///          not .5, 5., +1, 1_000, 010, 0x10, .inf, .nan
/// boolean  true, false
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/fields.h"

namespace moe::config {

/// A value, or why there is none: `problem` ("expected an integer") and `hint` ("write 1000", may
/// be empty).
template <class T>
struct Parsed {
  std::optional<T> value;
  std::string problem;
  std::string hint;
};

Parsed<std::int64_t> parse_integer(std::string_view text);
Parsed<double> parse_number(std::string_view text);
Parsed<bool> parse_boolean(std::string_view text);

/// True for plain text that stands for "no value" in some YAML reader: empty, ~, null, Null, NULL.
bool looks_null(std::string_view text);

bool contains(const IntegerRange& range, std::int64_t value);
bool contains(const NumberRange& range, double value);

/// ">= 1", "1 to 8", "> 0 and < 1"; empty if everything is allowed.
std::string range_text(const IntegerRange& range);
std::string range_text(const NumberRange& range);

/// The shortest number that reads back exactly and is recognisable as one: "4096.0", "1.0e-04".
/// @invariant `value` is finite
std::string number_text(double value);

/// `text` as a YAML scalar on one line: plain where no reader could take it for anything else, in
/// double quotes otherwise.
std::string text_scalar(std::string_view text);

}  // namespace moe::config
