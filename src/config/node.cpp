#include "config/node.h"

#include <algorithm>
#include <tuple>

#include "base/format.h"

namespace moe::config {

std::string Position::text() const {
  const std::string name = origin ? *origin : std::string("config");
  return line == 0 ? name : format("{}:{}:{}", name, line, column);
}

bool Position::operator<(const Position& other) const {
  return std::tie(order, line, column) < std::tie(other.order, other.line, other.column);
}

const Node* Node::find(std::string_view key) const {
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [key](const Entry& entry) { return entry.key == key; });
  return found == entries.end() ? nullptr : &found->value;
}

bool Node::is_null() const {
  return kind == Kind::Scalar && plain && (text == "null" || text == "~");
}

std::string join_path(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : format("{}.{}", path, key);
}

std::string in_quotes(const Node& node) {
  if (node.kind == Node::Kind::List) return "a list";
  if (node.kind == Node::Kind::Mapping) return "a mapping";
  if (node.plain && node.text.empty()) return "nothing";
  return in_quotes(node.text);
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kShown = 60;
  std::size_t end = std::min(text.size(), kShown);
  // Never cut inside a UTF-8 sequence.
  while (end < text.size() && end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80)
    --end;
  std::string shown;
  for (const char c : text.substr(0, end)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      shown += "\\n";
    } else if (byte < 0x20 || byte == 0x7F) {
      shown += format("\\x{:02x}", byte);
    } else {
      shown += c;
    }
  }
  return end < text.size() ? format("'{}...' ({} bytes)", shown, text.size())
                           : format("'{}'", shown);
}

}  // namespace moe::config
