/// Reads YAML text into a Node tree (internal to config/; the only place that knows the YAML
/// library).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/node.h"

namespace moe::config {

inline constexpr std::size_t kMaxDocumentBytes = std::size_t{1} << 20;
inline constexpr int kMaxDepth = 64;

/// Where a text comes from. With `one_line` (an override), positions have no line, the value stands
/// at key `path`, and only a scalar or a flow list or mapping is accepted.
struct TextOrigin {
  std::shared_ptr<const std::string> name;
  int order = 0;
  bool one_line = false;
  std::string path;
};

/// Builds the tree; what YAML allows but configs do not (anchors, aliases, tags, merge keys,
/// duplicate or non-scalar keys, several documents) is added to `faults`, and reading goes on.
/// Nothing is returned where reading cannot go on: syntax, encoding, size, depth; that is the last
/// fault then.
std::optional<Node> read_yaml(std::string_view text, const TextOrigin& origin,
                              std::vector<Fault>& faults);

}  // namespace moe::config
