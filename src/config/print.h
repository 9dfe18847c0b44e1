/// Writes typed config sections as YAML that decodes to exactly the same values.
#pragma once

#include <functional>
#include <string>

#include "config/decode.h"

namespace moe::config {

/// Block YAML, one key a line, in the order of the fields; short lists stand in brackets.
/// @invariant decoding the result gives the same values, bit for bit; other YAML readers see the
/// same types (numbers keep a point, doubtful texts stand in quotes)
std::string print_yaml(const std::function<void(Fields&)>& visit);

template <Section T>
std::string print_yaml(T value) {
  return print_yaml([&value](Fields& fields) { value.fields(fields); });
}

}  // namespace moe::config
