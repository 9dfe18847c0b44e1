/// The tree of a parsed config: plain data, each node with the place where it was written.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace moe::config {

/// Where something was written: "run.yaml:3:7", or "command line: training.steps=x".
struct Position {
  std::shared_ptr<const std::string> origin;
  int order = 0;   ///< 0 the file, n the n-th override; sorts messages
  int line = 0;    ///< from 1; 0 if the origin alone says it all
  int column = 0;  ///< from 1, in characters

  std::string text() const;
  /// In the order in which a person reads: the file from the top, then the command line.
  bool operator<(const Position& other) const;
};

/// A problem found while reading or decoding; `text` is "section.key: message".
struct Fault {
  Position at;
  std::string text;
};

struct Entry;

/// A scalar, a list or a mapping.
/// @invariant a quoted scalar has `plain == false` and is text, whatever it looks like; an empty
/// value ("key:") is a plain scalar with empty text
struct Node {
  enum class Kind { Scalar, List, Mapping };

  Kind kind = Kind::Scalar;
  bool plain = true;
  bool faulty = false;  ///< already reported: decoders leave the default
  Position at;
  std::string text;
  std::vector<Node> items;
  std::vector<Entry> entries;

  /// The value of `key` in a mapping, or null.
  const Node* find(std::string_view key) const;
  /// Plain `null` or `~`: the spellings of "no value".
  bool is_null() const;
};

struct Entry {
  std::string key;
  Position at;
  Node value;
};

/// "a.b" out of "a" and "b"; "b" at the top.
std::string join_path(const std::string& path, std::string_view key);

/// How a message quotes a node: `'1e3'`, `a list`, `a mapping`, `nothing`; long text is shortened
/// and control characters are escaped.
std::string in_quotes(const Node& node);
std::string in_quotes(std::string_view text);

}  // namespace moe::config
