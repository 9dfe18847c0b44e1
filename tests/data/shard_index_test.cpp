#include "data/shard_index.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <numeric>

#include "base/random.h"
#include "data/support.h"
#include "data/token_shard.h"

namespace moe::data {
namespace {

using testing::Documents;
using testing::message_of;
using testing::ScratchFolder;
using testing::write_quickly;
using testing::write_shard;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

ShardIndex open_index(const Path& prefix) {
  const ShardPaths paths = shard_paths(prefix);
  return ShardIndex(RandomAccessFile(paths.idx), RandomAccessFile(paths.bin));
}

std::vector<std::int64_t> begins_in(const ShardIndex& index, std::int64_t begin, std::int64_t end) {
  std::vector<std::int64_t> begins{-1};  // what was there goes
  index.document_begins(begin, end, begins);
  return begins;
}

TEST(ShardIndex, TellsWhereDocumentsBeginInARange) {
  const ScratchFolder scratch;
  const ShardIndex index = open_index(write_shard(scratch / "s", {{1, 2, 3}, {4}, {5, 6}}, 10));
  EXPECT_THAT(begins_in(index, 0, 6), ElementsAre(0, 3, 4));
  EXPECT_THAT(begins_in(index, 0, 3), ElementsAre(0));
  EXPECT_THAT(begins_in(index, 1, 4), ElementsAre(3));
  EXPECT_THAT(begins_in(index, 3, 5), ElementsAre(3, 4));
  EXPECT_THAT(begins_in(index, 5, 6), IsEmpty());
  EXPECT_THAT(begins_in(index, 6, 7), IsEmpty());
  EXPECT_THAT(begins_in(index, 2, 2), IsEmpty());
}

/// An index of one sequence per entry of `lengths`, and documents that begin at `documents`, in sequences.
Path write_index(const Path& prefix, const std::vector<std::int32_t>& lengths, const std::vector<std::int64_t>& documents) {
  std::string idx(kIndexMagic);
  const auto put = [&idx](const auto& value) { idx.append(reinterpret_cast<const char*>(&value), sizeof(value)); };
  put(kIndexVersion);
  put(TokenType::U16);
  put(static_cast<std::uint64_t>(lengths.size()));
  put(static_cast<std::uint64_t>(documents.size()));
  for (const std::int32_t length : lengths) put(length);
  std::int64_t pointer = 0;
  for (const std::int32_t length : lengths) {
    put(pointer);
    pointer += 2 * length;
  }
  for (const std::int64_t document : documents) put(document);
  write_quickly(shard_paths(prefix).idx, idx);
  write_quickly(shard_paths(prefix).bin, std::string(static_cast<std::size_t>(pointer), '\0'));
  return prefix;
}

// As other programs write them: documents of several sequences, and of none.
TEST(ShardIndex, HoldsDocumentsOfManySequencesAndOfNone) {
  const ScratchFolder scratch;
  const ShardIndex index = open_index(write_index(scratch / "s", {2, 3, 1, 4}, {0, 0, 2, 2, 4, 4}));
  EXPECT_EQ(index.documents(), 5);
  EXPECT_EQ(index.tokens(), 10);
  EXPECT_THAT(begins_in(index, 0, 11), ElementsAre(0, 0, 5, 5, 10));
  EXPECT_THAT(begins_in(index, 1, 10), ElementsAre(5, 5));
  EXPECT_EQ(index.document_of(0), 1);
  EXPECT_EQ(index.document_of(4), 1);
  EXPECT_EQ(index.document_of(5), 3);
  EXPECT_EQ(index.document_begin(5), 10);
}

// More documents than landmarks, so that a search goes on in the file: 3 documents a landmark, the last stride cut.
TEST(ShardIndex, FindsEveryDocumentOfMany) {
  const ScratchFolder scratch;
  constexpr std::int64_t kDocuments = 40001;
  const Random random(3, "documents");
  std::vector<std::int32_t> lengths;
  std::vector<std::int64_t> documents{0};
  for (std::int64_t d = 0; d < kDocuments; ++d) {
    const std::uint64_t kind = random.below(8, static_cast<std::uint64_t>(d));
    const std::int64_t sequences = kind == 0 ? 0 : kind == 1 ? 3 : 1;
    for (std::int64_t i = 0; i < sequences; ++i) {
      lengths.push_back(1 + static_cast<std::int32_t>(random.below(5, static_cast<std::uint64_t>(kDocuments + d * 3 + i))));
    }
    documents.push_back(documents.back() + sequences);
  }
  const ShardIndex index = open_index(write_index(scratch / "s", lengths, documents));
  std::vector<std::int64_t> ends(lengths.size() + 1, 0);
  std::partial_sum(lengths.begin(), lengths.end(), ends.begin() + 1);
  std::vector<std::int64_t> begins;
  for (std::int64_t d = 0; d < kDocuments; ++d) {
    begins.push_back(ends[static_cast<std::size_t>(documents[static_cast<std::size_t>(d)])]);
  }
  EXPECT_EQ(begins_in(index, 0, index.tokens() + 1), begins);
  for (std::int64_t at = 0; at < index.tokens(); at += 7) {
    const auto after = std::upper_bound(begins.begin(), begins.end(), at);
    ASSERT_EQ(index.document_of(at), after - begins.begin() - 1) << at;
    const auto first = std::lower_bound(begins.begin(), begins.end(), at);
    const auto last = std::lower_bound(begins.begin(), begins.end(), at + 20);
    ASSERT_EQ(begins_in(index, at, at + 20), std::vector<std::int64_t>(first, last)) << at;
  }
}

void overwrite(const Path& path, std::size_t offset, std::int64_t value) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(offset));
  file.write(reinterpret_cast<const char*>(&value), sizeof(value));
}

// The file is not held in memory: what is written over it is refused or leads nowhere outside the tokens.
TEST(ShardIndex, RefusesWhatChangedSinceItWasOpened) {
  const ScratchFolder scratch;
  const Documents documents{{1, 2, 3}, {4}, {5, 6}};
  const Path idx = shard_paths(scratch / "s").idx;
  constexpr std::size_t kPointers = 34 + 4 * 3;
  constexpr std::size_t kEnds = kPointers + 8 * 3;
  struct Change {
    std::size_t offset;
    std::int64_t value;
    const char* message;
  };
  for (const Change& change : {Change{kEnds + 8, -1, "document index: expected 0 to 3, as when it was opened, found -1"},
                               Change{kEnds + 8, 4, "document index"},
                               Change{kPointers + 8, -8, "sequence pointer"},
                               Change{kPointers + 8, 1 << 20, "sequence pointer"},
                               Change{kPointers + 16, 2, "begin of a document: expected 3 or later, as when it was opened, found 1"}}) {
    const ShardIndex index = open_index(write_shard(scratch / "s", documents, 10));
    overwrite(idx, change.offset, change.value);
    EXPECT_THAT(message_of([&] { begins_in(index, 1, 6); }), HasSubstr(change.message)) << change.offset;
  }
  const ShardIndex index = open_index(write_shard(scratch / "s", documents, 10));
  std::filesystem::resize_file(idx, kEnds);
  EXPECT_THAT(message_of([&] { index.document_begin(1); }), HasSubstr("s.idx"));
}

}  // namespace
}  // namespace moe::data
