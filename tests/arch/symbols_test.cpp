// Code compiled for a newer instruction set must never be linked into the path of an older one: an
// inline function with external linkage would be, since the linker keeps any one of its copies.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "arch/source_tree.h"

namespace moe::arch {
namespace {

namespace fs = std::filesystem;

std::string output_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), &::pclose);
  if (!pipe) return "";
  std::string text;
  std::array<char, 4096> buffer{};
  while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe.get())) {
    text.append(buffer.data(), got);
  }
  return text;
}

std::vector<std::string> objects_of(const std::string& isa) {
  const fs::path folder = fs::path(MOE_BINARY_DIR) / "CMakeFiles" / ("moe_kernels_" + isa + ".dir");
  std::vector<std::string> found;
  if (!fs::exists(folder)) return found;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension() == ".o") found.push_back(entry.path().string());
  }
  return found;
}

/// "0000 W std::vector<...>::push_back" of `nm -C`: the kinds that the linker merges by name.
bool is_weak(const std::string& line) {
  const std::vector<std::string> parts = words(line);
  return parts.size() >= 3 && parts[1].size() == 1 &&
         std::string("WwVvu").find(parts[1]) != std::string::npos &&
         parts[2] != "DW.ref.__gxx_personality_v0";  // a pointer to the runtime, the same in all
}

void expect_no_leak(const std::string& isa) {
  const std::string own = "moe::kernels::" + isa + "::";
  const std::vector<std::string> objects = objects_of(isa);
  bool has_kernels = false;
  for (const SourceFile* file : SourceTree::instance().under({"kernels"})) {
    has_kernels = has_kernels || file->path.ends_with("_cpu.cpp");
  }
  ASSERT_EQ(objects.empty(), !has_kernels) << "build all targets first";
  for (const std::string& object : objects) {
    const std::string symbols = output_of("nm -C --defined-only '" + object + "'");
    ASSERT_FALSE(symbols.empty()) << "nm (binutils) shows nothing in " << object;
    for (const std::string& line : lines(symbols)) {
      EXPECT_FALSE(is_weak(line) && line.find(own) == std::string::npos)
          << object << " defines\n  " << line << "\nwhich other files may be given at link time";
    }
  }
}

TEST(Symbols, OfAvx2KernelsAreTheirOwn) {
  expect_no_leak("avx2");
}
TEST(Symbols, OfAvx512KernelsAreTheirOwn) {
  expect_no_leak("avx512");
}
TEST(Symbols, OfAvx512Bf16KernelsAreTheirOwn) {
  expect_no_leak("avx512_bf16");
}

TEST(Symbols, WeakOnesAreRecognised) {
  EXPECT_TRUE(is_weak("0000000000000000 W std::vector<int>::push_back(int&&)"));
  EXPECT_TRUE(is_weak("0000000000000000 V typeinfo for int"));
  EXPECT_TRUE(is_weak("0000000000000000 u guard variable for f()::x"));
  EXPECT_FALSE(is_weak("0000000000000000 T moe::kernels::avx512::adamw(moe::Stream&)"));
  EXPECT_FALSE(is_weak("0000000000000000 t local"));
  EXPECT_FALSE(is_weak("0000000000000000 V DW.ref.__gxx_personality_v0"));
  EXPECT_FALSE(is_weak(""));
}

}  // namespace
}  // namespace moe::arch
