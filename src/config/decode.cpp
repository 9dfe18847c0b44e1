#include "config/decode.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <type_traits>
#include <utility>

#include "base/check.h"
#include "base/format.h"
#include "config/faults.h"
#include "config/key_hints.h"
#include "config/scalar.h"

namespace moe::config {
namespace {

/// What all levels of one decoding share.
struct Session {
  std::vector<Fault> faults;
  std::vector<UnknownKey> unknown;
  KnownKeys known;
  std::set<std::string> failed;  ///< "section.key", and "long_key" wherever it stands
};

/// The pieces of a message after "section.key: ".
struct Complaint {
  std::string problem;
  std::string allowed;
  std::string hint;
};

std::string compose(const Complaint& complaint, const Node* node) {
  std::string text = complaint.problem;
  if (node != nullptr) text += format(", got {}", in_quotes(*node));
  if (!complaint.allowed.empty()) text += format("; allowed {}", complaint.allowed);
  if (!complaint.hint.empty()) text += format("; HINT {}", complaint.hint);
  return text;
}

std::string or_absent(const std::string& allowed, const char* absent) {
  return allowed.empty() ? format("also {}", absent) : format("{}, or {}", allowed, absent);
}

Parsed<std::int64_t> parse(std::string_view text, std::int64_t) {
  return parse_integer(text);
}
Parsed<double> parse(std::string_view text, double) {
  return parse_number(text);
}

bool is_absent(const Node& node, const char* absent) {
  if (std::string_view(absent) == "null") return node.is_null();
  return node.kind == Node::Kind::Scalar && node.plain && node.text == absent;
}

/// True if `word` occurs in `message` as a whole word.
bool mentions(const std::string& message, const std::string& word) {
  const auto in_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  for (std::size_t at = message.find(word); at != std::string::npos;
       at = message.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    if ((at == 0 || !in_word(message[at - 1])) &&
        (end == message.size() || !in_word(message[end]))) {
      return true;
    }
  }
  return false;
}

/// Decodes one mapping, or (with no node) a section that the document lacks.
class Decoder final : public Fields {
 public:
  Decoder(Session& session, const Node* node, std::string path, std::string pattern, Position at)
      : session_(session),
        node_(node),
        path_(std::move(path)),
        pattern_(std::move(pattern)),
        at_(std::move(at)) {}

  void boolean(const char* key, bool& value, const char*) override {
    const Node* node = take(key);
    if (node != nullptr && is_plain(key, *node, "expected true or false", "")) {
      assign(key, *node, parse_boolean(node->text), value, "");
    }
  }

  void integer(const char* key, std::int64_t& value, const char*, IntegerRange range) override {
    const Node* node = take(key);
    if (node != nullptr) assign_within(key, *node, value, range, range_text(range));
  }

  void number(const char* key, double& value, const char*, NumberRange range) override {
    const Node* node = take(key);
    if (node != nullptr) assign_within(key, *node, value, range, range_text(range));
  }

  void text(const char* key, std::string& value, const char*) override {
    if (const Node* node = take(key)) assign_text(key, *node, value, "");
  }

  void choice(const char* key, std::string& value, const std::vector<std::string>& allowed,
              const char*) override {
    if (const Node* node = take(key)) assign_choice(key, *node, value, allowed);
  }

  void optional_integer(const char* key, std::optional<std::int64_t>& value, const char* absent,
                        const char*, IntegerRange range) override {
    take_optional(key, value, absent, [&](const Node& node, std::int64_t& number) {
      return assign_within(key, node, number, range, or_absent(range_text(range), absent));
    });
  }

  void optional_number(const char* key, std::optional<double>& value, const char* absent,
                       const char*, NumberRange range) override {
    take_optional(key, value, absent, [&](const Node& node, double& number) {
      return assign_within(key, node, number, range, or_absent(range_text(range), absent));
    });
  }

