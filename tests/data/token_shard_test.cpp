#include "data/token_shard.h"

#include <gmock/gmock.h>

#include <cstring>

#include "base/random.h"
#include "data/bytes_tokenizer.h"
#include "data/support.h"

namespace moe::data {
namespace {

using testing::Documents;
using testing::message_of;
using testing::ScratchFolder;
using testing::write_quickly;
using testing::write_shard;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string from_hex(const std::string& hex) {
  std::string bytes;
  std::string digits;
  for (const char c : hex) {
    if (std::isxdigit(static_cast<unsigned char>(c)) == 0) continue;
    digits += c;
    if (digits.size() == 2) {
      bytes += static_cast<char>(std::stoi(digits, nullptr, 16));
      digits.clear();
    }
  }
  return bytes;
}

// Two documents, [5, 6, 7] and [8, 300], typed in from the format's table.
const std::string kTinyIndex = from_hex(
    "4d 4d 49 44 49 44 58 00 00"  // "MMIDIDX\0\0"
    "01 00 00 00 00 00 00 00"     // version 1
    "08"                          // uint16
    "02 00 00 00 00 00 00 00"     // 2 sequences
    "03 00 00 00 00 00 00 00"     // 2 documents, plus 1
    "03 00 00 00  02 00 00 00"    // lengths in tokens
    "00 00 00 00 00 00 00 00"     // pointers in bytes
    "06 00 00 00 00 00 00 00"
    "00 00 00 00 00 00 00 00"     // where documents start and end, in sequences
    "01 00 00 00 00 00 00 00"
    "02 00 00 00 00 00 00 00");
const std::string kTinyTokens = from_hex("0500 0600 0700 0800 2c01");

void write_raw(const Path& prefix, const std::string& idx, const std::string& bin) {
  const ShardPaths paths = shard_paths(prefix);
  write_quickly(paths.idx, idx);
  write_quickly(paths.bin, bin);
}

std::vector<std::int32_t> all_tokens(const TokenShard& shard) {
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(shard.tokens()));
  shard.read(0, tokens);
  return tokens;
}

template <class T>
std::string with(std::string bytes, std::size_t offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof(T));
  return bytes;
}

TEST(TokenShard, WritesTheFormatsBytes) {
  const ScratchFolder scratch;
  const Path prefix = write_shard(scratch / "tiny", {{5, 6, 7}, {8, 300}}, 512);
  EXPECT_EQ(read_file(shard_paths(prefix).idx), kTinyIndex);
  EXPECT_EQ(read_file(shard_paths(prefix).bin), kTinyTokens);
}

TEST(TokenShard, ReadsAForeignShardWithoutDescription) {
  const ScratchFolder scratch;
  write_raw(scratch / "tiny", kTinyIndex, kTinyTokens);
  const TokenShard shard(scratch / "tiny");
  EXPECT_FALSE(shard.info().has_value());
  EXPECT_EQ(shard.documents(), 2);
  EXPECT_THAT(all_tokens(shard), ElementsAre(5, 6, 7, 8, 300));
  EXPECT_EQ(shard.index().document_begin(0), 0);
  EXPECT_EQ(shard.index().document_begin(1), 3);
  EXPECT_EQ(shard.index().document_begin(2), 5);
  EXPECT_EQ(shard.index().document_of(2), 0);
  EXPECT_EQ(shard.index().document_of(3), 1);
}

TEST(TokenShard, StoresWideVocabulariesAsInt32) {
  const ScratchFolder scratch;
  for (const std::int64_t vocab : {65499, 65500, 200000}) {
    const auto top = static_cast<std::int32_t>(vocab - 1);
    const TokenShard shard(write_shard(scratch / "wide", {{0, top}}, vocab));
    EXPECT_EQ(shard.type(), vocab < 65500 ? TokenType::U16 : TokenType::I32) << vocab;
    EXPECT_THAT(all_tokens(shard), ElementsAre(0, top));
  }
}

