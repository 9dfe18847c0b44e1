/// Generates the reference of all config keys (docs/configuration.md) from the typed sections.
#pragma once

#include <functional>
#include <string>

#include "config/decode.h"

namespace moe::config {

/// One Markdown table a section: key, type and allowed values, default, what it does. The values
/// that the visit holds are the defaults shown; lists show the fields of one item.
std::string reference_markdown(const std::function<void(Fields&)>& visit);

template <Section T>
std::string reference_markdown() {
  T value;
  return reference_markdown([&value](Fields& fields) { value.fields(fields); });
}

}  // namespace moe::config
