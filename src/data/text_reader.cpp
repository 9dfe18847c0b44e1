#include "data/text_reader.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/format.h"
#include "data/byte_source.h"

namespace moe::data {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 20;
constexpr std::size_t kLongestJsonLine = std::size_t{1} << 30;

bool blank(const std::string& line) {
  return line.find_first_not_of(" \t\r\f\v") == std::string::npos;
}

class WholeFile final : public DocumentReader {
 public:
  explicit WholeFile(const Path& path) : source_(open_bytes(path)) {}

  bool next(TextPiece& piece) override {
    if (done_) return false;
    piece.text.resize(kPieceBytes);
    std::size_t filled = 0;
    while (filled < kPieceBytes) {
      const std::size_t got = source_->read(std::span(piece.text).subspan(filled));
      if (got == 0) break;
      filled += got;
    }
    piece.text.resize(filled);
    done_ = piece.ends_document = filled < kPieceBytes;
    return true;
  }
  std::int64_t consumed() const override { return source_->consumed(); }

 private:
  std::unique_ptr<ByteSource> source_;
  bool done_ = false;
};

class LineDocuments final : public DocumentReader {
 public:
  explicit LineDocuments(const Path& path)
      : source_(open_bytes(path)), lines_(*source_, kPieceBytes) {}

  bool next(TextPiece& piece) override {
    bool ended = false;
    while (lines_.next(piece.text, ended)) {
      const bool whole = ended || piece.text.size() < kPieceBytes;
      const bool continues = std::exchange(inside_line_, !whole);
      if (!continues && whole && blank(piece.text)) continue;
      if (ended && piece.text.ends_with('\r')) piece.text.pop_back();
      piece.ends_document = whole;
      return true;
    }
    // The last line had no line end and its length was a multiple of a piece.
    piece = {{}, true};
    return std::exchange(inside_line_, false);
  }
  std::int64_t consumed() const override { return source_->consumed(); }

 private:
  std::unique_ptr<ByteSource> source_;
  LineReader lines_;
  bool inside_line_ = false;
};

class ParagraphDocuments final : public DocumentReader {
 public:
  explicit ParagraphDocuments(const Path& path)
      : source_(open_bytes(path)), lines_(*source_, kPieceBytes) {}

  bool next(TextPiece& piece) override {
    piece = {};
    bool ended = false;
    while (piece.text.size() < kPieceBytes && lines_.next(line_, ended)) {
      const bool whole = ended || line_.size() < kPieceBytes;
      const bool continues = std::exchange(inside_line_, !whole);
      if (!continues && whole && blank(line_)) {
        if (!open_) continue;
        open_ = false;
        piece.ends_document = true;
        return true;
      }
      open_ = true;
      piece.text += line_;
      if (ended) piece.text += '\n';
    }
    if (piece.text.size() >= kPieceBytes) return true;
    piece.ends_document = true;
    return std::exchange(open_, false);
  }
  std::int64_t consumed() const override { return source_->consumed(); }

 private:
  std::unique_ptr<ByteSource> source_;
  LineReader lines_;
  std::string line_;
  bool inside_line_ = false;
  bool open_ = false;
};

class JsonLines final : public DocumentReader {
 public:
  JsonLines(const Path& path, std::string key)
      : path_(path), key_(std::move(key)), source_(open_bytes(path)), lines_(*source_, kLongestJsonLine) {}

  bool next(TextPiece& piece) override {
    bool ended = false;
    while (lines_.next(line_, ended)) {
      ++number_;
      if (!ended && line_.size() == kLongestJsonLine) {
        fail("expected a line of at most 1 GiB, found a longer one");
      }
      if (blank(line_)) continue;
      piece.text = text_of_line();
      piece.ends_document = true;
      return true;
    }
    return false;
  }
  std::int64_t consumed() const override { return source_->consumed(); }

 private:
  [[noreturn]] void fail(const std::string& reason) const {
    throw DataError(format("{}:{}: {}", path_.string(), number_, reason));
  }

