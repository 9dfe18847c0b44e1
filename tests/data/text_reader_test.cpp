#include "data/text_reader.h"

#include <gmock/gmock.h>

#include "data/support.h"

namespace moe::data {
namespace {

using testing::message_of;
using testing::ScratchFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> documents_of(const std::vector<Path>& files, const ReadOptions& options = {}) {
  const auto reader = read_documents(files, options);
  std::vector<std::string> documents;
  std::string open;
  TextPiece piece;
  bool ended = true;
  while (reader->next(piece)) {
    open += piece.text;
    ended = piece.ends_document;
    if (ended) documents.push_back(std::exchange(open, {}));
  }
  EXPECT_TRUE(ended);
  return documents;
}

struct SplitRow {
  const char* name;
  DocumentSplit split;
  std::string text;
  std::vector<std::string> documents;
};

class Splitting : public ::testing::TestWithParam<SplitRow> {};

TEST_P(Splitting, FindsTheDocuments) {
  const ScratchFolder scratch;
  const std::string path = scratch.write("t.txt", GetParam().text);
  EXPECT_EQ(documents_of({path}, {.split = GetParam().split}), GetParam().documents);
}

const std::string kGiant(3 << 20, 'a');

INSTANTIATE_TEST_SUITE_P(
    Rows, Splitting,
    ::testing::Values(
        SplitRow{"whole_empty", DocumentSplit::None, "", {""}},
        SplitRow{"whole", DocumentSplit::None, "a\r\n\nb\n", {"a\r\n\nb\n"}},
        SplitRow{"whole_nul", DocumentSplit::None, std::string("\0\xff", 2), {std::string("\0\xff", 2)}},
        SplitRow{"whole_giant", DocumentSplit::None, kGiant, {kGiant}},
        SplitRow{"lines_empty", DocumentSplit::Lines, "", {}},
        SplitRow{"lines_blank", DocumentSplit::Lines, "\n \n\r\n\t", {}},
        SplitRow{"lines", DocumentSplit::Lines, "a\r\n\n b \nlast", {"a", " b ", "last"}},
        SplitRow{"lines_giant", DocumentSplit::Lines, kGiant + "\nb\n" + kGiant, {kGiant, "b", kGiant}},
        SplitRow{"paragraphs_empty", DocumentSplit::BlankLines, "", {}},
        SplitRow{"paragraphs_blank", DocumentSplit::BlankLines, "\n\n  \n", {}},
        SplitRow{"paragraphs", DocumentSplit::BlankLines, "\na\nb\n\n \nc\n", {"a\nb\n", "c\n"}},
        SplitRow{"paragraphs_open", DocumentSplit::BlankLines, "a\n\nb", {"a\n", "b"}},
        SplitRow{"paragraphs_giant", DocumentSplit::BlankLines, kGiant + "\n\n" + kGiant,
                 {kGiant + "\n", kGiant}}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(TextReader, TakesFilesInOrderAndJsonlByName) {
  const ScratchFolder scratch;
  const std::vector<Path> files{
      scratch.write("a.txt", "one"),
      scratch.write("b.jsonl", "{\"text\": \"two\\n\"}\n\n{\"id\": 3, \"text\": \"\\u00e9\"}"),
      scratch.write("c.ndjson", "{\"text\": \"\"}\n"), scratch.write("d.json", "{}")};
  EXPECT_THAT(documents_of(files), ElementsAre("one", "two\n", "é", "", "{}"));
  EXPECT_THAT(documents_of({files[1]}, {.format = TextFormat::Jsonl, .json_key = "text"}),
              ElementsAre("two\n", "é"));
  EXPECT_TRUE(reads_as_jsonl("x.jsonl.gz", TextFormat::Auto));
  EXPECT_TRUE(reads_as_jsonl("x.jsonl.zst", TextFormat::Auto));
  EXPECT_FALSE(reads_as_jsonl("x.jsonl.txt", TextFormat::Auto));
  EXPECT_FALSE(reads_as_jsonl("x.jsonl", TextFormat::Text));
}

struct JsonRow {
  const char* name;
  std::string line;
  const char* expected;
};

class BadJson : public ::testing::TestWithParam<JsonRow> {};

TEST_P(BadJson, IsRefusedWithFileAndLine) {
  const ScratchFolder scratch;
  const std::string path = scratch.write("x.jsonl", "{\"text\": \"fine\"}\n" + GetParam().line + "\n");
  const std::string message = message_of([&] { documents_of({path}); });
  EXPECT_THAT(message, HasSubstr(path + ":2: "));
  EXPECT_THAT(message, HasSubstr(GetParam().expected));
}

INSTANTIATE_TEST_SUITE_P(
    Rows, BadJson,
    ::testing::Values(JsonRow{"cut", "{\"text\": \"a", "invalid JSON"},
                      JsonRow{"plain", "hello", "invalid JSON"},
                      JsonRow{"two", "{\"text\": \"a\"} {}", "invalid JSON"},
                      JsonRow{"bytes", "{\"text\": \"\xff\"}", "invalid JSON"},
                      JsonRow{"surrogate", "{\"text\": \"\\ud800\"}", "invalid JSON"},
                      JsonRow{"array", "[\"text\"]", "found array"},
                      JsonRow{"no_key", "{\"body\": \"a\", \"id\": 1}", "found body, id"},
                      JsonRow{"no_keys", "{}", "found none"},
                      JsonRow{"number", "{\"text\": 3}", "\"text\": expected a string, found number"},
                      JsonRow{"null", "{\"text\": null}", "found null"}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(TextReader, DeepJsonIsNoProblem) {
  const ScratchFolder scratch;
  std::string deep = "{\"text\": \"a\", \"x\": ";
  deep += std::string(100000, '[') + std::string(100000, ']') + "}";
  EXPECT_THAT(documents_of({scratch.write("x.jsonl", deep)}), ElementsAre("a"));
}

TEST(TextReader, NamesItsChoices) {
  EXPECT_THAT(message_of<ConfigError>([] { parse_text_format("csv"); }), HasSubstr("auto, text, jsonl"));
  EXPECT_THAT(message_of<ConfigError>([] { parse_document_split("page"); }),
              HasSubstr("none, blank-lines, lines"));
}

}  // namespace
}  // namespace moe::data
