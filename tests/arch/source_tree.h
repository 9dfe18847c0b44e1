/// The project's own source text, as the arch tests see it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace moe::arch {

struct Include {
  std::string target;  ///< as written, without quotes or brackets
  int line = 0;
};

struct SourceFile {
  std::string path;  ///< relative to the root: "src/base/file.h"
  std::string text;
  std::string code;  ///< text with comments, literals' contents and directives blanked
  std::vector<Include> includes;

  bool is_header() const;
  /// "base" for src/base/..., "kernels", "tools", "tests".
  std::string folder() const;
  int lines() const;
  int line_of(std::size_t offset) const;
};

/// A file list by path of src/, kernels/, tools/ and tests/.
class SourceTree {
 public:
  static const SourceTree& instance();

  const std::map<std::string, SourceFile>& files() const { return files_; }
  const SourceFile* find(const std::string& path) const;
  /// The project file that an include means, or null for the system's.
  const SourceFile* resolve(const std::string& target) const;
  /// All files under one of the given folders.
  std::vector<const SourceFile*> under(const std::vector<std::string>& folders) const;

 private:
  SourceTree();
  std::map<std::string, SourceFile> files_;
};

/// Blanks comments, the insides of string and character literals, and preprocessor lines; keeps
/// every newline and offset.
std::string blank_non_code(std::string_view text);

std::string read_text(const std::string& path);

/// "a\nb" -> the words of a line, the lines of a text.
std::vector<std::string> words(std::string_view text);
std::vector<std::string> lines(std::string_view text);

}  // namespace moe::arch
