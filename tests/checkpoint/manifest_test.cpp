#include "checkpoint/manifest.h"

#include <gtest/gtest.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/format.h"

namespace moe::checkpoint {
namespace {

Manifest sample() {
  Manifest manifest;
  manifest.header.step = 100;
  manifest.header.consumed_samples = 1;
  manifest.header.consumed_tokens = INT64_MAX;
  manifest.header.world = {{"size", 1}};
  manifest.header.config = "a: \"quoted\"\n\tb: \xc3\xa9\n";
  manifest.header.model = "{\"hidden_size\":8}";
  manifest.header.versions = {{"hdf5", "1.10.8"}};
  manifest.header.states = {{"cursor", "[1,2.5,{\"seed\":18446744073709551615}]"}};
  manifest.files = {{"shard_00000.h5", 4096, std::string(32, 'a')}};
  manifest.attachments = {{"tokenizer.model", 3, std::string(32, '0')}};
  TensorRecord tensor;
  tensor.info = {Shape{4, 2}, DType::BF16, {{"kind", "norm"}}};
  tensor.digest = 0xffffffffffffffffULL;
  Piece piece{0, "w", shard(whole(Shape{4, 2}), 2, 0), 7};
  tensor.pieces.push_back(piece);
  piece.slice = shard(whole(Shape{4, 2}), 2, 1);
  piece.dataset = "w#1";
  tensor.pieces.push_back(piece);
  manifest.tensors["layers.0/w"] = tensor;
  manifest.tensors["nothing"] = {{Shape{0}, DType::F32, {}}, 0, {}};
  return manifest;
}

/// Puts a right digest under a changed text, so that only the strict reading can refuse it.
std::string resealed(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
  const std::size_t seal = text.rfind("\"manifest_xxh128\"");
  const std::string body = text.substr(0, seal);
  const auto* bytes = reinterpret_cast<const std::byte*>(body.data());
  return body + format("\"manifest_xxh128\": \"{}\"}}\n", digest_128({bytes, body.size()}));
}

std::string refusal(const std::string& text) {
  try {
    parse_manifest(text, "M");
  } catch (const CheckpointError& error) {
    return error.what();
  }
  return "";
}

TEST(Manifest, ReadsBackWhatWasWritten) {
  const Manifest manifest = sample();
  const std::string text = manifest_text(manifest);
  EXPECT_EQ(parse_manifest(text, "M"), manifest);
  EXPECT_EQ(manifest_text(parse_manifest(text, "M")), text);
}

TEST(Manifest, EveryChangedOrMissingByteIsNoticed) {
  const std::string text = manifest_text(sample());
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (const int bit : {0, 3, 7}) {
      std::string damaged = text;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
      ASSERT_NE(refusal(damaged), "") << "byte " << i << " bit " << bit;
    }
    ASSERT_NE(refusal(text.substr(0, i)), "") << "cut at " << i;
  }
  EXPECT_NE(refusal(text + "\n"), "");
  EXPECT_NE(refusal(""), "");
}

TEST(Manifest, RefusesWhatDoesNotFollowTheFormat) {
  struct Row {
    const char* from;
    const char* to;
    const char* expected;
  };
  const Row rows[] = {
      {"\"complete\": true", "\"complete\": false", "complete"},
      {"\"complete\": true", "\"complete\": 1", "complete"},
      {"\"format_version\": 1", "\"format_version\": 2", "format version 2"},
      {"moe-train checkpoint", "other checkpoint", "not a manifest"},
      {"\"step\": 100", "\"step\": -1", "integer >= 0"},
      {"\"step\": 100", "\"step\": 1.5", "integer >= 0"},
      {"\"step\": 100", "\"step\": 18446744073709551615", "integer >= 0"},
      {"\"step\": 100", "\"step\": \"100\"", "integer >= 0"},
      {"\"step\": 100", "\"step\": 100, \"step\": 100", "stands twice"},
      {"\"step\": 100", "\"step\": 100, \"extra\": 1", "extra: expected no such field"},
      {"\"step\": 100,", "", "step: expected this field"},
      {"\"step\": 100", "\"step\": 0100", "not valid JSON"},
      {"hidden_size", "hidden_size\":8,\"hidden_size", "stands twice"},
      {"a: \\\"quoted", "a: \\\"altered", "config_xxh128"},
      {"\"bf16\"", "\"bf17\"", "unknown dtype"},
      {"shard_00000.h5", "../shard.h5", "not a plain"},
      {"shard_00000.h5", "manifest.json", "not a plain"},
      {"tokenizer.model", "shard_00000.h5", "not a plain"},
      {"\"layers.0/w\"", "\"layers.0/../w w\"", "bad tensor name"},
      {"\"file\":0", "\"file\":1", "unknown file"},
      {"\"flat\":[0,4]", "\"flat\":[0,9]", "outside its tensor"},
      {"\"flat\":[0,4]", "\"flat\":[4,4]", "outside its tensor"},
      {"\"flat\":[0,4]", "\"flat\":[0,4,5]", "at most 2"},
      {"\"begin\":[0,0]", "\"begin\":[1,0]", "outside its tensor"},
      {"\"begin\":[0,0]", "\"begin\":[9223372036854775807,0]", "outside its tensor"},
      {"\"begin\":[0,0]", "\"begin\":[0]", "wrong rank"},
      {"\"size\":[4,2]", "\"size\":[8]", "outside its tensor"},
      {"\"shape\":[4,2]", "\"shape\":[4,2,1,1,1,1,1]", "at most 6"},
      {"\"shape\":[0]", "\"shape\":[0,9223372036854775807,4]", "overflows"},
      {"\"shape\":[0]", "\"shape\":[0,1152921504606846976]", "overflows"},
      {"ffffffffffffffff", "fffffffffffffff", "16 hexadecimal"},
      {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaa", "32 hexadecimal"},
      {"{\"kind\":\"norm\"}", "{\"kind\":1}", "expected a text"},
      {"{\"kind\":\"norm\"}", "[]", "expected an object"},
      {"\"size\":1}", "\"size\":-1}", "integer >= 0"},
  };
  const std::string text = manifest_text(sample());
  for (const Row& row : rows) {
    const std::string found = refusal(resealed(text, row.from, row.to));
    EXPECT_NE(found.find(row.expected), std::string::npos)
        << row.from << " -> " << row.to << ": '" << found << "'";
    EXPECT_EQ(found.rfind("M", 0), 0U) << "names the file: " << found;
  }
}

TEST(Manifest, RefusesDeepNesting) {
  const std::string deep = std::string(100, '[') + std::string(100, ']');
  const std::string text = manifest_text(sample());
  EXPECT_NE(refusal(resealed(text, "\"cursor\":[1,", "\"cursor\":[" + deep + ",")).find("deeper"),
            std::string::npos);
}

TEST(Manifest, TextsThatCannotBeWrittenAreErrors) {
  Manifest manifest = sample();
  manifest.header.states["cursor"] = "{";
  EXPECT_THROW(manifest_text(manifest), CheckpointError);
  manifest = sample();
  manifest.header.config = "\xff";
  EXPECT_THROW(manifest_text(manifest), CheckpointError);
}

TEST(Manifest, MergingNamesTheRankThatDiffers) {
  const Manifest base = sample();
  const auto merge = [&](const std::function<void(Manifest&)>& change) -> std::string {
    Manifest into = base;
    Manifest part = base;
    change(part);
    try {
      merge_manifest(into, part, 3);
    } catch (const CheckpointError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(merge([](Manifest& m) { m.header.step = 9; }).find("rank 3 has another step"),
            std::string::npos);
  EXPECT_NE(merge([](Manifest& m) { m.header.states["cursor"] = "1"; }).find("state cursor"),
            std::string::npos);
  EXPECT_NE(merge([](Manifest& m) { m.header.states["more"] = "1"; }).find("state more"),
            std::string::npos);
  EXPECT_NE(merge([](Manifest& m) { m.header.states.clear(); }).find("state cursor"),
            std::string::npos);
  EXPECT_NE(merge([](Manifest& m) { m.header.config = "b"; }).find("config"), std::string::npos);
  EXPECT_NE(merge([](Manifest& m) {
              m.tensors["layers.0/w"].info.dtype = DType::F16;
            }).find("rank 3: tensor layers.0/w: f16 [4, 2] here, bf16 [4, 2]"),
            std::string::npos);
}

TEST(Manifest, MergingJoinsFilesAndPieces) {
  Manifest into = sample();
  const Manifest part = sample();
  merge_manifest(into, part, 1);
  ASSERT_EQ(into.files.size(), 2U);
  const auto& tensor = into.tensors.at("layers.0/w");
  ASSERT_EQ(tensor.pieces.size(), 4U);
  EXPECT_EQ(tensor.pieces[3].file, 1);
  EXPECT_EQ(tensor.digest, 2 * 0xffffffffffffffffULL);
  try {
    check_coverage(into, "M");
    FAIL() << "every element is there twice";
  } catch (const CheckpointError& error) {
    EXPECT_NE(std::string(error.what()).find("tensor layers.0/w"), std::string::npos);
  }
}

TEST(Names, TensorAndFileNamesAreClosedSets) {
  for (const char* good : {"a", "layers.0.moe/w_in", "a-b[0](1)@x+y=z,w"}) {
    EXPECT_TRUE(is_tensor_name(good)) << good;
  }
  for (const char* bad : {"", "/a", "a/", "a//b", "a b", "a:b", "a#1", "a\nb", "\xc3\xa9"}) {
    EXPECT_FALSE(is_tensor_name(bad)) << bad;
  }
  EXPECT_FALSE(is_tensor_name(std::string(513, 'a')));
  EXPECT_TRUE(is_file_name("tokenizer.model"));
  for (const char* bad : {"", ".", "..", ".hidden", "a/b", "a\\b", "a b"}) {
    EXPECT_FALSE(is_file_name(bad)) << bad;
  }
}

}  // namespace
}  // namespace moe::checkpoint
