#include "interop/safetensors.h"

#include <gtest/gtest.h>

#include <numeric>

#include "base/format.h"
#include "base/random.h"
#include "interop/contained_file.h"
#include "interop/support.h"

namespace moe::interop {
namespace {

using testing::file_bytes;
using testing::put;
using testing::refusal;
using testing::TemporaryFolder;

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return format(R"("{}":{{"dtype":"{}","shape":{},"data_offsets":{}}})", name, dtype, shape,
                offsets);
}

const std::string kGood = "{" + entry("w", "F32", "[2,2]", "[0,16]") + "}";

TEST(Safetensors, AcceptsEdgeFiles) {
  struct Row {
    const char* name;
    std::string header;
    std::size_t data;
    std::vector<std::string> names;
  };
  const Row rows[] = {
      {"plain", kGood, 16, {"w"}},
      {"padded with spaces", kGood + std::string(37, ' '), 16, {"w"}},
      {"spaces inside", "{ \"w\" : " + kGood.substr(5), 16, {"w"}},
      {"empty", "{}", 0, {}},
      {"metadata alone", R"({"__metadata__":{"format":"pt"}})", 0, {}},
      {"empty metadata", R"({"__metadata__":{}})", 0, {}},
      {"scalar", "{" + entry("s", "F64", "[]", "[0,8]") + "}", 8, {"s"}},
      {"zero size", "{" + entry("z", "F32", "[0,5]", "[0,0]") + "}", 0, {"z"}},
      {"zero size between",
       "{" + entry("b", "U8", "[1]", "[1,2]") + "," + entry("z", "F32", "[3,0]", "[1,1]") + "," +
           entry("a", "U8", "[1]", "[0,1]") + "}",
       2,
       {"a", "b", "z"}},
      {"truth values", "{" + entry("m", "BOOL", "[3]", "[0,3]") + "}", 3, {"m"}},
      {"any UTF-8 name",
       "{" + entry("\xc3\xa9/\\u00e9 \\\"", "U8", "[1]", "[0,1]") + "}",
       1,
       {"\xc3\xa9/\xc3\xa9 \""}},
      {"six dims", "{" + entry("d", "U8", "[1,1,1,1,1,2]", "[0,2]") + "}", 2, {"d"}},
  };
  const TemporaryFolder folder;
  for (const Row& row : rows) {
    put(folder / "x", file_bytes(row.header, std::string(row.data, 'x')));
    EXPECT_EQ(refusal([&] { EXPECT_EQ(SafetensorsFile(folder / "x").names(), row.names); }), "")
        << row.name;
  }
}

TEST(Safetensors, RefusesEveryBrokenFileWithAReason) {
  struct Row {
    const char* name;
    std::string header;
    std::size_t data;
    const char* phrase;
  };
  const std::string two = entry("a", "U8", "[2]", "[0,2]") + ",";
  const std::string nested = std::string(200000, '[');
  const Row rows[] = {
      {"no header", "", 0, "does not begin with '{'"},
      {"array", "[]", 0, "does not begin with '{'"},
      {"leading space", " " + kGood, 16, "does not begin with '{'"},
      {"byte order mark", "\xef\xbb\xbf" + kGood, 16, "does not begin with '{'"},
      {"newline at the end", kGood + "\n", 16, "does not end with '}'"},
      {"NUL at the end", kGood + std::string(1, '\0'), 16, "does not end with '}'"},
      {"text after", kGood + "x}", 16, "not valid JSON"},
      {"two objects", kGood + "{}", 16, "not valid JSON"},
      {"cut", kGood.substr(0, 20), 16, "does not end with '}'"},
      {"key without value", "{\"w\"}", 0, "not valid JSON"},
      {"trailing comma", "{" + entry("w", "U8", "[1]", "[0,1]") + ",}", 1, "not valid JSON"},
      {"bad UTF-8", "{" + entry("\xff", "U8", "[1]", "[0,1]") + "}", 1, "not valid JSON"},
      {"NaN", "{" + entry("w", "U8", "[NaN]", "[0,1]") + "}", 1, "not valid JSON"},
      {"leading zero", "{" + entry("w", "U8", "[01]", "[0,1]") + "}", 1, "not valid JSON"},
      {"comment", "{/**/" + kGood.substr(1), 16, "not valid JSON"},
      {"repeated tensor",
       "{" + entry("w", "U8", "[1]", "[0,1]") + "," + entry("w", "U8", "[1]", "[0,1]") + "}", 1,
       "'w' stands twice"},
      {"repeated by escape",
       "{" + entry("w", "U8", "[1]", "[0,1]") + "," + entry("\\u0077", "U8", "[1]", "[0,1]") + "}",
       1, "'w' stands twice"},
      {"repeated field", R"({"w":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1,
       "'dtype' stands twice"},
      {"repeated metadata", R"({"__metadata__":{},"__metadata__":{}})", 0, "stands twice"},
      {"repeated metadata key", R"({"__metadata__":{"a":"1","a":"2"}})", 0, "'a' stands twice"},
      {"metadata number", R"({"__metadata__":{"a":1}})", 0, "expected a text as __metadata__ 'a'"},
      {"metadata text", R"({"__metadata__":"a"})", 0, "expected an object as __metadata__"},
      {"metadata null", R"({"__metadata__":null})", 0, "expected an object as __metadata__"},
      {"tensor null", R"({"w":null})", 0, "expected an object of tensor 'w'"},
      {"tensor array", R"({"w":[]})", 0, "expected an object of tensor 'w'"},
      {"no dtype", R"({"w":{"shape":[1],"data_offsets":[0,1]}})", 1, "expected dtype, shape"},
      {"no shape", R"({"w":{"dtype":"U8","data_offsets":[0,1]}})", 1, "expected dtype, shape"},
      {"no offsets", R"({"w":{"dtype":"U8","shape":[1]}})", 1, "expected dtype, shape"},
      {"one offset", "{" + entry("w", "U8", "[1]", "[0]") + "}", 1, "two data_offsets"},
      {"three offsets", "{" + entry("w", "U8", "[1]", "[0,1,2]") + "}", 1, "more than 2 numbers"},
      {"extra field", R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}})", 1,
       "unknown field 'x'"},
      {"unknown dtype", "{" + entry("w", "F31", "[1]", "[0,1]") + "}", 1, "unknown dtype 'F31'"},
      {"lower-case dtype", "{" + entry("w", "f32", "[1]", "[0,4]") + "}", 4, "unknown dtype"},
      {"dtype number", R"({"w":{"dtype":5,"shape":[1],"data_offsets":[0,1]}})", 1,
       "expected a text as dtype"},
      {"dtype we cannot hold", "{" + entry("w", "F8_E4M3", "[1]", "[0,1]") + "}", 1,
       "F8_E4M3, which this program cannot hold"},
      {"negative size", "{" + entry("w", "U8", "[-1]", "[0,1]") + "}", 1, "found a negative"},
      {"fractional size", "{" + entry("w", "U8", "[1.5]", "[0,1]") + "}", 1,
       "found the number 1.5"},
      {"size as 1.0", "{" + entry("w", "U8", "[1.0]", "[0,1]") + "}", 1, "found the number 1.0"},
      {"size as 1e0", "{" + entry("w", "U8", "[1e0]", "[0,1]") + "}", 1, "found the number 1e0"},
      {"size 2^64", "{" + entry("w", "U8", "[18446744073709551616]", "[0,0]") + "}", 0,
       "found the number 18446744073709551616"},
      {"size as text", "{" + entry("w", "U8", "[\"1\"]", "[0,1]") + "}", 1, "found a text"},
      {"size as truth value", "{" + entry("w", "U8", "[true]", "[0,1]") + "}", 1, "found a truth"},
      {"nested shape", "{" + entry("w", "U8", "[[1]]", "[0,1]") + "}", 1, "found an array"},
      {"shape as number", "{" + entry("w", "U8", "1", "[0,1]") + "}", 1,
       "expected an array as shape"},
      {"shape null", "{" + entry("w", "U8", "null", "[0,1]") + "}", 1,
       "expected an array as shape"},
      {"seven dims", "{" + entry("w", "U8", "[1,1,1,1,1,1,1]", "[0,1]") + "}", 1, "more than 6"},
      {"product overflows", "{" + entry("w", "U8", "[4294967296,4294967296]", "[0,0]") + "}", 0,
       "its size overflows"},
      {"product wraps to 0", "{" + entry("w", "F32", "[4611686018427387904,4]", "[0,0]") + "}", 0,
       "its size overflows"},
      {"overflow behind a 0", "{" + entry("w", "U8", "[0,9223372036854775807,16]", "[0,0]") + "}",
       0, "its size overflows"},
      {"vast behind a 0", "{" + entry("w", "U8", "[0,1152921504606846976]", "[0,0]") + "}", 0,
       "its size overflows"},
      {"sub-byte", "{" + entry("w", "F4", "[3]", "[0,2]") + "}", 2, "do not end on a byte"},
      {"too few bytes", "{" + entry("w", "F32", "[2]", "[0,4]") + "}", 4,
       "do not hold the 8 bytes"},
      {"too many bytes", "{" + entry("w", "F32", "[1]", "[0,8]") + "}", 8,
       "do not hold the 4 bytes"},
      {"backwards", "{" + entry("w", "U8", "[1]", "[1,0]") + "}", 1, "do not hold"},
      {"bytes for nothing", "{" + entry("w", "F32", "[0]", "[0,4]") + "}", 4, "hold the 0 bytes"},
      {"hole at the start", "{" + entry("w", "U8", "[1]", "[1,2]") + "}", 2, "a hole"},
      {"hole between", "{" + two + entry("b", "U8", "[1]", "[3,4]") + "}", 4, "a hole"},
      {"overlap", "{" + two + entry("b", "U8", "[2]", "[1,3]") + "}", 3, "an overlap"},
      {"same bytes twice", "{" + two + entry("b", "U8", "[2]", "[0,2]") + "}", 2, "an overlap"},
      {"file too short", kGood, 15, "end at byte 16 of the data, the file holds 15"},
      {"file too long", kGood, 17, "end at byte 16 of the data, the file holds 17"},
      {"bytes without tensors", "{}", 1, "the file holds 1"},
      {"control byte in a name", "{" + entry("a\\u0000b", "U8", "[1]", "[0,1]") + "}", 1,
       "control bytes"},
      {"newline in a name", "{" + entry("a\\nb", "U8", "[1]", "[0,1]") + "}", 1, "control bytes"},
      {"long name", "{" + entry(std::string(4097, 'n'), "U8", "[1]", "[0,1]") + "}", 1,
       "longer than 4096"},
      {"deep array", "{\"w\":" + nested + "}", 0, "found an array"},
      {"deep object", "{\"w\":{\"dtype\":{\"a\":{}}}}", 0, "found an object"},
  };
  static_assert(std::size(rows) >= 40);
  const TemporaryFolder folder;
  for (const Row& row : rows) {
    put(folder / "model.safetensors", file_bytes(row.header, std::string(row.data, 'x')));
    const std::string found = refusal([&] { SafetensorsFile file(folder / "model.safetensors"); });
    EXPECT_NE(found.find(row.phrase), std::string::npos) << row.name << ": '" << found << "'";
    EXPECT_NE(found.find("model.safetensors: "), std::string::npos) << row.name;
    EXPECT_LT(found.size(), 500U) << row.name << ": a message does not repeat the file";
  }
}

