#include "data/sentencepiece_model.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <string_view>
#include <unordered_set>

#include "base/error.h"
#include "base/format.h"
#include "data/utf8.h"

namespace moe::data {
namespace {

// Field numbers of sentencepiece_model.proto.
constexpr std::uint32_t kPieces = 1, kTrainerSpec = 2, kSelfTest = 4, kLastField = 5;
constexpr std::uint32_t kPieceText = 1, kPieceScore = 2, kPieceType = 3;
constexpr std::uint32_t kModelType = 3;
constexpr std::uint64_t kUnigram = 1, kBpe = 2;

/// Appended to a model, these fields of `normalizer_spec` replace what it says: no character map (2),
/// no dummy prefix (3), no removed spaces (4), spaces escaped as U+2581 (5).
constexpr std::string_view kIdentityNormalizer{"\x1a\x08\x12\x00\x18\x00\x20\x00\x28\x01", 10};

struct Field {
  std::uint32_t number = 0;
  std::uint32_t wire = 0;
  std::uint64_t value = 0;     // varint and fixed
  std::string_view bytes;      // length-delimited
  std::size_t offset = 0;      // of the field in the file
};

class Walker {
 public:
  Walker(std::string_view bytes, std::size_t offset, const std::string& origin)
      : bytes_(bytes), offset_(offset), origin_(origin) {}

  bool done() const { return at_ == bytes_.size(); }
  std::size_t position() const { return at_; }

  Field next() {
    Field field;
    field.offset = offset_ + at_;
    const std::uint64_t tag = varint();
    field.number = static_cast<std::uint32_t>(tag >> 3);
    field.wire = static_cast<std::uint32_t>(tag & 7U);
    if (field.number == 0 || (tag >> 3) > 0x1fffffffU) fail("a protobuf field");
    switch (field.wire) {
      case 0: field.value = varint(); break;
      case 1: field.value = fixed(8); break;
      case 2: field.bytes = take(varint()); break;
      case 5: field.value = fixed(4); break;
      default: fail("a protobuf wire type of 0, 1, 2 or 5");
    }
    return field;
  }

  /// A walker over the message that `field` holds.
  Walker inside(const Field& field) const {
    if (field.wire != 2) fail("a protobuf message");
    const auto begin = static_cast<std::size_t>(field.bytes.data() - bytes_.data());
    return {field.bytes, offset_ + begin, origin_};
  }

  [[noreturn]] void fail(const std::string& expected) const {
    throw DataError(format("{}: byte {}: not a SentencePiece model: expected {}", origin_,
                           offset_ + at_, expected));
  }

 private:
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (done()) fail("more bytes");
      const auto byte = static_cast<unsigned char>(bytes_[at_++]);
      value |= static_cast<std::uint64_t>(byte & 0x7fU) << shift;
      if (byte < 0x80) return value;
    }
    fail("a varint of at most 10 bytes");
  }

  std::string_view take(std::uint64_t size) {
    if (size > bytes_.size() - at_) fail(format("{} more bytes", size));
    const std::string_view taken = bytes_.substr(at_, static_cast<std::size_t>(size));
    at_ += taken.size();
    return taken;
  }

  std::uint64_t fixed(std::size_t size) {
    std::uint64_t value = 0;
    std::memcpy(&value, take(size).data(), size);
    return value;
  }

  std::string_view bytes_;
  std::size_t at_ = 0;
  std::size_t offset_;
  const std::string& origin_;
};

Piece read_piece(Walker walker) {
  Piece piece;
  while (!walker.done()) {
    const Field field = walker.next();
    if (field.number == kPieceText && field.wire == 2) piece.text = field.bytes;
    if (field.number == kPieceScore && field.wire == 5) {
      piece.score = std::bit_cast<float>(static_cast<std::uint32_t>(field.value));
    }
    if (field.number == kPieceType && field.wire == 0) {
      if (field.value < 1 || field.value > 6) walker.fail("a piece type of 1 to 6");
      piece.type = static_cast<PieceType>(field.value);
    }
  }
  return piece;
}

std::uint64_t read_model_type(Walker walker) {
  std::uint64_t type = kUnigram;
  while (!walker.done()) {
    const Field field = walker.next();
    if (field.number == kModelType && field.wire == 0) type = field.value;
  }
  return type;
}

class PieceChecker {
 public:
  explicit PieceChecker(const std::string& origin) : origin_(origin) {}

  void check(const Piece& piece, std::size_t index) {
    const auto fail = [&](const char* expected) {
      throw DataError(format("{}: piece {}: expected {}", origin_, index, expected));
    };
    if (piece.text.empty()) fail("a text, found none");
    if (!std::isfinite(piece.score)) fail("a finite score");
    if (!seen_.insert(piece.text).second) fail("a text of its own, found one used before");
    for (std::size_t at = 0; at < piece.text.size();) {
      const Utf8Char found = utf8_at(piece.text, at);
      if (!found.valid || found.code == 0) fail("valid UTF-8 without NUL");
      at += found.size;
    }
    if (piece.type == PieceType::Unknown) ++unknown_;
    if (piece.type == PieceType::Byte) {
      const int byte = byte_of_piece(piece.text);
      if (byte < 0) fail("a byte piece spelled <0x00> to <0xFF>");
      ++bytes_;
    }
  }

  void finish() const {
    if (unknown_ != 1) {
      throw DataError(format("{}: expected exactly one unknown piece, found {}", origin_, unknown_));
    }
    if (bytes_ != 256) {
      throw DataError(format(
          "{}: expected all 256 byte pieces, found {}: such a tokenizer cannot represent every text; "
          "use one trained with byte_fallback (moe-data train-tokenizer does)",
          origin_, bytes_));
    }
  }

 private:
  const std::string& origin_;
  std::unordered_set<std::string> seen_;
  int unknown_ = 0;
  int bytes_ = 0;
};

}  // namespace

int byte_of_piece(const std::string& text) {
  if (text.size() != 6 || text.compare(0, 3, "<0x") != 0 || text[5] != '>') return -1;
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  const int high = digit(text[3]);
  const int low = digit(text[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

SentencePieceModel read_sentencepiece_model(const std::string& bytes, const std::string& origin) {
  SentencePieceModel model;
  PieceChecker checker(origin);
  std::uint64_t type = kUnigram;
  Walker walker(bytes, 0, origin);
  while (!walker.done()) {
    const std::size_t begin = walker.position();
    const Field field = walker.next();
    if (field.number > kLastField && field.number < 200) walker.fail("a field of a ModelProto");
    if (field.number == kPieces) {
      model.pieces.push_back(read_piece(walker.inside(field)));
      checker.check(model.pieces.back(), model.pieces.size() - 1);
    }
    if (field.number == kTrainerSpec) type = read_model_type(walker.inside(field));
    // Self tests were made with the model's own normaliser, which is replaced below.
    if (field.number != kSelfTest) model.lossless.append(bytes, begin, walker.position() - begin);
  }
  if (model.pieces.empty()) {
    throw DataError(format("{}: not a SentencePiece model: expected pieces, found none in {} bytes",
                           origin, bytes.size()));
  }
  if (type != kUnigram && type != kBpe) {
    throw DataError(format(
        "{}: expected a BPE or unigram model (model_type 2 or 1), found model_type {}", origin, type));
  }
  checker.finish();
  model.lossless += kIdentityNormalizer;
  return model;
}

}  // namespace moe::data
