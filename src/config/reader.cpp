#include "config/reader.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>
#include <unordered_map>
#include <utility>

#include "base/format.h"
#include "config/source_text.h"

namespace moe::config {
namespace {

using Style = YAML::EmitterStyle;

std::size_t offset_of(const YAML::Mark& mark) {
  return mark.pos < 0 ? 0 : static_cast<std::size_t>(mark.pos);
}

/// A collection whose end has not been read.
struct Open {
  Node node;
  std::size_t offset = 0;
  bool flow = false;
  bool is_key = false;   ///< this collection stands where a key must stand
  bool has_key = false;  ///< mapping: the next node is the value of `key`
  bool discard = false;  ///< that value was refused with its key
  std::string key;
  Position key_at;
  std::size_t key_offset = 0;
  std::unordered_map<std::string, Position> seen;
};

/// Turns parse events into Nodes and refuses what configs may not contain.
class Builder final : public YAML::EventHandler {
 public:
  Builder(const SourceText& source, const TextOrigin& origin, std::vector<Fault>& faults)
      : source_(source), origin_(origin), faults_(faults) {}

  bool has_root() const { return has_root_; }
  Node take_root() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ == 2) {
      refuse(offset_of(mark),
             "a second YAML document starts here; HINT a config is one document: remove '---', "
             "'...' and what does not belong to it");
    }
  }
  void OnDocumentEnd() override {}
  void OnAnchor(const YAML::Mark& mark, const std::string& name) override {
    refuse(offset_of(mark), format("anchors are not allowed, got '&{}'; HINT write the value where "
                                   "it is needed",
                                   name));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    refuse(offset_of(mark), "aliases are not allowed; HINT write the value here again");
    add_scalar(offset_of(mark), "", true, true);
  }
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    const std::size_t offset = offset_of(mark);
    add_scalar(offset, null_spelling(offset), true, false);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& value) override {
    const std::size_t offset = offset_of(mark);
    bool faulty = refuse_tag(offset, tag);
    if (tag == "!" && !faulty && !quotes_close(offset)) {
      fail(offset, "the quote opened here is never closed");
    }
    if (value.find('\0') != std::string::npos) {
      refuse(offset, "a value may not contain a NUL character");
      faulty = true;
    }
    add_scalar(offset, value, tag == "?", faulty);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       Style::value style) override {
    open(Node::Kind::List, offset_of(mark), tag, style);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  Style::value style) override {
    open(Node::Kind::Mapping, offset_of(mark), tag, style);
  }
  void OnMapEnd() override { close(); }

  [[noreturn]] void fail_unclosed_bracket() {
    std::size_t offset = 0;
    for (const Open& open : stack_) {
      if (open.flow) offset = open.offset;
    }
    while (!stack_.empty() && stack_.back().offset >= offset && stack_.size() > 1)
      stack_.pop_back();
    fail(offset, "not valid YAML: the bracket opened here is never closed");
  }
  /// A problem that ends the reading.
  [[noreturn]] void fail(std::size_t offset, const std::string& message) {
    throw Unreadable{fault(source_.position(offset), message)};
  }

 private:
  bool ignoring() const { return documents_ > 1; }
  bool expects_key() const {
    return !stack_.empty() && stack_.back().node.kind == Node::Kind::Mapping &&
           !stack_.back().has_key;
  }

  std::string path() const {
    std::string path = origin_.path;
    for (const Open& open : stack_) {
      if (open.node.kind == Node::Kind::List) {
        path += format("[{}]", open.node.items.size());
      } else if (open.has_key) {
        path = join_path(path, open.key);
      }
    }
    return path;
  }

  Fault fault(const Position& at, const std::string& message) const {
    const std::string where = path();
    return {at, where.empty() ? message : format("{}: {}", where, message)};
  }
  void add_fault(const Position& at, const std::string& message) {
    faults_.push_back(fault(at, message));
  }
  void refuse(std::size_t offset, const std::string& message) {
    add_fault(source_.position(offset), message);
  }

  bool refuse_tag(std::size_t offset, const std::string& tag) {
    const bool bare = tag.empty() || tag == "?" || tag == "!";
    if (bare && source_.at(offset) != '!') return false;
    refuse(offset, format("tags are not allowed, got '{}'; HINT remove it: each key knows its type",
                          bare ? "!" : tag));
    return true;
  }

  /// What stands for null at `offset`: "null", "~", ..., or "" when there is no value at all (then
  /// the mark belongs to whatever comes next).
  std::string null_spelling(std::size_t offset) const {
    if (!stack_.empty() && stack_.back().has_key && !stack_.back().flow) {
      const bool same_line = source_.position(offset).line == stack_.back().key_at.line;
      if (offset <= stack_.back().key_offset) return "";
      if (!same_line && source_.indent(offset) <= source_.indent(stack_.back().key_offset))
        return "";
    }
    const std::string_view rest =
        std::string_view(source_.text()).substr(std::min(offset, source_.text().size()));
    for (const char* spelling : {"null", "Null", "NULL", "~"}) {
      if (rest.starts_with(spelling)) return spelling;
    }
    return "";
  }

  /// The library takes the end of the text for a closing quote.
  bool quotes_close(std::size_t offset) const {
    const char quote = source_.at(offset);
    if (quote != '"' && quote != '\'') return true;
    for (std::size_t i = offset + 1; i < source_.text().size(); ++i) {
      const char c = source_.at(i);
      if (quote == '"' && c == '\\') {
        ++i;
      } else if (c == quote) {
        if (quote == '"' || source_.at(i + 1) != quote) return true;
        ++i;
      }
    }
    return false;
  }

  void add_scalar(std::size_t offset, std::string text, bool plain, bool faulty) {
    if (ignoring()) return;
    if (expects_key()) {
      add_key(offset, std::move(text), plain, faulty);
      return;
    }
    Node node;
    node.plain = plain;
    node.faulty = faulty;
    node.at = source_.position(offset);
    // An absent value has no place of its own.
    if (plain && text.empty() && !stack_.empty() && stack_.back().has_key) {
      node.at = stack_.back().key_at;
    }
    node.text = std::move(text);
    attach(std::move(node));
  }

  void add_key(std::size_t offset, std::string text, bool plain, bool faulty) {
    Open& mapping = stack_.back();
    const Position at = source_.position(offset);
    mapping.discard = true;
    if (faulty) {
      // Reported already.
    } else if (plain && (text.empty() || text == "~" || text == "null")) {
      refuse(offset, format("a key must be a name, got {}",
                            text.empty() ? "nothing" : format("'{}'", text)));
    } else if (plain && text == "<<") {
      refuse(offset, "merge keys are not allowed, got '<<'; HINT write the keys out");
    } else if (const auto [first, fresh] = mapping.seen.emplace(text, at); !fresh) {
      add_fault(at, format("{} appears twice; the first is at {}; HINT keep one of them",
                           in_quotes(text), first->second.text()));
    } else {
      mapping.discard = false;
    }
    mapping.has_key = true;
    mapping.key = std::move(text);
    mapping.key_at = at;
    mapping.key_offset = offset;
  }

  void open(Node::Kind kind, std::size_t offset, const std::string& tag, Style::value style) {
    if (static_cast<int>(stack_.size()) >= kMaxDepth) {
      fail(offset, format("nested deeper than {} levels", kMaxDepth));
    }
    if (origin_.one_line && style != Style::Flow && !ignoring()) {
      const bool bracket = source_.at(0) == '[' || source_.at(0) == '{';
      fail(offset, bracket ? "not valid YAML; HINT is every bracket closed?"
                           : "expected a scalar, [a, b] or {key: value}; HINT quote text that "
                             "contains ': ' or starts with '- '");
    }
    Open opened;
    opened.node.faulty = refuse_tag(offset, tag);
    opened.is_key = expects_key();
    if (opened.is_key && !ignoring()) refuse(offset, "a key must be a name, got a list or mapping");
    opened.node.kind = kind;
    opened.node.at = source_.position(offset);
    opened.offset = offset;
    opened.flow = style == Style::Flow;
    stack_.push_back(std::move(opened));
  }

  void close() {
    Open closed = std::move(stack_.back());
    stack_.pop_back();
    if (ignoring()) return;
    if (closed.is_key) {
      add_key(closed.offset, "", true, true);
    } else {
      attach(std::move(closed.node));
    }
  }

  void attach(Node node) {
    if (stack_.empty()) {
      root_ = std::move(node);
      has_root_ = true;
      return;
    }
    Open& parent = stack_.back();
    if (parent.node.kind == Node::Kind::List) {
      parent.node.items.push_back(std::move(node));
      return;
    }
    if (!parent.discard) {
      parent.node.entries.push_back({parent.key, parent.key_at, std::move(node)});
    }
    parent.has_key = false;
    parent.discard = false;
  }

  const SourceText& source_;
  const TextOrigin& origin_;
  std::vector<Fault>& faults_;
  std::vector<Open> stack_;
  Node root_;
  bool has_root_ = false;
  int documents_ = 0;
};