  void optional_text(const char* key, std::optional<std::string>& value, const char* absent,
                     const char*) override {
    take_optional(key, value, absent, [&](const Node& node, std::string& text) {
      return assign_text(key, node, text, or_absent("", absent));
    });
  }

  void integers(const char* key, std::vector<std::int64_t>& value, const char*,
                IntegerRange range) override {
    take_list(key, "a list of integers", value,
              [&](const std::string& at, const Node& item, std::int64_t& slot) {
                return assign_within(at, item, slot, range, range_text(range));
              });
  }

  void texts(const char* key, std::vector<std::string>& value, const char*) override {
    take_list(key, "a list of texts", value,
              [&](const std::string& at, const Node& item, std::string& slot) {
                return assign_text(at, item, slot, "");
              });
  }

  void choices(const char* key, std::vector<std::string>& value,
               const std::vector<std::string>& allowed, const char*) override {
    take_list(key, "a list of names", value,
              [&](const std::string& at, const Node& item, std::string& slot) {
                return assign_choice(at, item, slot, allowed);
              });
  }

  void section(const char* key, const char*, const std::function<void(Fields&)>& visit) override {
    const auto child = children_.find(key);
    if (child != children_.end()) {
      visit(*child->second);
      return;
    }
    const Node* node = take(key);
    if (node != nullptr && !is_mapping(key, *node, "expected a section")) node = nullptr;
    visit(add_child(key, node));
  }

  void optional_section(const char* key, bool& present, const char*,
                        const std::function<void(Fields&)>& visit) override {
    const Node* node = take(key);
    if (node != nullptr && node->is_null()) {
      present = false;
      return;
    }
    if (node != nullptr && !is_mapping(key, *node, "expected a section or null")) return;
    if (node != nullptr) present = true;
    if (present) visit(add_child(key, node));
  }

  void list(const char* key, std::size_t size, const std::function<void(std::size_t)>& resize,
            const char*, const std::function<void(std::size_t, Fields&)>& visit) override {
    const Node* node = take(key);
    if (node != nullptr && !is_list(key, *node, "a list of mappings")) return;
    if (node != nullptr) {
      size = node->items.size();
      resize(size);
    }
    for (std::size_t i = 0; i < size; ++i) {
      const std::string item_key = format("{}[{}]", key, i);
      const Node* item = node == nullptr ? nullptr : &node->items[i];
      if (item != nullptr && !is_mapping(item_key, *item, "expected a mapping")) item = nullptr;
      visit(i, add_child(item_key, item, format("{}[]", key)));
    }
  }

  void one_of(std::string& name, const std::vector<std::string>& allowed, const char*,
              const std::function<void(const std::string&, Fields&)>& visit) override {
    for (const std::string& known : allowed) order_.push_back(known);
    for (const std::string& known : allowed) session_.known.add(join_path(pattern_, known));
    if (node_ == nullptr) return;
    if (node_->entries.size() != 1) {
      refuse_choice_of(allowed);
      return;
    }
    const Entry& entry = node_->entries.front();
    if (std::find(allowed.begin(), allowed.end(), entry.key) == allowed.end()) return;  // unknown
    keys_.insert(entry.key);
    name = entry.key;
    const bool good = is_mapping(name, entry.value, "expected its options");
    visit(name, add_child(name, good ? &entry.value : nullptr));
  }

  void reject(const char* key, const std::string& message) override {
    if (failed_.contains(key)) return;
    // A relation with a key that has no valid value says nothing.
    for (const std::string& other : failed_) {
      if (mentions(message, other)) return;
    }
    for (const std::string& other : session_.failed) {
      if (mentions(message, other)) return;
    }
    const Entry* entry = find(key);
    const bool scalar = entry != nullptr && entry->value.kind == Node::Kind::Scalar;
    add(key, entry == nullptr ? at_ : entry->value.at,
        {message, "", entry == nullptr ? "it is not set here" : ""},
        scalar ? &entry->value : nullptr);
  }

