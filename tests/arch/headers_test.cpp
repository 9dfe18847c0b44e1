// What every public header owes its reader. That each compiles alone is checked by building the
// target header_checks (tools/cmake/MoeHeaderChecks.cmake).
#include <gtest/gtest.h>

#include "arch/source_tree.h"

namespace moe::arch {
namespace {

/// The leading "///" lines joined.
std::string first_comment(const SourceFile& file) {
  std::string comment;
  for (const std::string& line : lines(file.text)) {
    if (!line.starts_with("///")) break;
    comment += line.substr(3) + "\n";
  }
  return comment;
}

bool has_sentence(const std::string& comment) {
  return comment.find(". ") != std::string::npos || comment.find(".\n") != std::string::npos ||
         comment.find("?\n") != std::string::npos || comment.find(":\n") != std::string::npos;
}

TEST(Headers, BeginWithASentence) {
  for (const SourceFile* file : SourceTree::instance().under({"src", "kernels"})) {
    if (!file->is_header()) continue;
    const std::string comment = first_comment(*file);
    EXPECT_FALSE(comment.empty()) << file->path << ":1: begin with '/// what this is for.'";
    EXPECT_TRUE(comment.empty() || has_sentence(comment)) << file->path << ":1: end the sentence";
  }
}

TEST(Headers, AreGuarded) {
  for (const SourceFile* file : SourceTree::instance().under({"src", "kernels", "tests"})) {
    if (!file->is_header()) continue;
    EXPECT_NE(file->text.find("#pragma once\n"), std::string::npos) << file->path;
  }
}

TEST(Headers, DoNotOpenNamespacesForOthers) {
  for (const SourceFile* file : SourceTree::instance().under({"src", "kernels", "tests"})) {
    if (!file->is_header()) continue;
    EXPECT_EQ(file->code.find("using namespace"), std::string::npos) << file->path;
  }
}

}  // namespace
}  // namespace moe::arch