/// The library's message in words that help to mend the text.
std::string explain_syntax(const SourceText& source, std::size_t offset,
                           const std::string& message) {
  const std::string_view line = source.line(offset);
  const std::size_t indent = std::min(line.find_first_not_of(" \t"), line.size());
  const auto says = [&message](const char* part) {
    return message.find(part) != std::string::npos;
  };
  std::string problem = message;
  std::string hint = "quote text with special characters";
  if (line.substr(0, indent).find('\t') != std::string_view::npos) {
    hint = "indent with spaces, YAML forbids tabs";
  } else if (says("anchor is not defined")) {
    hint = "aliases are not allowed: quote text that starts with '*'";
  } else if (says("unknown token")) {
    hint = format("quote text that starts with '{}'", source.at(offset));
  } else if (says("illegal map value")) {
    problem = "a ':' where no key can stand";
    hint = "quote text that contains ': ', and check the indentation";
  } else if (says("end of map not found") || says("end of sequence not found")) {
    problem = "this does not continue what stands above";
    hint = "keys of one section stand in one column; quote text with special characters";
  }
  return format("not valid YAML: {}, got {}; HINT {}", problem, in_quotes(line.substr(indent)),
                hint);
}

/// A directive line ("%YAML 1.1") would change how the rest is read.
void refuse_directive(const SourceText& source, Builder& builder) {
  for (std::size_t at = 0; at < source.text().size();) {
    const std::string_view line = source.line(at);
    if (line.starts_with('%')) builder.fail(at, "directives ('%') are not allowed");
    const std::size_t first = line.find_first_not_of(" \t");
    if (first != std::string_view::npos && line[first] != '#') return;
    at += line.size() + 1;
  }
}

void parse(const SourceText& source, Builder& builder) {
  std::istringstream stream(source.text());
  try {
    YAML::Parser parser(stream);
    // Never a third: on ',' alone the library goes on reporting documents without end.
    if (parser.HandleNextDocument(builder)) parser.HandleNextDocument(builder);
  } catch (const YAML::Exception& error) {
    const std::size_t offset = offset_of(error.mark);
    if (error.msg.find("flow not found") != std::string::npos) builder.fail_unclosed_bracket();
    builder.fail(offset, explain_syntax(source, offset, error.msg));
  }
}

}  // namespace

std::optional<Node> read_yaml(std::string_view text, const TextOrigin& origin,
                              std::vector<Fault>& faults) {
  try {
    const SourceText source(text, origin);
    Builder builder(source, origin, faults);
    refuse_directive(source, builder);
    parse(source, builder);
    if (!builder.has_root()) {
      builder.fail(0, "there is nothing here; HINT see configs/run/ for examples");
    }
    return builder.take_root();
  } catch (const Unreadable& last) {
    faults.push_back(last.fault);
    return std::nullopt;
  }
}

}  // namespace moe::config
