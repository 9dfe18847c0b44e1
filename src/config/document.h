/// A YAML config with positions: a file or text plus `section.key=value` overrides.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "config/node.h"

namespace moe::config {

/// The strict subset of YAML that configs use, as a tree that remembers where each value was
/// written.
/// @invariant what makes reading impossible is thrown at once; every other refusal (duplicate keys,
/// anchors, aliases, tags, merge keys, ...) waits in faults(), so that decode() reports all
/// together
class Document {
 public:
  /// At most 1 MiB, at most 64 levels.
  /// @throws ConfigError(file:line:col, reason); also when the file cannot be read
  static Document load(const Path& path);

  /// Text from elsewhere; `name` stands in messages in place of a path.
  static Document parse(std::string_view text, std::string name);

  /// Applies one command-line assignment `section.key=value`; a later one wins. The value is a YAML
  /// scalar or a flow list or mapping (`[1, 2]`, `{a: 1}`) and replaces what stood there; missing
  /// mappings on the way are created. A bad assignment becomes a fault.
  void override_with(std::string_view assignment);
  void override_with(std::span<const std::string> assignments);

  const Node& root() const { return root_; }
  const std::vector<Fault>& faults() const { return faults_; }
  const std::string& name() const { return name_; }

 private:
  Document() = default;

  std::string name_;
  Node root_;
  std::vector<Fault> faults_;
  int overrides_ = 0;
};

}  // namespace moe::config