  /// Notes the keys that nobody asked for, here and below.
  void finish() {
    for (auto& child : children_) child.second->finish();
    if (node_ == nullptr) return;
    for (const Entry& entry : node_->entries) {
      if (keys_.contains(entry.key)) continue;
      const bool empty = entry.value.kind == Node::Kind::Scalar && entry.value.text.empty();
      session_.unknown.push_back({entry.at, path_, entry.key, empty, order_});
    }
  }

 private:
  void add(const std::string& key, const Position& at, const Complaint& complaint,
           const Node* node) {
    failed_.insert(key);
    session_.faults.push_back(
        {at, format("{}: {}", join_path(path_, key), compose(complaint, node))});
  }
  bool refuse(const std::string& key, const Node& node, const Complaint& complaint) {
    failed_.insert(key);
    session_.failed.insert(join_path(path_, key));
    if (key.find('_') != std::string::npos) session_.failed.insert(key);
    if (!node.faulty) {
      add(key, node.at, complaint, &node);
    }
    return false;
  }

  /// Not one key, but none or several.
  void refuse_choice_of(const std::vector<std::string>& allowed) {
    const std::size_t count = node_->entries.size();
    for (const Entry& entry : node_->entries) keys_.insert(entry.key);
    session_.faults.push_back(
        {count == 0 ? node_->at : node_->entries[1].at,
         format("{}: {}", path_,
                compose({format("expected one key, got {}", count), format("{}", fmt::join(allowed, ", ")),
                         count == 0 ? "" : "start a line of its own with '- ' for each"},
                        nullptr))});
  }

  const Entry* find(std::string_view key) const {
    if (node_ == nullptr) return nullptr;
    const auto found = std::find_if(node_->entries.begin(), node_->entries.end(),
                                    [key](const Entry& entry) { return entry.key == key; });
    return found == node_->entries.end() ? nullptr : &*found;
  }

  /// Declares `key` and returns its node if the document has one.
  const Node* take(const char* key) {
    MOE_CHECK(keys_.insert(key).second);  // declared twice in one section
    order_.emplace_back(key);
    session_.known.add(join_path(pattern_, key));
    const Entry* entry = find(key);
    return entry == nullptr ? nullptr : &entry->value;
  }

  Decoder& add_child(const std::string& key, const Node* node, const std::string& pattern = "") {
    auto child = std::make_unique<Decoder>(session_, node, join_path(path_, key),
                                           join_path(pattern_, pattern.empty() ? key : pattern),
                                           node == nullptr ? at_ : node->at);
    return *(children_[key] = std::move(child));
  }

  /// True for a node that could hold a number or boolean: a plain scalar.
  bool is_plain(const std::string& key, const Node& node, const std::string& problem,
                const std::string& allowed) {
    if (node.faulty || node.kind != Node::Kind::Scalar) {
      return refuse(key, node, {problem, allowed, ""});
    }
    if (node.plain) return true;
    return refuse(key, node, {problem + ", but quotes make it text", allowed, "remove the quotes"});
  }

  bool is_mapping(const std::string& key, const Node& node, const std::string& problem) {
    if (!node.faulty && node.kind == Node::Kind::Mapping) return true;
    const bool empty = node.kind == Node::Kind::Scalar && looks_null(node.text);
    return refuse(key, node,
                  {problem, "",
                   empty ? "remove the line, or write {} for all defaults"
                         : "write its keys indented below it"});
  }

  bool is_list(const std::string& key, const Node& node, const std::string& what) {
    if (!node.faulty && node.kind == Node::Kind::List) return true;
    std::string hint = "write [] for none, or remove the line";
    if (node.kind == Node::Kind::Scalar && !looks_null(node.text)) hint = "put it in brackets: [ ]";
    return refuse(key, node, {format("expected {}", what), "", hint});
  }

