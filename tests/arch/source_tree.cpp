#include "arch/source_tree.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <sstream>
#include <stdexcept>

namespace moe::arch {
namespace {

namespace fs = std::filesystem;

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// Walks over the text once, blanking what is no code.
class Blanker {
 public:
  explicit Blanker(std::string_view text) : text_(text), out_(text) {}

  std::string run() {
    while (at_ < text_.size()) step();
    return out_;
  }

 private:
  bool looking_at(std::string_view word) const { return text_.substr(at_, word.size()) == word; }
  void blank(std::size_t end) {
    for (end = std::min(end, text_.size()); at_ < end; ++at_) {
      if (text_[at_] != '\n') out_[at_] = ' ';
    }
  }
  std::size_t past(std::string_view word, std::size_t from) const {
    const std::size_t found = text_.find(word, from);
    return found == std::string_view::npos ? text_.size() : found + word.size();
  }
  bool starts_line() const {
    const std::size_t before = text_.find_last_not_of(" \t", at_ == 0 ? 0 : at_ - 1);
    return at_ == 0 || before == std::string_view::npos || text_[before] == '\n';
  }
  std::size_t directive_end() const {
    std::size_t end = text_.find('\n', at_);
    while (end != std::string_view::npos && end > 0 && text_[end - 1] == '\\') {
      end = text_.find('\n', end + 1);
    }
    return std::min(end, text_.size());
  }
  void literal(char quote) {
    std::size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != quote && text_[end] != '\n') {
      end += text_[end] == '\\' ? 2 : 1;
    }
    ++at_;
    blank(end);
    ++at_;
  }
  void step() {
    const char c = text_[at_];
    if (looking_at("//")) {
      blank(text_.find('\n', at_));
    } else if (looking_at("/*")) {
      blank(past("*/", at_ + 2));
    } else if (looking_at("R\"") && (at_ == 0 || !is_word(text_[at_ - 1]))) {
      const std::size_t open = text_.find('(', at_);
      blank(past(")" + std::string(text_.substr(at_ + 2, open - at_ - 2)) + "\"", open));
    } else if (c == '#' && starts_line()) {
      blank(directive_end());
    } else if (c == '"' || (c == '\'' && (at_ == 0 || !is_word(text_[at_ - 1])))) {
      literal(c);
    } else {
      ++at_;
    }
  }

  std::string_view text_;
  std::string out_;
  std::size_t at_ = 0;
};

std::vector<Include> includes_of(const std::string& text) {
  static const std::regex kInclude("^\\s*#\\s*include\\s*[<\"]([^>\"]+)[>\"]");
  std::vector<Include> found;
  int line = 0;
  for (const std::string& content : lines(text)) {
    ++line;
    std::smatch match;
    if (std::regex_search(content, match, kInclude)) found.push_back({match[1], line});
  }
  return found;
}

bool is_source(const fs::path& path) {
  const std::string extension = path.extension().string();
  return extension == ".h" || extension == ".cpp" || extension == ".cu" || extension == ".cuh";
}

}  // namespace

bool SourceFile::is_header() const {
  return path.ends_with(".h") || path.ends_with(".cuh");
}

std::string SourceFile::folder() const {
  const std::size_t slash = path.find('/');
  const std::string top = path.substr(0, slash);
  if (top != "src") return top;
  return path.substr(slash + 1, path.find('/', slash + 1) - slash - 1);
}

int SourceFile::lines() const {
  return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
}

int SourceFile::line_of(std::size_t offset) const {
  const auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(offset, text.size()));
  return static_cast<int>(std::count(text.begin(), end, '\n')) + 1;
}

SourceTree::SourceTree() {
  const fs::path root(MOE_SOURCE_DIR);
  for (const char* top : {"src", "kernels", "tools", "tests"}) {
    if (!fs::exists(root / top)) continue;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root / top)) {
      if (!entry.is_regular_file() || !is_source(entry.path())) continue;
      SourceFile file;
      file.path = entry.path().lexically_relative(root).generic_string();
      file.text = read_text(entry.path().string());
      file.code = blank_non_code(file.text);
      file.includes = includes_of(file.text);
      files_.emplace(file.path, file);
    }
  }
}

const SourceTree& SourceTree::instance() {
  static const SourceTree tree;
  return tree;
}

const SourceFile* SourceTree::find(const std::string& path) const {
  const auto found = files_.find(path);
  return found == files_.end() ? nullptr : &found->second;
}

const SourceFile* SourceTree::resolve(const std::string& target) const {
  for (const char* prefix : {"src/", "", "tests/"}) {
    if (const SourceFile* file = find(prefix + target)) return file;
  }
  return nullptr;
}

std::vector<const SourceFile*> SourceTree::under(const std::vector<std::string>& folders) const {
  std::vector<const SourceFile*> found;
  for (const auto& [path, file] : files_) {
    const bool inside =
        std::any_of(folders.begin(), folders.end(),
                    [&path = path](const auto& top) { return path.starts_with(top + "/"); });
    if (inside) found.push_back(&file);
  }
  return found;
}

std::string blank_non_code(std::string_view text) {
  return Blanker(text).run();
}

std::string read_text(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

std::vector<std::string> words(std::string_view text) {
  std::istringstream stream{std::string(text)};
  return {std::istream_iterator<std::string>(stream), std::istream_iterator<std::string>()};
}

std::vector<std::string> lines(std::string_view text) {
  std::istringstream stream{std::string(text)};
  std::vector<std::string> found;
  for (std::string line; std::getline(stream, line);) found.push_back(line);
  return found;
}

}  // namespace moe::arch
