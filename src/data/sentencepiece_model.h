/// Reads a SentencePiece .model file (a protobuf ModelProto) strictly, before the library sees it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace moe::data {

enum class PieceType { Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Unused = 5, Byte = 6 };

struct Piece {
  std::string text;
  float score = 0;
  PieceType type = PieceType::Normal;
};

struct SentencePieceModel {
  std::vector<Piece> pieces;
  /// The same model with an identity normaliser that adds and removes nothing: what the library is
  /// given, so that no byte of a text is lost.
  std::string lossless;
};

/// @throws DataError(origin, byte offset, expected, found): not a ModelProto, neither BPE nor unigram,
///   empty, repeated or malformed pieces, or one of the 256 byte pieces missing
SentencePieceModel read_sentencepiece_model(const std::string& bytes, const std::string& origin);

/// The value of a byte piece's text "<0x41>", or -1.
int byte_of_piece(const std::string& text);

}  // namespace moe::data