TEST(TokenShard, KeepsEveryDocumentOfAWideVocabulary) {
  const ScratchFolder scratch;
  const Documents documents{{70000, 1, 2}, {3}, {69999, 5}, {6, 7, 8, 9}};
  const TokenShard shard(write_shard(scratch / "t", documents, 70001));
  ASSERT_EQ(shard.documents(), 4);
  EXPECT_THAT(all_tokens(shard), ElementsAre(70000, 1, 2, 3, 69999, 5, 6, 7, 8, 9));
  for (std::int64_t d = 0; d < 4; ++d) {
    std::vector<std::int32_t> tokens(documents[static_cast<std::size_t>(d)].size());
    shard.read(shard.index().document_begin(d), tokens);
    EXPECT_EQ(tokens, documents[static_cast<std::size_t>(d)]);
  }
}

TEST(TokenShard, HoldsNoDocumentsOrOneToken) {
  const ScratchFolder scratch;
  const TokenShard none(write_shard(scratch / "none", {}, 10));
  EXPECT_EQ(none.tokens(), 0);
  EXPECT_EQ(none.documents(), 0);
  const TokenShard one(write_shard(scratch / "one", {{}, {9}, {}}, 10));
  EXPECT_EQ(one.tokens(), 1);
  EXPECT_EQ(one.documents(), 1);
}

struct BadField {
  const char* name;
  std::size_t offset;
  std::int64_t value;
  std::size_t bytes;
  const char* expected;
};

class HostileIndex : public ::testing::TestWithParam<BadField> {};

TEST_P(HostileIndex, IsRefusedWithPathOffsetExpectedAndFound) {
  const ScratchFolder scratch;
  std::string idx = kTinyIndex;
  std::memcpy(idx.data() + GetParam().offset, &GetParam().value, GetParam().bytes);
  write_raw(scratch / "bad", idx, kTinyTokens);
  const std::string message = message_of([&] { TokenShard shard(scratch / "bad"); });
  EXPECT_THAT(message, HasSubstr((scratch / "bad").string() + "."));
  EXPECT_THAT(message, HasSubstr("byte "));
  EXPECT_THAT(message, HasSubstr(GetParam().expected));
  EXPECT_THAT(message, HasSubstr("found"));
}