  std::string text_of_line() const {
    nlohmann::json object;
    try {
      object = nlohmann::json::parse(line_);
    } catch (const nlohmann::json::exception& error) {
      fail(format("invalid JSON: {}", error.what()));
    }
    if (!object.is_object()) {
      fail(format("expected an object {{\"{}\": \"...\"}}, found {}", key_, object.type_name()));
    }
    const auto found = object.find(key_);
    if (found == object.end()) fail(missing_key(object));
    if (!found->is_string()) {
      fail(format("\"{}\": expected a string, found {}", key_, found->type_name()));
    }
    return std::move(found->get_ref<std::string&>());
  }

  std::string missing_key(const nlohmann::json& object) const {
    std::vector<std::string> keys;
    for (const auto& item : object.items()) {
      if (keys.size() == 8) break;
      keys.push_back(item.key());
    }
    return format("expected the key \"{}\", found {}; name the text's key with --json-key", key_,
                  keys.empty() ? "none" : fmt::format("{}", fmt::join(keys, ", ")));
  }

  Path path_;
  std::string key_;
  std::unique_ptr<ByteSource> source_;
  LineReader lines_;
  std::string line_;
  std::int64_t number_ = 0;
};

std::unique_ptr<DocumentReader> read_one(const Path& path, const ReadOptions& options) {
  if (reads_as_jsonl(path, options.format)) {
    return std::make_unique<JsonLines>(path, options.json_key);
  }
  switch (options.split) {
    case DocumentSplit::None: return std::make_unique<WholeFile>(path);
    case DocumentSplit::BlankLines: return std::make_unique<ParagraphDocuments>(path);
    case DocumentSplit::Lines: return std::make_unique<LineDocuments>(path);
  }
  return nullptr;
}

class FileSequence final : public DocumentReader {
 public:
  FileSequence(std::vector<Path> files, ReadOptions options)
      : files_(std::move(files)), options_(std::move(options)) {}

  bool next(TextPiece& piece) override {
    while (true) {
      if (current_ != nullptr && current_->next(piece)) return true;
      if (current_ != nullptr) consumed_before_ += current_->consumed();
      current_.reset();
      if (next_file_ == files_.size()) return false;
      current_ = read_one(files_[next_file_++], options_);
    }
  }
  std::int64_t consumed() const override {
    return consumed_before_ + (current_ != nullptr ? current_->consumed() : 0);
  }

 private:
  std::vector<Path> files_;
  ReadOptions options_;
  std::size_t next_file_ = 0;
  std::unique_ptr<DocumentReader> current_;
  std::int64_t consumed_before_ = 0;
};

template <class T, std::size_t N>
T parse_choice(const char* what, const std::string& name,
               const std::pair<const char*, T> (&choices)[N]) {
  std::vector<std::string> names;
  for (const auto& [key, value] : choices) {
    if (name == key) return value;
    names.emplace_back(key);
  }
  throw ConfigError(
      format("{}: expected one of {}, found \"{}\"", what, fmt::join(names, ", "), name));
}

}  // namespace

TextFormat parse_text_format(const std::string& name) {
  static constexpr std::pair<const char*, TextFormat> kChoices[] = {
      {"auto", TextFormat::Auto}, {"text", TextFormat::Text}, {"jsonl", TextFormat::Jsonl}};
  return parse_choice("format", name, kChoices);
}

DocumentSplit parse_document_split(const std::string& name) {
  static constexpr std::pair<const char*, DocumentSplit> kChoices[] = {
      {"none", DocumentSplit::None},
      {"blank-lines", DocumentSplit::BlankLines},
      {"lines", DocumentSplit::Lines}};
  return parse_choice("split-documents", name, kChoices);
}

bool reads_as_jsonl(const Path& path, TextFormat format) {
  if (format != TextFormat::Auto) return format == TextFormat::Jsonl;
  Path name = path.filename();
  if (name.extension() == ".gz" || name.extension() == ".zst") name = name.stem();
  return name.extension() == ".jsonl" || name.extension() == ".ndjson";
}

std::unique_ptr<DocumentReader> read_documents(std::vector<Path> files, const ReadOptions& options) {
  return std::make_unique<FileSequence>(std::move(files), options);
}

}  // namespace moe::data
