// The tests that the code must have, and what tests may not do.
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>

#include "arch/source_tree.h"

namespace moe::arch {
namespace {

std::string stem(const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  return name.substr(0, name.find('.'));
}

TEST(Tests, EveryOpHasAGradcheck) {
  for (const SourceFile* file : SourceTree::instance().under({"src/ops"})) {
    if (!file->is_header()) continue;
    const std::string wanted = "tests/ops/" + stem(file->path) + "_test.cpp";
    const SourceFile* test = SourceTree::instance().find(wanted);
    ASSERT_NE(test, nullptr) << file->path << " has no " << wanted;
    EXPECT_NE(test->code.find("gradcheck"), std::string::npos) << wanted << " checks no gradient";
  }
}

/// True if some file of the folder that the test mirrors has the test's name.
bool mirrors_a_source(const std::string& test_path) {
  const std::string inner = test_path.substr(std::string("tests/").size());
  const std::string top = inner.substr(0, inner.find('/'));
  const std::string folder = top == "kernels" ? top : "src/" + top;
  const std::string name = stem(test_path);
  const std::string source = name.substr(0, name.size() - std::string("_test").size());
  const auto files = SourceTree::instance().under({folder});
  return std::any_of(files.begin(), files.end(), [&source](const SourceFile* file) {
    const std::string own = stem(file->path);
    return own == source || own == source + "_cpu";
  });
}

TEST(Tests, AreNamedAfterASourceOrSayWhatTheyAsk) {
  for (const SourceFile* file : SourceTree::instance().under({"tests"})) {
    if (!file->path.ends_with("_test.cpp")) continue;
    EXPECT_TRUE(mirrors_a_source(file->path) || file->text.starts_with("//"))
        << file->path << ": no source of that name; begin with a comment that says what it asks";
  }
}

/// The arguments of a macro call whose '(' is at `open`, split at top-level commas.
std::vector<std::string> arguments(const std::string& code, std::size_t open) {
  std::vector<std::string> found(1);
  int depth = 0;
  for (std::size_t i = open; i < code.size(); ++i) {
    const char c = code[i];
    const bool opens = c == '(' || c == '{' || c == '[';
    const bool closes = c == ')' || c == '}' || c == ']';
    if (closes && --depth == 0) break;
    if (c == ',' && depth == 1) {
      found.emplace_back();
    } else if (depth > 0) {
      found.back() += c;
    }
    if (opens) ++depth;
  }
  return found;
}

/// A bare floating number ("1e-5", "2 * 0.5f"), or a small one inside an expression ("1e-6 * n").
bool has_literal_tolerance(const std::string& argument) {
  static const std::regex kName("[A-Za-z_][A-Za-z0-9_:]*");
  static const std::regex kFloat("(^|[^A-Za-z0-9_])([0-9]+\\.[0-9]*|\\.[0-9]+|[0-9]+[eE])");
  static const std::regex kSmall("[0-9.][eE]-[0-9]");
  const std::string without_numbers = std::regex_replace(
      argument, std::regex("(^|[^A-Za-z0-9_])[0-9.]+([eE][-+]?[0-9]+)?[fFlL]?"), "$1");
  const bool bare = !std::regex_search(without_numbers, kName);
  return std::regex_search(argument, kSmall) || (bare && std::regex_search(argument, kFloat));
}

TEST(Tests, LiteralTolerancesAreRecognised) {
  for (const char* bad : {"1e-5", " 0.1f", ".5", "2 * 1e-6", "1e-6 * n", "1.", "n * 1.5e-3"}) {
    EXPECT_TRUE(has_literal_tolerance(bad)) << bad;
  }
  for (const char* good : {"tolerance(DType::F32, 64)", "8", "bound", "x1e",
                           "4 * std::sqrt(n * 0.25)", "std::numeric_limits<float>::epsilon()"}) {
    EXPECT_FALSE(has_literal_tolerance(good)) << good;
  }
}

TEST(Tests, DeriveTheirTolerances) {
  static const std::regex kNear("(EXPECT|ASSERT)_(NEAR|LT|LE)\\s*\\(");
  for (const SourceFile* file : SourceTree::instance().under({"tests"})) {
    const std::string& code = file->code;
    for (std::sregex_iterator at(code.begin(), code.end(), kNear), end; at != end; ++at) {
      const std::size_t start = static_cast<std::size_t>(at->position());
      const std::vector<std::string> given =
          arguments(code, start + static_cast<std::size_t>(at->length()) - 1);
      const bool near = (*at)[2] == "NEAR";
      // In EXPECT_LT only a small number is a tolerance.
      const bool small = given.back().find("e-") != std::string::npos;
      EXPECT_FALSE((near || small) && has_literal_tolerance(given.back()))
          << file->path << ":" << file->line_of(start) << ": " << at->str() << "..., "
          << given.back() << "): take it from tests/support/tolerance.h";
    }
  }
}

}  // namespace
}  // namespace moe::arch
