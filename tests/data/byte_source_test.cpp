#include "data/byte_source.h"

#include <gmock/gmock.h>
#include <zlib.h>
#include <zstd.h>

#include "base/random.h"
#include "data/support.h"

namespace moe::data {
namespace {

using testing::message_of;
using testing::ScratchFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string gzip(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zstd(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

std::string read_all(const Path& path, std::size_t block = 1000) {
  const auto source = open_bytes(path);
  std::string all;
  std::string buffer(block, '\0');
  while (const std::size_t got = source->read(buffer)) all.append(buffer, 0, got);
  EXPECT_EQ(source->consumed(), static_cast<std::int64_t>(std::filesystem::file_size(path)));
  return all;
}

std::string some_text(std::size_t size) {
  const Random random(1, "text");
  std::string text;
  for (std::uint64_t i = 0; text.size() < size; ++i) text += "word " + std::to_string(random.below(5000, i));
  text.resize(size);
  return text;
}

class Compressed : public ::testing::TestWithParam<std::string (*)(const std::string&)> {};
INSTANTIATE_TEST_SUITE_P(Formats, Compressed, ::testing::Values(&gzip, &zstd));

TEST_P(Compressed, ReadsWhatWasWritten) {
  const ScratchFolder scratch;
  for (const std::size_t size : {0, 1, 1000, 700001}) {
    const std::string text = some_text(size);
    const std::string path = scratch.write("f", GetParam()(text));
    EXPECT_EQ(read_all(path), text);
    EXPECT_EQ(read_all(path, 1), text.substr(0, size)) << size;
    if (size > 1000) break;
  }
}

TEST_P(Compressed, ReadsMembersOneAfterAnother) {
  const ScratchFolder scratch;
  const std::string path = scratch.write("f", GetParam()("one ") + GetParam()("") + GetParam()("two"));
  EXPECT_EQ(read_all(path), "one two");
}

TEST_P(Compressed, RefusesEveryTruncation) {
  const ScratchFolder scratch;
  const std::string whole = GetParam()(some_text(300));
  for (std::size_t size = 4; size < whole.size(); ++size) {
    const std::string path = scratch.write("cut", whole.substr(0, size));
    EXPECT_THAT(message_of([&] { read_all(path); }), HasSubstr("cut: byte ")) << size;
  }
}

TEST_P(Compressed, SurvivesFlippedBytes) {
  const ScratchFolder scratch;
  const std::string text = some_text(5000);
  const std::string whole = GetParam()(text);
  for (std::size_t at = 4; at < whole.size(); at += 7) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x41);
    const std::string path = scratch.write("flip", damaged);
    try {
      const auto source = open_bytes(path);
      std::string buffer(1 << 16, '\0');
      std::size_t total = 0;
      while (const std::size_t got = source->read(buffer)) total += got;
      EXPECT_LT(total, 10 * text.size());
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), HasSubstr("flip: byte "));
    }
  }
}

TEST(ByteSource, RefusesOtherCompressions) {
  const ScratchFolder scratch;
  const std::pair<std::string, const char*> rows[] = {
      {std::string("\xfd\x37\x7a\x58\x5a\x00zz", 8), "xz"},
      {"BZh91AY&SY....", "bzip2"},
      {"PK\x03\x04....", "zip"},
      {"PAR1....", "Parquet"},
  };
  for (const auto& [bytes, name] : rows) {
    EXPECT_THAT(message_of([&, path = scratch.write("f", bytes)] { open_bytes(path); }),
                HasSubstr(name));
  }
}

TEST(ListInputs, SortsFoldersAndSkipsHiddenFiles) {
  const ScratchFolder scratch;
  for (const char* name : {"t/b.txt", "t/a/z.txt", "t/a/c.txt", "t/.hidden", "t/.git/x", "one"}) {
    scratch.write(name, "x");
  }
  std::vector<std::string> names;
  const std::vector<std::string> inputs{(scratch / "one").string(), (scratch / "t").string()};
  for (const Path& path : list_inputs(inputs)) {
    names.push_back(path.lexically_relative(scratch.path()).string());
  }
  EXPECT_THAT(names, ElementsAre("one", "t/a/c.txt", "t/a/z.txt", "t/b.txt"));
}

TEST(ListInputs, NamesWhatIsMissingOrEmpty) {
  const ScratchFolder scratch;
  std::filesystem::create_directories(scratch / "empty");
  for (const char* name : {"absent", "empty"}) {
    const std::vector<std::string> inputs{(scratch / name).string()};
    EXPECT_THAT(message_of([&] { list_inputs(inputs); }), HasSubstr(name));
  }
}

TEST(LineReader, CutsLinesAndLongOnesInParts) {
  const ScratchFolder scratch;
  const std::string path = scratch.write("l", "a\n\nbcdefgh\nlast");
  const auto source = open_bytes(path);
  LineReader reader(*source, 3);
  std::vector<std::string> parts;
  std::string line;
  bool ended = false;
  while (reader.next(line, ended)) parts.push_back(line + (ended ? "|" : ""));
  EXPECT_THAT(parts, ElementsAre("a|", "|", "bcd", "efg", "h|", "las", "t"));
}

}  // namespace
}  // namespace moe::data