  template <class T>
  bool assign(const std::string& key, const Node& node, const Parsed<T>& parsed, T& value,
              const std::string& allowed) {
    if (!parsed.value) return refuse(key, node, {parsed.problem, allowed, parsed.hint});
    value = *parsed.value;
    return true;
  }

  template <class T, class Range>
  bool assign_within(const std::string& key, const Node& node, T& value, const Range& range,
                     const std::string& allowed) {
    const char* expected = std::is_same_v<T, double> ? "expected a number" : "expected an integer";
    if (!is_plain(key, node, expected, allowed)) return false;
    T parsed{};
    if (!assign(key, node, parse(node.text, T{}), parsed, allowed)) return false;
    if (!contains(range, parsed)) return refuse(key, node, {"out of range", allowed, ""});
    value = parsed;
    return true;
  }

  bool assign_text(const std::string& key, const Node& node, std::string& value,
                   const std::string& allowed) {
    if (node.faulty || node.kind != Node::Kind::Scalar) {
      return refuse(key, node, {"expected text", allowed, ""});
    }
    if (node.plain && looks_null(node.text)) {
      return refuse(key, node, {"expected text", allowed, "quote it ('') if you mean it"});
    }
    value = node.text;
    return true;
  }

  bool assign_choice(const std::string& key, const Node& node, std::string& value,
                     const std::vector<std::string>& allowed) {
    const bool scalar = node.kind == Node::Kind::Scalar && !node.faulty;
    if (scalar && std::find(allowed.begin(), allowed.end(), node.text) != allowed.end()) {
      value = node.text;
      return true;
    }
    const std::string near =
        scalar && node.text.size() <= 64 ? nearest_name(node.text, allowed) : "";
    return refuse(key, node,
                  {"not one of the choices", format("{}", fmt::join(allowed, ", ")),
                   near.empty() ? "" : format("did you mean {}?", near)});
  }

  template <class T, class Assign>
  void take_optional(const char* key, std::optional<T>& value, const char* absent,
                     Assign assign_to) {
    const Node* node = take(key);
    if (node == nullptr) return;
    T present{};
    if (is_absent(*node, absent)) {
      value.reset();
    } else if (assign_to(*node, present)) {
      value = std::move(present);
    }
  }

  template <class T, class Assign>
  void take_list(const char* key, const std::string& what, std::vector<T>& value,
                 Assign assign_to) {
    const Node* node = take(key);
    if (node == nullptr || !is_list(key, *node, what)) return;
    std::vector<T> items(node->items.size());
    bool good = true;
    for (std::size_t i = 0; i < items.size(); ++i) {
      good = assign_to(format("{}[{}]", key, i), node->items[i], items[i]) && good;
    }
    if (good) value = std::move(items);
    if (!good) failed_.insert(key);
  }

  Session& session_;
  const Node* node_;
  std::string path_;
  std::string pattern_;  ///< path_ with "[]" for "[3]"
  Position at_;
  std::set<std::string> keys_;
  std::vector<std::string> order_;
  std::set<std::string> failed_;
  std::map<std::string, std::unique_ptr<Decoder>> children_;
};

}  // namespace

void decode(const Document& document, const std::function<void(Fields&)>& visit) {
  Session session{document.faults(), {}, {}, {}};
  Decoder root(session, &document.root(), "", "", document.root().at);
  visit(root);
  root.finish();
  for (const UnknownKey& unknown : session.unknown) {
    const std::string path = join_path(unknown.section, unknown.key);
    const bool shown = session.faults.size() < kMaxFaults;  // hints take time
    session.faults.push_back(
        {unknown.at,
         shown
             ? format("{}: {}", unknown.key.size() <= 64 ? path : join_path(unknown.section, "..."),
                      describe(unknown, session.known))
             : std::string("unknown key")});
  }
  if (!session.faults.empty()) throw_faults(std::move(session.faults));
}

}  // namespace moe::config
