#include "config/document.h"

#include <memory>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/format.h"
#include "config/faults.h"
#include "config/reader.h"

namespace moe::config {
namespace {

constexpr const char* kAssignmentHint =
    "HINT write section.key=value, for example training.steps=100";

/// "a.b.c" -> {"a", "b", "c"}; an empty part means that the path is bad.
std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t dot = path.find('.');
    parts.emplace_back(path.substr(0, dot));
    if (dot == std::string_view::npos) return parts;
    path.remove_prefix(dot + 1);
  }
}

bool is_key_path(std::string_view path) {
  constexpr std::string_view kKeyCharacters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
  return !path.empty() && path.find_first_not_of(kKeyCharacters) == std::string_view::npos &&
         path.front() != '.' && path.back() != '.' && path.find("..") == std::string_view::npos;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

Node& child(Node& mapping, const std::string& key, const Position& at) {
  for (Entry& entry : mapping.entries) {
    if (entry.key == key) return entry.value;
  }
  Node missing;
  missing.at = at;
  mapping.entries.push_back({key, at, std::move(missing)});
  return mapping.entries.back().value;
}

bool is_missing(const Node& node) {
  return node.kind == Node::Kind::Scalar && (node.is_null() || (node.plain && node.text.empty()));
}

TextOrigin override_origin(std::string_view assignment, int order) {
  const std::string shown = in_quotes(assignment);
  TextOrigin origin;
  origin.name = std::make_shared<const std::string>(
      format("command line: {}", std::string_view(shown).substr(1, shown.rfind('\'') - 1)));
  origin.order = order;
  origin.one_line = true;
  origin.path = std::string(trimmed(assignment.substr(0, assignment.find('='))));
  return origin;
}

/// The value of an override; nothing if it is refused, then `faults` say why.
std::optional<Node> read_override(std::string_view text, const TextOrigin& origin,
                                  std::vector<Fault>& faults) {
  const Position at{origin.name, origin.order, 0, 0};
  const auto refuse = [&](const std::string& why) -> std::optional<Node> {
    faults.push_back({at, format("{}: {}", origin.path, why)});
    return std::nullopt;
  };
  if (text.empty()) return refuse("no value after '='; HINT an empty text is written ''");
  std::optional<Node> value = read_yaml(text, origin, faults);
  const bool comparable = value && value->kind == Node::Kind::Scalar && value->plain;
  if (comparable && !value->faulty && value->text != text) {
    return refuse(
        format("only {} of the value would be read; HINT quote it", in_quotes(value->text)));
  }
  return value;
}

/// Walks to the node at `path`, creating mappings; says why not in `problem`.
Node* reach(Node& root, const std::vector<std::string>& path, const Position& at,
            std::string& problem) {
  if (static_cast<int>(path.size()) > kMaxDepth) {
    problem = format("nested deeper than {} levels", kMaxDepth);
    return nullptr;
  }
  Node* node = &root;
  std::string walked;
  for (const std::string& key : path) {
    if (node->kind != Node::Kind::Mapping && is_missing(*node)) {
      node->kind = Node::Kind::Mapping;
      node->text.clear();
    }
    if (node->kind != Node::Kind::Mapping) {
      problem = format("{} is {}, not a mapping ({}); HINT override it as a whole", walked,
                       in_quotes(*node), node->at.text());
      return nullptr;
    }
    node = &child(*node, key, at);
    walked = join_path(walked, key);
  }
  return node;
}

}  // namespace

Document Document::load(const Path& path) {
  std::string text;
  try {
    text = read_file(path, kMaxDocumentBytes);
  } catch (const DataError& error) {
    throw ConfigError(format("{}; HINT the config is a YAML file of at most 1 MiB", error.what()));
  }
  return parse(text, path.string());
}

Document Document::parse(std::string_view text, std::string name) {
  Document document;
  document.name_ = std::move(name);
  const auto origin = std::make_shared<const std::string>(document.name_);
  std::optional<Node> root = read_yaml(text, {origin, 0, false, ""}, document.faults_);
  if (!root) throw_faults(std::move(document.faults_));
  document.root_ = std::move(*root);
  if (document.root_.kind != Node::Kind::Mapping) {
    document.faults_.push_back(
        {document.root_.at,
         format("expected sections and keys ('key: value'), got {}; {}", in_quotes(document.root_),
                "HINT put a space after each colon; see configs/run/")});
    throw_faults(std::move(document.faults_));
  }
  return document;
}

void Document::override_with(std::string_view assignment) {
  const TextOrigin origin = override_origin(assignment, ++overrides_);
  const Position at{origin.name, origin.order, 0, 0};
  if (!is_key_path(origin.path) || assignment.find('=') == std::string_view::npos) {
    faults_.push_back({at, format("expected section.key=value; {}", kAssignmentHint)});
    return;
  }
  std::optional<Node> value =
      read_override(trimmed(assignment.substr(assignment.find('=') + 1)), origin, faults_);
  if (!value) return;
  std::string problem;
  if (Node* target = reach(root_, split_path(origin.path), at, problem)) {
    *target = std::move(*value);
  } else {
    faults_.push_back({at, format("{}: {}", origin.path, problem)});
  }
}

void Document::override_with(std::span<const std::string> assignments) {
  for (const std::string& assignment : assignments) override_with(assignment);
}

}  // namespace moe::config
