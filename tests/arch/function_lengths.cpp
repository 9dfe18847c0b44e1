#include "arch/function_lengths.h"

#include <algorithm>
#include <regex>

namespace moe::arch {
namespace {

/// What a brace at namespace or class level opens, judged by the text before it.
enum class Opens { Scope, Function, Initialiser };

Opens judge(const std::string& head) {
  static const std::regex kScope(
      "^(template<.*>)?(export|inline|typedef|static|constexpr|const)*"
      "(namespace|class|struct|union|enum|extern$)");
  std::string dense;
  std::copy_if(head.begin(), head.end(), std::back_inserter(dense),
               [](char c) { return c != ' ' && c != '\n' && c != '\t'; });
  const std::vector<std::string> parts = words(head);
  const bool scope_word = std::any_of(parts.begin(), parts.end(), [](const std::string& word) {
    return word == "namespace" || word == "class" || word == "struct" || word == "union" ||
           word == "enum" || word == "extern";
  });
  const bool parenthesis = dense.find('(') != std::string::npos;
  if (scope_word && (!parenthesis || std::regex_search(dense, kScope))) return Opens::Scope;
  return parenthesis ? Opens::Function : Opens::Initialiser;
}

/// Reads blanked code from brace to brace.
class Scanner {
 public:
  explicit Scanner(const SourceFile& file) : file_(file), code_(file.code) {}

  std::vector<FunctionLength> run() {
    while (at_ < code_.size()) step();
    return found_;
  }

 private:
  void step() {
    const char c = code_[at_];
    if (c == '(') ++parentheses_;
    if (c == ')') --parentheses_;
    if (c == '{') {
      open();
      return;
    }
    if (parentheses_ == 0 && (c == ';' || c == '}' || is_access_label())) {
      head_.clear();
    } else {
      head_ += c;
    }
    ++at_;
  }

  bool is_access_label() const {
    if (code_[at_] != ':') return false;
    const std::vector<std::string> parts = words(head_);
    return parts.size() == 1 &&
           (parts[0] == "public" || parts[0] == "private" || parts[0] == "protected");
  }

  void open() {
    const Opens opens = parentheses_ > 0 ? Opens::Initialiser : judge(head_);
    if (opens == Opens::Scope) {
      head_.clear();
      ++at_;
      return;
    }
    const std::size_t end = closing_brace();
    const std::size_t next = std::min(code_.find_first_not_of(" \n\t", end + 1), code_.size());
    // `: a_{1}, b_{2} {` - a brace followed by ',' or '{' belonged to a member's initialiser.
    const bool goes_on = next < code_.size() && (code_[next] == ',' || code_[next] == '{');
    if (opens == Opens::Function && !goes_on) {
      const int first = file_.line_of(at_);
      found_.push_back({short_head(), first, file_.line_of(end) - first + 1});
      head_.clear();
    } else {
      head_ += "{}";
    }
    at_ = end + 1;
  }

  std::size_t closing_brace() const {
    int depth = 0;
    for (std::size_t i = at_; i < code_.size(); ++i) {
      if (code_[i] == '{') ++depth;
      if (code_[i] == '}' && --depth == 0) return i;
    }
    return code_.size() - 1;
  }

  std::string short_head() const {
    std::string text;
    for (const std::string& word : words(head_)) text += (text.empty() ? "" : " ") + word;
    return text.substr(0, 90);
  }

  const SourceFile& file_;
  const std::string& code_;
  std::size_t at_ = 0;
  int parentheses_ = 0;
  std::string head_;
  std::vector<FunctionLength> found_;
};

}  // namespace

std::vector<FunctionLength> function_lengths(const SourceFile& file) {
  return Scanner(file).run();
}

}  // namespace moe::arch