INSTANTIATE_TEST_SUITE_P(
    EveryField, HostileIndex,
    ::testing::Values(
        BadField{"magic", 3, 0, 1, "byte 0: magic"},
        BadField{"version_0", 9, 0, 8, "byte 9: version: expected 1, found 0"},
        BadField{"version_2", 9, 2, 8, "byte 9: version: expected 1, found 2"},
        BadField{"dtype_0", 17, 0, 1, "byte 17: dtype code"},
        BadField{"dtype_float", 17, 7, 1, "expected 4 (int32) or 8 (uint16), found 7"},
        BadField{"dtype_int32", 17, 4, 1, "byte 34: sequence length: expected 1 to 2 tokens"},
        BadField{"sequences_more", 18, 3, 8, "byte 26: document count"},
        BadField{"sequences_fewer", 18, 1, 8, "end of file"},
        BadField{"sequences_huge", 18, INT64_MAX, 8, "byte 18: sequence count"},
        BadField{"sequences_negative", 18, -1, 8, "byte 18: sequence count"},
        BadField{"sequences_overflow", 18, INT64_MAX / 4, 8, "byte 18: sequence count"},
        BadField{"documents_0", 26, 0, 8, "byte 26: document count"},
        BadField{"documents_fewer", 26, 2, 8, "end of file"},
        BadField{"documents_huge", 26, -1, 8, "byte 26: document count"},
        BadField{"length_0", 34, 0, 4, "byte 34: sequence length"},
        BadField{"length_negative", 34, -3, 4, "byte 34: sequence length"},
        BadField{"length_other", 34, 2, 4, "byte 50: sequence pointer"},
        BadField{"length_past_end", 38, 3, 4, "byte 38: sequence length"},
        BadField{"length_short", 38, 1, 4, "end of file"},
        BadField{"length_huge", 38, INT32_MAX, 4, "byte 38: sequence length"},
        BadField{"pointer_first", 42, 2, 8, "byte 42: sequence pointer: expected 0, found 2"},
        BadField{"pointer_odd", 50, 5, 8, "byte 50: sequence pointer: expected 6, found 5"},
        BadField{"pointer_negative", 50, -6, 8, "byte 50: sequence pointer"},
        BadField{"document_first", 58, 1, 8, "byte 58: first document index"},
        BadField{"document_past", 66, 3, 8, "byte 66: document index"},
        BadField{"document_negative", 66, -1, 8, "byte 66: document index"},
        BadField{"document_last", 74, 1, 8, "byte 74: last document index"}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(TokenShard, RefusesEveryTruncationAndTrailingByte) {
  const ScratchFolder scratch;
  const auto refused = [&](const std::string& idx, const std::string& bin) {
    write_raw(scratch / "cut", idx, bin);
    return !message_of([&] { TokenShard shard(scratch / "cut"); }).empty();
  };
  for (std::size_t size = 0; size < kTinyIndex.size(); ++size) {
    EXPECT_TRUE(refused(kTinyIndex.substr(0, size), kTinyTokens)) << "idx of " << size;
  }
  for (std::size_t size = 0; size < kTinyTokens.size(); ++size) {
    EXPECT_TRUE(refused(kTinyIndex, kTinyTokens.substr(0, size))) << "bin of " << size;
  }
  EXPECT_TRUE(refused(kTinyIndex + '\0', kTinyTokens));
  EXPECT_TRUE(refused(kTinyIndex, kTinyTokens + "x"));
  EXPECT_FALSE(refused(kTinyIndex, kTinyTokens));
}

TEST(TokenShard, NamesMultimodalFiles) {
  const ScratchFolder scratch;
  write_raw(scratch / "modes", kTinyIndex + std::string(2, '\1'), kTinyTokens);
  EXPECT_THAT(message_of([&] { TokenShard shard(scratch / "modes"); }), HasSubstr("multimodal"));
}

TEST(TokenShard, NamesAMissingFile) {
  const ScratchFolder scratch;
  EXPECT_THAT(message_of([&] { TokenShard shard(scratch / "absent"); }), HasSubstr("absent.idx"));
  scratch.write("half.idx", kTinyIndex);
  EXPECT_THAT(message_of([&] { TokenShard shard(scratch / "half"); }), HasSubstr("half.bin"));
}

// Whatever happens to the files, a shard is refused or gives exactly what they still say.
TEST(TokenShard, FiveThousandMutationsAreRefusedOrHarmless) {
  const ScratchFolder scratch;
  const Random random(7, "mutations");
  std::uint64_t draw = 0;
  const auto below = [&](std::size_t bound) {
    return static_cast<std::size_t>(random.below(bound, draw++));
  };
  int accepted = 0;
  for (int trial = 0; trial < 5000; ++trial) {
    std::string idx = kTinyIndex;
    std::string bin = kTinyTokens;
    for (std::size_t edits = 1 + below(3); edits > 0; --edits) {
      std::string& file = below(4) == 0 ? bin : idx;
      const std::size_t at = below(file.size());
      switch (below(4)) {
        case 0: file[at] = static_cast<char>(below(256)); break;
        case 1: file[at] = static_cast<char>(file[at] ^ (1 << below(8))); break;
        case 2: file.erase(at, 1 + below(8)); break;
        default: file.insert(at, 1 + below(8), static_cast<char>(below(256))); break;
      }
      if (file.empty()) file = "x";
    }
    write_raw(scratch / "m", idx, bin);
    try {
      const TokenShard shard(scratch / "m");
      ++accepted;
      EXPECT_EQ(static_cast<std::size_t>(shard.tokens() * size_of(shard.type())), bin.size());
      all_tokens(shard);
      for (std::int64_t t = 0; t < shard.tokens(); ++t) {
        const std::int64_t document = shard.index().document_of(t);
        ASSERT_LE(shard.index().document_begin(document), t);
        ASSERT_GT(shard.index().document_begin(document + 1), t);
      }
    } catch (const DataError&) {
    }
  }
  EXPECT_GT(accepted, 0);
  EXPECT_LT(accepted, 2500);
}

TEST(TokenShard, RefusesTokensPastTheVocabularyWithTheirOffset) {
  const ScratchFolder scratch;
  const TokenShard shard(write_shard(scratch / "v", {{5, 6, 7}, {8, 300}}, 512));
  const std::vector<std::int32_t> tokens = all_tokens(shard);
  shard.require_below(tokens, 0, 301);
  EXPECT_THAT(message_of([&] { shard.require_below(tokens, 0, 300); }),
              HasSubstr("v.bin: byte 8: token: expected 0 to 299 (the vocabulary has 300), found 300"));
  EXPECT_THAT(message_of([&] { verify_shard(scratch / "v", 300); }), HasSubstr("byte 8"));
  const std::vector<std::int32_t> negative{1, -1};
  EXPECT_THAT(message_of([&] { shard.require_below(negative, 0, 300); }), HasSubstr("found -1"));
}

TEST(TokenShard, VerifyFindsDamagedTokensAndStaleIndexes) {
  const ScratchFolder scratch;
  write_shard(scratch / "a", {{5, 6, 7}}, 512);
  EXPECT_EQ(verify_shard(scratch / "a").largest_token, 7);
  std::string bin = read_file(scratch / "a.bin");
  bin[0] ^= 1;
  scratch.write("a.bin", bin);
  EXPECT_THAT(message_of([&] { verify_shard(scratch / "a"); }), HasSubstr("a.bin: damaged"));

  write_shard(scratch / "b", {{5, 6}, {7}}, 512);
  scratch.write("a.bin", read_file(scratch / "b.bin"));
  scratch.write("a.idx", read_file(scratch / "b.idx"));
  EXPECT_THAT(message_of([&] { TokenShard shard(scratch / "a"); }), HasSubstr("a.json"));
}

TEST(TokenShard, NoticesAFileReplacedWhileInUse) {
  const ScratchFolder scratch;
  write_raw(scratch / "r", kTinyIndex, kTinyTokens);
  const TokenShard shard(scratch / "r");
  shard.check_unchanged();
  write_raw(scratch / "r", kTinyIndex, kTinyTokens + "xx");
  EXPECT_THAT(message_of([&] { shard.check_unchanged(); }), HasSubstr("changed while it was in use"));
}

TEST(TokenShard, RefusesADescriptionOfAnotherKind) {
  const ScratchFolder scratch;
  for (const char* text :
       {"", "[]", "{", "{\"format\": 3}", "{\"format\": \"moe token shard\"}",
        "{\"format\": \"moe token shard\", \"version\": 1e300}"}) {
    write_raw(scratch / "j", kTinyIndex, kTinyTokens);
    scratch.write("j.json", text);
    EXPECT_THAT(message_of([&] { TokenShard shard(scratch / "j"); }), HasSubstr("j.json")) << text;
  }
}

TEST(TokenShardWriter, LeavesNothingBehindWhenItDoesNotFinish) {
  const ScratchFolder scratch;
  write_shard(scratch / "s", {{1, 2, 3}}, 10);
  const auto before = scratch.files();
  {
    TokenShardWriter writer(scratch / "s", 10);
    writer.append(std::vector<std::int32_t>(100000, 4));
  }
  EXPECT_EQ(scratch.files(), before);
  EXPECT_EQ(TokenShard(scratch / "s").tokens(), 3);
}

TEST(TokenShardWriter, ReplacesAnOlderShardWhole) {
  const ScratchFolder scratch;
  write_shard(scratch / "s", {{1, 2, 3}}, 10);
  write_shard(scratch / "s", {{4}, {5, 6, 7, 8}}, 10);
  EXPECT_THAT(all_tokens(TokenShard(scratch / "s")), ElementsAre(4, 5, 6, 7, 8));
  EXPECT_THAT(scratch.files(), ElementsAre("s.bin", "s.idx", "s.json"));
}

TEST(TokenShardWriter, NamesAFolderItCannotCreate) {
  const ScratchFolder scratch;
  scratch.write("file", "x");
  EXPECT_THAT(message_of([&] { TokenShardWriter writer(scratch / "file/sub/s", 10); }),
              HasSubstr("file/sub"));
}

}  // namespace
}  // namespace moe::data
