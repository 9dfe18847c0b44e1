/// Turns text and JSONL files into documents, as a stream.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"

namespace moe::data {

enum class TextFormat {
  Auto,  ///< JSONL for names ending in .jsonl or .ndjson (before .gz, .zst), else text
  Text,
  Jsonl,
};

/// What a document is in a text file. In JSONL it is a line.
enum class DocumentSplit {
  None,        ///< the whole file, byte for byte
  BlankLines,  ///< a run of lines that are not blank, with its line ends
  Lines,       ///< a line that is not blank, without its line end
};

/// @throws ConfigError naming the allowed ones: "auto", "text", "jsonl"
TextFormat parse_text_format(const std::string& name);
/// @throws ConfigError naming the allowed ones: "none", "blank-lines", "lines"
DocumentSplit parse_document_split(const std::string& name);

/// Whether `path` is read as JSONL under `format`.
bool reads_as_jsonl(const Path& path, TextFormat format);

struct ReadOptions {
  TextFormat format = TextFormat::Auto;
  DocumentSplit split = DocumentSplit::None;
  std::string json_key = "text";
};

/// A document, or a part of a large one.
struct TextPiece {
  std::string text;
  bool ends_document = false;
};

/// @thread one
class DocumentReader {
 public:
  virtual ~DocumentReader() = default;
  /// False at the end; by then the last document was ended. Pieces stay around a megabyte except for
  /// JSONL, where a piece is a document.
  /// @throws DataError: path:line for JSONL that is no object, lacks the key or has another type there
  virtual bool next(TextPiece& piece) = 0;
  /// Bytes of the files read so far, before decompression.
  virtual std::int64_t consumed() const = 0;
};

/// Reads `files` in order.
std::unique_ptr<DocumentReader> read_documents(std::vector<Path> files, const ReadOptions& options);

}  // namespace moe::data
