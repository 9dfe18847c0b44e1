/// Fills typed config sections from a Document; all errors are reported together.
///
///     const auto config = config::decode<RunConfig>(config::Document::load("run.yaml"));
#pragma once

#include <concepts>
#include <functional>

#include "config/document.h"
#include "config/fields.h"

namespace moe::config {

/// A struct that lists its fields, see config/fields.h.
template <class T>
concept Section = requires(T value, Fields& fields) {
  value.fields(fields);
};

/// Visits the root mapping: fields that the document lacks keep their value, the others are set.
/// @throws ConfigError with every problem as "file:line:col: section.key: message, got 'text';
/// allowed ...; HINT ...": those of the document, unknown keys with the nearest valid one, wrong
/// types, values out of range, and what the sections reject
void decode(const Document& document, const std::function<void(Fields&)>& visit);

/// The same for a struct whose default is the config's default.
template <Section T>
T decode(const Document& document) {
  T value;
  decode(document, [&value](Fields& fields) { value.fields(fields); });
  return value;
}

}  // namespace moe::config
