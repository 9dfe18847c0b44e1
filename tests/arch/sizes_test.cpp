// How long files and functions are.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>

#include "arch/function_lengths.h"
#include "arch/source_tree.h"

namespace moe::arch {
namespace {

constexpr int kLongestFile = 700;
constexpr int kLongestHostFunction = 80;
constexpr int kLongestKernel = 150;

int percentile(std::vector<int> values, int percent) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[(values.size() - 1) * static_cast<std::size_t>(percent) / 100];
}

void print_percentiles(const char* what, const std::vector<int>& values) {
  std::cout << what << ": " << values.size() << ", lines p50 " << percentile(values, 50) << ", p95 "
            << percentile(values, 95) << ", longest " << percentile(values, 100) << "\n";
}

SourceFile from_text(const std::string& text) {
  return {"x.cpp", text, blank_non_code(text), {}};
}

TEST(Sizes, FunctionsAreFound) {
  const SourceFile file = from_text(
      "namespace a {\n"
      "struct S : public T<int> {\n"
      "  S() : x_{1}, y_{\n"
      "    2} {\n"
      "  }\n"
      "  int get() const { return x_; }  // { not a brace\n"
      "  std::vector<int> x_{1, 2};\n"
      "};\n"
      "constexpr int kTable[] = {\n"
      "  1,\n"
      "};\n"
      "template <class F>\n"
      "auto call(F f = {}) -> decltype(f()) {\n"
      "  const char* text = \"{{{\";\n"
      "  auto inner = [](int x) {\n"
      "    return '{' + 1'000 + x;\n"
      "  };\n"
      "  return f();\n"
      "}\n"
      "#define MACRO(x) { x }\n"
      "enum class E { A, B };\n"
      "}  // namespace a\n");
  const std::vector<FunctionLength> found = function_lengths(file);
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].lines, 2);
  EXPECT_EQ(found[1].lines, 1);
  EXPECT_EQ(found[2].lines, 7);
  EXPECT_EQ(found[2].line, 13);
}

TEST(Sizes, FilesAreShortEnough) {
  std::vector<int> sizes;
  for (const SourceFile* file :
       SourceTree::instance().under({"src", "kernels", "tools", "tests"})) {
    EXPECT_LE(file->lines(), kLongestFile) << file->path;
    if (file->folder() != "tests") sizes.push_back(file->lines());
  }
  print_percentiles("files", sizes);
}

TEST(Sizes, FunctionsAreShortEnough) {
  std::vector<int> sizes;
  for (const SourceFile* file : SourceTree::instance().under({"src", "kernels", "tools"})) {
    const bool kernel = file->path.ends_with("_cpu.cpp") || file->path.ends_with(".cu");
    for (const FunctionLength& function : function_lengths(*file)) {
      EXPECT_LE(function.lines, kernel ? kLongestKernel : kLongestHostFunction)
          << file->path << ":" << function.line << ": " << function.head;
      if (function.lines > 3) sizes.push_back(function.lines);
    }
  }
  print_percentiles("functions of more than 3 lines", sizes);
}

TEST(Sizes, TestsAreLongEnough) {
  int product = 0;
  int tests = 0;
  for (const SourceFile* file : SourceTree::instance().under({"src", "kernels"}))
    product += file->lines();
  for (const SourceFile* file : SourceTree::instance().under({"tests"})) tests += file->lines();
  std::cout << "tests / library lines: " << static_cast<double>(tests) / product << " (aim: 0.6)\n";
  EXPECT_GT(tests, 0);
}

}  // namespace
}  // namespace moe::arch