TEST(Safetensors, RefusesLengthsThatTheFileCannotHoldBeforeAllocating) {
  const TemporaryFolder folder;
  const Path path = folder / "x";
  const auto refused = [&](const std::string& bytes) {
    put(path, bytes);
    return refusal([&] { SafetensorsFile file(path); });
  };
  EXPECT_NE(refused("").find("too few"), std::string::npos);
  EXPECT_NE(refused("1234567").find("too few"), std::string::npos);
  for (const std::uint64_t length : {std::uint64_t{3}, kMaxSafetensorsHeader,
                                     kMaxSafetensorsHeader + 1, UINT64_MAX - 7, UINT64_MAX}) {
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &length, 8);
    EXPECT_NE(refused(bytes + "{}").find("its header would be"), std::string::npos) << length;
  }
  EXPECT_NE(refusal([&] { SafetensorsFile file(folder / "absent"); }).find("cannot open"),
            std::string::npos);
  EXPECT_NE(refusal([&] { SafetensorsFile file(folder.path()); }).find("regular file"),
            std::string::npos);
}

TEST(Safetensors, ReadsSlicesInAnyFloat) {
  std::vector<float> values(3 * 5 * 7);
  std::iota(values.begin(), values.end(), 0.0F);
  const std::string data(reinterpret_cast<const char*>(values.data()), values.size() * 4);
  const TemporaryFolder folder;
  put(folder / "x", file_bytes("{" + entry("w", "F32", "[3,5,7]", "[0,420]") +
                                   R"(,"__metadata__":{"format":"pt"}})",
                               data));
  const SafetensorsFile file(folder / "x");
  EXPECT_EQ(file.metadata("format"), "pt");
  EXPECT_EQ(file.metadata("absent"), std::nullopt);
  Slice box = whole(Shape{3, 5, 7});
  box.begin = {1, 2, 3};
  box.size = Shape{2, 2, 3};
  box.flat_begin = 1;
  box.flat_end = 11;
  std::vector<double> found(10);
  file.read("w", box, checkpoint::flat_view(found.data(), DType::F64, 10));
  for (std::int64_t i = 0; i < 10; ++i) {
    EXPECT_EQ(found[static_cast<std::size_t>(i)], static_cast<double>(global_index(box, i + 1)));
  }
}

