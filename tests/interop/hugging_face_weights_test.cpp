#include "interop/hugging_face_weights.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/format.h"
#include "interop/contained_file.h"
#include "interop/support.h"
#include "interop/weights_index.h"

namespace moe::interop {
namespace {

using testing::file_bytes;
using testing::put;
using testing::refusal;
using testing::TemporaryFolder;

std::string one_tensor(const std::string& name, char fill = 'x') {
  return file_bytes(format(R"({{"{}":{{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}}})", name),
                    std::string(4, fill));
}

constexpr const char* kFirst = "model-00001-of-00002.safetensors";
constexpr const char* kSecond = "model-00002-of-00002.safetensors";

std::string index_text(const std::string& map,
                       const std::string& metadata = R"({"total_size":8})") {
  return format(R"({{"metadata":{},"weight_map":{{{}}}}})", metadata, map);
}

const std::string kMap = format(R"("a":"{}","b":"{}")", kFirst, kSecond);

/// Two shards with one tensor each.
class Weights : public ::testing::Test {
 protected:
  Weights() {
    put(folder_ / kFirst, one_tensor("a", '1'));
    put(folder_ / kSecond, one_tensor("b", '2'));
    put(folder_ / kIndexName, index_text(kMap));
  }
  std::string opened(bool follow_links = false) const {
    return refusal([&] { HuggingFaceWeights weights(folder_.path(), {follow_links}); });
  }
  TemporaryFolder folder_;
};

TEST_F(Weights, JoinsShards) {
  const HuggingFaceWeights weights(folder_.path());
  EXPECT_EQ(weights.names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(weights.files(), (std::vector<std::string>{kFirst, kSecond}));
  std::string bytes(4, '\0');
  weights.read("b", checkpoint::flat_view(bytes.data(), DType::U8, 4));
  EXPECT_EQ(bytes, "2222");
  EXPECT_FALSE(weights.contains("c"));
}

TEST_F(Weights, ASingleFileNeedsNoIndexAndComesFirst) {
  put(folder_ / kSingleFileName, one_tensor("only"));
  EXPECT_EQ(HuggingFaceWeights(folder_.path()).names(), (std::vector<std::string>{"only"}));
}

TEST_F(Weights, RefusesEveryIndexThatDoesNotFit) {
  struct Row {
    const char* name;
    std::string index;
    const char* phrase;
  };
  const auto mapped = [](const std::string& file) {
    return index_text(format(R"("a":"{}","b":"{}")", kFirst, file));
  };
  const Row rows[] = {
      {"traversal", mapped("../b.safetensors"), "not a plain file name"},
      {"deep traversal", mapped("x/../../b"), "not a plain file name"},
      {"absolute", mapped("/etc/passwd"), "not a plain file name"},
      {"backslash", mapped("..\\\\b"), "not a plain file name"},
      {"dot", mapped("."), "not a plain file name"},
      {"dots", mapped(".."), "not a plain file name"},
      {"empty", mapped(""), "not a plain file name"},
      {"NUL", mapped("b\\u0000"), "not a plain file name"},
      {"long", mapped(std::string(256, 'x')), "not a plain file name"},
      {"absent file", mapped("absent.safetensors"), "absent.safetensors: cannot open"},
      {"not a safetensors file", mapped(kIndexName), "its header would be"},
      {"wrong shard", index_text(format(R"("a":"{}","b":"{}")", kSecond, kFirst)),
       "which the index puts"},
      {"tensor of no shard", index_text(kMap + format(R"(,"c":"{}")", kFirst)), "lacks tensor 'c'"},
      {"repeated tensor", index_text(kMap + format(R"(,"a":"{}")", kFirst)), "'a' stands twice"},
      {"repeated map", format(R"({{"weight_map":{{}},"weight_map":{{{}}}}})", kMap),
       "stands twice"},
      {"no map", R"({"metadata":{"total_size":8}})", "no weight_map"},
      {"empty object", "{}", "no weight_map"},
      {"unknown field", R"({"weight_map":{},"extra":1})", "unknown field 'extra'"},
      {"map of numbers", index_text(R"("a":1)"), "expected a file name for tensor 'a'"},
      {"map of objects", index_text(R"("a":{})"), "expected a file name for tensor 'a'"},
      {"map of lists", index_text(R"("a":[])"), "expected a file name for tensor 'a'"},
      {"map is a text", R"({"weight_map":"a"})", "expected an object"},
      {"map is a list", R"({"weight_map":["a"]})", "expected an object"},
      {"metadata is a number", R"({"metadata":1,"weight_map":{}})", "expected an object"},
      {"total too small", index_text(kMap, R"({"total_size":7})"),
       "total_size is 7, the tensors have 8"},
      {"total negative", index_text(kMap, R"({"total_size":-8})"), "as total_size"},
      {"total fractional", index_text(kMap, R"({"total_size":8.0})"), "as total_size"},
      {"total as text", index_text(kMap, R"({"total_size":"8"})"), "as total_size"},
      {"total repeated", index_text(kMap, R"({"total_size":8,"total_size":8})"), "stands twice"},
      {"not JSON", "weight_map", "not valid JSON"},
      {"list", "[]", "expected an object"},
      {"cut", index_text(kMap).substr(0, 40), "not valid JSON"},
      {"text after", index_text(kMap) + "x", "not valid JSON"},
      {"deep", index_text(kMap, R"({"x":)" + std::string(100, '[') + std::string(100, ']') + "}"),
       "nested too deeply"},
      {"empty file", "", "not valid JSON"},
  };
  for (const Row& row : rows) {
    put(folder_ / kIndexName, row.index);
    EXPECT_NE(opened().find(row.phrase), std::string::npos) << row.name << ": '" << opened() << "'";
  }
}

TEST_F(Weights, ATensorThatTheIndexDoesNotMapIsRefused) {
  put(folder_ / kSecond, file_bytes(R"({"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                                    R"("more":{"dtype":"U8","shape":[1],"data_offsets":[4,5]}})",
                                    "12345"));
  EXPECT_NE(opened().find("holds tensor 'more', which the index puts nowhere"), std::string::npos);
}

TEST_F(Weights, AcceptsIndexesWithoutTotalOrWithOtherMetadata) {
  for (const char* metadata :
       {"{}", R"({"made_by":"x","more":[1,{"a":null}],"total_parameters":8})"}) {
    put(folder_ / kIndexName, index_text(kMap, metadata));
    EXPECT_EQ(opened(), "") << metadata;
  }
  put(folder_ / kIndexName, format(R"({{"weight_map":{{{}}}}})", kMap));
  EXPECT_EQ(opened(), "");
}

TEST_F(Weights, LinksThatLeadOutNeedPermission) {
  const TemporaryFolder outside;
  std::filesystem::rename(folder_ / kSecond, outside / "blob");
  std::filesystem::create_symlink(outside / "blob", folder_ / kSecond);
  EXPECT_NE(opened().find("leads out of its folder"), std::string::npos) << opened();
  EXPECT_EQ(opened(true), "");
  std::filesystem::remove(folder_ / kIndexName);
  std::filesystem::rename(folder_ / kSecond, folder_ / kSingleFileName);
  EXPECT_NE(opened().find("follow_links"), std::string::npos);
  EXPECT_EQ(opened(true), "");
}

TEST_F(Weights, OnlyRegularFilesAreRead) {
  std::filesystem::remove(folder_ / kSecond);
  ASSERT_EQ(::mkfifo((folder_ / kSecond).c_str(), 0600), 0);
  EXPECT_NE(opened().find("expected a regular file"), std::string::npos) << "and no hanging";
  std::filesystem::remove(folder_ / kSecond);
  std::filesystem::create_directory(folder_ / kSecond);
  EXPECT_NE(opened().find("expected a regular file"), std::string::npos);
}

TEST_F(Weights, AFolderWithoutWeightsSaysWhatIsExpected) {
  for (const char* name : {kFirst, kSecond, kIndexName}) std::filesystem::remove(folder_ / name);
  put(folder_ / "pytorch_model.bin", "pickle");
  EXPECT_NE(opened().find("expected model.safetensors or"), std::string::npos);
  EXPECT_NE(refusal([&] { HuggingFaceWeights weights(folder_ / "absent"); }).find("cannot open"),
            std::string::npos);
}

TEST(PlainNames, AreAClosedSet) {
  for (const char* good : {"a", "model.safetensors", ".hidden", "a b", "\xc3\xa9"}) {
    EXPECT_TRUE(is_plain_name(good)) << good;
  }
  using std::string_view_literals::operator""sv;
  for (const auto bad : {""sv, "."sv, ".."sv, "a/b"sv, "a\\b"sv, "a\nb"sv, "a\0b"sv, "/a"sv}) {
    EXPECT_FALSE(is_plain_name(bad));
  }
}

}  // namespace
}  // namespace moe::interop
