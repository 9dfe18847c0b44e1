/// The raw text of a config: checked encoding, and byte offset -> line and column (internal).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "config/reader.h"

namespace moe::config {

/// Thrown inside the reader where reading cannot go on.
struct Unreadable {
  Fault fault;
};

/// @invariant text() is valid UTF-8 without byte order mark, NUL or other control characters but
/// tab and newline; line ends are "\n"
class SourceText {
 public:
  /// @throws Unreadable for text that is no such thing, or longer than 1 MiB
  SourceText(std::string_view raw, const TextOrigin& origin);

  const std::string& text() const { return text_; }
  /// The character at a byte offset, NUL past the end.
  char at(std::size_t offset) const { return offset < text_.size() ? text_[offset] : '\0'; }
  Position position(std::size_t offset) const;
  /// Column of a byte offset in bytes, from 0.
  std::size_t indent(std::size_t offset) const;
  std::string_view line(std::size_t offset) const;

 private:
  std::size_t line_of(std::size_t offset) const;
  void copy_without_carriage_returns(std::string_view raw);
  void refuse_bad_bytes() const;
  [[noreturn]] void fail(std::size_t offset, const std::string& message) const;

  TextOrigin origin_;
  std::string text_;
  std::vector<std::size_t> line_starts_{0};
  mutable std::size_t counted_to_ = 0;     ///< cache of position(): within the current line
  mutable std::ptrdiff_t characters_ = 0;  ///< so many characters stand before counted_to_
};

}  // namespace moe::config