TEST(Safetensors, AFileCutShortWhileOpenIsAnErrorNotASignal) {
  const TemporaryFolder folder;
  put(folder / "x", file_bytes(kGood, std::string(16, 'x')));
  const SafetensorsFile file(folder / "x");
  std::filesystem::resize_file(folder / "x", 20);
  float out[4];
  const std::string found =
      refusal([&] { file.read("w", checkpoint::flat_view(out, DType::F32, 4)); });
  EXPECT_NE(found.find("ended at byte"), std::string::npos) << found;
}

/// 3000 damaged files: each is refused with a CheckpointError, or is a valid file whose tensors can
/// be read.
TEST(Safetensors, SurvivesRandomMutations) {
  const std::string header = R"({"__metadata__":{"format":"pt"},)" +
                             entry("a.weight", "F32", "[2,3]", "[0,24]") + "," +
                             entry("b.weight", "BF16", "[4]", "[24,32]") + "}  ";
  const std::string good = file_bytes(header, std::string(32, '\x3f'));
  const std::string fragments[] = {"[",       "]",    "{",    "}",    "\"", ":",
                                   ",",       "-1",   "1e99", "null", "0",  "99999999999999999999",
                                   "\\u0000", "\xff", "F64",  "shape"};
  const Random random(1, "mutations");
  const TemporaryFolder folder(true);
  std::uint64_t counter = 0;
  int accepted = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = good;
    const std::uint64_t changes = 1 + random.below(3, counter++);
    for (std::uint64_t change = 0; change < changes; ++change) {
      const std::size_t at = random.below(bytes.size(), counter++);
      const std::uint64_t kind = random.below(4, counter++);
      const std::uint64_t value = random.bits(counter++);
      if (kind == 0) bytes[at] = static_cast<char>(value);
      if (kind == 1) bytes.erase(at, 1 + value % 4);
      if (kind == 2) bytes.insert(at, fragments[value % std::size(fragments)]);
      if (kind == 3) bytes[at] = static_cast<char>(bytes[at] ^ (1 << (value % 8)));
    }
    put(folder / "x", bytes);
    try {
      const SafetensorsFile file(folder / "x");
      for (const std::string& name : file.names()) {
        const auto& info = file.info(name);
        std::vector<std::byte> out(static_cast<std::size_t>(info.shape.numel() * 8));
        file.read(name, checkpoint::flat_view(out.data(), info.dtype, info.shape.numel()));
      }
      ++accepted;
    } catch (const CheckpointError&) {
    }
  }
  EXPECT_GT(accepted, 100) << "changes of the numbers are not changes of the format";
  EXPECT_LT(accepted, 2000);
}

TEST(Safetensors, DTypeNamesAgreeBothWays) {
  for (const DType dtype : {DType::F32, DType::BF16, DType::F64, DType::I32, DType::I64, DType::U8,
                            DType::U16, DType::F16}) {
    EXPECT_EQ(dtype_of_safetensors(safetensors_name(dtype)), dtype);
    for (const SafetensorsDType& known : safetensors_dtypes()) {
      if (known.name == safetensors_name(dtype)) {
        EXPECT_EQ(known.bits, 8 * size_of(dtype));
      }
    }
  }
}

}  // namespace
}  // namespace moe::interop
