#include "data/token_shard.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <vector>

#include "base/check.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/format.h"

namespace moe::data {
namespace {

template <class Expected, class Found>
[[noreturn]] void refuse(const Path& path, std::int64_t offset, const char* what,
                         const Expected& expected, const Found& found) {
  throw DataError(
      format("{}: byte {}: {}: expected {}, found {}", path.string(), offset, what, expected, found));
}

std::string printable(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) text += format("{:02x} ", static_cast<unsigned>(byte));
  if (!text.empty()) text.pop_back();
  return text;
}

Path with_suffix(const Path& prefix, const char* suffix) {
  Path path = prefix;
  path += suffix;
  return path;
}

/// 16 bits a token, through a block that stays in cache.
void read_narrow(const RandomAccessFile& file, std::int64_t begin, std::span<std::int32_t> out) {
  std::array<std::uint16_t, 4096> block;
  for (std::size_t at = 0; at < out.size(); at += block.size()) {
    const auto part = std::span(block).first(std::min(block.size(), out.size() - at));
    const auto first = static_cast<std::uint64_t>(begin) + at;
    file.read(first * sizeof(std::uint16_t), std::as_writable_bytes(part));
    std::ranges::copy(part, out.begin() + static_cast<std::ptrdiff_t>(at));
  }
}

}  // namespace

ShardPaths shard_paths(const Path& prefix) {
  return {with_suffix(prefix, ".bin"), with_suffix(prefix, ".idx"), with_suffix(prefix, ".json"),
          with_suffix(prefix, ".model")};
}

TokenShard::TokenShard(const Path& prefix)
    : prefix_(prefix),
      paths_(shard_paths(prefix)),
      idx_(paths_.idx),
      bin_(paths_.bin),
      idx_stamp_(stamp_of(paths_.idx)),
      bin_stamp_(stamp_of(paths_.bin)) {
  read_header();
  check_sequences();
  check_documents();
  index_digest_ = digest_128(idx_.bytes());
  if (std::filesystem::exists(paths_.info)) check_info();
}

template <class T>
T TokenShard::field(std::int64_t offset) const {
  T value;
  std::memcpy(&value, idx_.bytes().data() + offset, sizeof(T));
  return value;
}

std::int64_t TokenShard::pointer(std::int64_t sequence) const {
  return field<std::int64_t>(kHeaderBytes + 4 * sequences_ + 8 * sequence);
}

std::int64_t TokenShard::sequence_of_document(std::int64_t document) const {
  return field<std::int64_t>(kHeaderBytes + 12 * sequences_ + 8 * document);
}

void TokenShard::read_header() {
  const auto size = static_cast<std::int64_t>(idx_.bytes().size());
  if (size < kHeaderBytes) {
    refuse(paths_.idx, size, "header", format("{} bytes", kHeaderBytes), format("{} bytes", size));
  }
  const auto magic = idx_.bytes().first(kIndexMagic.size());
  if (std::memcmp(magic.data(), kIndexMagic.data(), kIndexMagic.size()) != 0) {
    refuse(paths_.idx, 0, "magic", "4d 4d 49 44 49 44 58 00 00 (MMIDIDX)", printable(magic));
  }
  const auto version = field<std::uint64_t>(kVersionOffset);
  if (version != kIndexVersion) refuse(paths_.idx, kVersionOffset, "version", kIndexVersion, version);
  const auto code = field<std::uint8_t>(kTypeOffset);
  if (code != static_cast<std::uint8_t>(TokenType::I32) &&
      code != static_cast<std::uint8_t>(TokenType::U16)) {
    refuse(paths_.idx, kTypeOffset, "dtype code", "4 (int32) or 8 (uint16)",
           format("{}", static_cast<int>(code)));
  }
  type_ = static_cast<TokenType>(code);

  // Counts are bounded by the file's own size before anything is multiplied.
  const auto room = static_cast<std::uint64_t>(size - kHeaderBytes);
  const auto sequences = field<std::uint64_t>(kSequenceCountOffset);
  if (sequences > room / 12) {
    refuse(paths_.idx, kSequenceCountOffset, "sequence count",
           format("at most {} in a file of {} bytes", room / 12, size), sequences);
  }
  const auto ends = field<std::uint64_t>(kDocumentCountOffset);
  const std::uint64_t left = room - sequences * 12;
  if (ends < 1 || ends > left / 8) {
    refuse(paths_.idx, kDocumentCountOffset, "document count + 1",
           format("1 to {} in a file of {} bytes with {} sequences", left / 8, size, sequences),
           ends);
  }
  if (left != ends * 8) {
    const bool modes = left - ends * 8 == sequences;
    refuse(paths_.idx, kHeaderBytes + static_cast<std::int64_t>(sequences * 12 + ends * 8),
           "end of file", "nothing after the document indices",
           modes ? std::string("sequence modes (a multimodal dataset, which cannot be trained on)")
                 : format("{} more bytes", left - ends * 8));
  }
  sequences_ = static_cast<std::int64_t>(sequences);
  documents_ = static_cast<std::int64_t>(ends) - 1;
}

void TokenShard::check_sequences() {
  const auto bin_size = static_cast<std::int64_t>(bin_.size());
  const std::int64_t item = size_of(type_);
  std::int64_t end = 0;
  for (std::int64_t i = 0; i < sequences_; ++i) {
    const std::int64_t length_at = kHeaderBytes + 4 * i;
    const auto length = field<std::int32_t>(length_at);
    const std::int64_t at = pointer(i);
    if (at != end) {
      refuse(paths_.idx, kHeaderBytes + 4 * sequences_ + 8 * i, "sequence pointer", end, at);
    }
    // end <= bin_size, so the room is not negative and the product below cannot overflow.
    const std::int64_t longest = (bin_size - end) / item;
    if (length < 1 || length > longest) {
      refuse(paths_.idx, length_at, "sequence length",
             format("1 to {} tokens ({} has {} bytes)", longest, paths_.bin.string(), bin_size),
             length);
    }
    end += length * item;
  }
  if (end != bin_size) {
    refuse(paths_.bin, end, "end of file", format("{} bytes, as {} says", end, paths_.idx.string()),
           format("{} bytes", bin_size));
  }
  tokens_ = end / item;
}

void TokenShard::check_documents() const {
  std::int64_t before = 0;
  for (std::int64_t d = 0; d <= documents_; ++d) {
    const std::int64_t at = kHeaderBytes + 12 * sequences_ + 8 * d;
    const std::int64_t sequence = sequence_of_document(d);
    if (d == 0 && sequence != 0) refuse(paths_.idx, at, "first document index", 0, sequence);
    if (sequence < before || sequence > sequences_) {
      refuse(paths_.idx, at, "document index", format("{} to {}", before, sequences_), sequence);
    }
    if (d == documents_ && sequence != sequences_) {
      refuse(paths_.idx, at, "last document index", sequences_, sequence);
    }
    before = sequence;
  }
}

void TokenShard::check_info() {
  info_ = read_shard_info(paths_.info);
  const auto differ = [&](const char* key, const auto& said, const auto& found) {
    if (said == found) return;
    throw DataError(format(
        "{}: \"{}\": expected {} as in {}, found {}; prepare the shard again, or remove the .json "
        "file if another program wrote the shard",
        paths_.info.string(), key, found, paths_.idx.string(), said));
  };
  differ("tokens", info_->tokens, tokens_);
  differ("documents", info_->documents, documents_);
  differ("idx_digest", info_->idx_digest, index_digest_);
}

std::int64_t TokenShard::document_begin(std::int64_t document) const {
  MOE_CHECK(document >= 0 && document <= documents_);
  const std::int64_t sequence = sequence_of_document(document);
  return sequence == sequences_ ? tokens_ : pointer(sequence) / size_of(type_);
}

std::int64_t TokenShard::document_of(std::int64_t at) const {
  MOE_CHECK(at >= 0 && at < tokens_);
  std::int64_t low = 0;  // the last document that begins at or before `at`
  std::int64_t high = documents_;
  while (high - low > 1) {
    const std::int64_t middle = low + (high - low) / 2;
    (document_begin(middle) <= at ? low : high) = middle;
  }
  return low;
}

void TokenShard::read(std::int64_t begin, std::span<std::int32_t> out) const {
  MOE_CHECK(begin >= 0 && static_cast<std::int64_t>(out.size()) <= tokens_ - begin);
  if (type_ == TokenType::U16) {
    read_narrow(bin_, begin, out);
  } else {
    bin_.read(static_cast<std::uint64_t>(begin) * sizeof(std::int32_t), std::as_writable_bytes(out));
  }
}

void TokenShard::require_below(std::span<const std::int32_t> tokens, std::int64_t begin,
                               std::int64_t vocab_size) const {
  std::uint32_t largest = 0;  // negative tokens become large ones
  for (const std::int32_t token : tokens) {
    largest = std::max(largest, static_cast<std::uint32_t>(token));
  }
  if (tokens.empty() || largest < static_cast<std::uint64_t>(vocab_size)) return;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] >= 0 && tokens[i] < vocab_size) continue;
    refuse(paths_.bin, (begin + static_cast<std::int64_t>(i)) * size_of(type_), "token",
           format("0 to {} (the vocabulary has {})", vocab_size - 1, vocab_size), tokens[i]);
  }
}

std::string TokenShard::fingerprint() const {
  constexpr std::size_t kBlocks = 64;
  constexpr std::size_t kBlockBytes = 4096;
  std::string text = index_digest_;
  for (std::size_t i = 0; i < kBlocks; ++i) {
    const std::size_t at = bin_.size() / kBlocks * i;
    std::vector<std::byte> block(std::min(kBlockBytes, bin_.size() - at));
    bin_.read(at, block);
    text += format(" {:x}", digest_64(block));
  }
  return digest_128(std::as_bytes(std::span(text)));
}

TokenShard::Stamp TokenShard::stamp_of(const Path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    throw DataError(format("{}: cannot inspect: {}", path.string(), std::strerror(errno)));
  }
  return {status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ino};
}

void TokenShard::check_unchanged() const {
  const auto check = [](const Path& path, const Stamp& before) {
    const Stamp now = stamp_of(path);
    if (now == before) return;
    throw DataError(format(
        "{}: the file changed while it was in use: expected {} bytes (inode {}), found {} bytes "
        "(inode {}); stop whatever rewrites it and resume from the last checkpoint",
        path.string(), before.size, before.inode, now.size, now.inode));
  };
  check(paths_.idx, idx_stamp_);
  check(paths_.bin, bin_stamp_);
}

namespace {

void compare_digest(const Path& path, const char* key, const std::string& said) {
  const std::string found = digest_file_128(path);
  if (found == said) return;
  throw DataError(
      format("{}: damaged: expected digest {} ({}), found {}", path.string(), said, key, found));
}

std::int32_t largest_token(const TokenShard& shard, std::int64_t vocab_size) {
  constexpr std::int64_t kBlock = std::int64_t{1} << 18;
  std::vector<std::int32_t> block;
  std::int32_t largest = -1;
  for (std::int64_t at = 0; at < shard.tokens(); at += kBlock) {
    block.resize(static_cast<std::size_t>(std::min(kBlock, shard.tokens() - at)));
    shard.read(at, block);
    shard.require_below(block, at, vocab_size);
    largest = std::max(largest, *std::max_element(block.begin(), block.end()));
  }
  return largest;
}

}  // namespace

ShardVerdict verify_shard(const Path& prefix, std::int64_t vocab_size) {
  const TokenShard shard(prefix);
  const ShardPaths paths = shard_paths(prefix);
  ShardVerdict verdict{.tokens = shard.tokens(), .documents = shard.documents()};
  if (shard.info().has_value()) {
    compare_digest(paths.bin, "bin_digest", shard.info()->bin_digest);
    if (!shard.info()->tokenizer_digest.empty()) {
      compare_digest(paths.tokenizer, "tokenizer_digest", shard.info()->tokenizer_digest);
    }
    verdict.digests_checked = true;
    if (vocab_size == 0) vocab_size = shard.info()->vocab_size;
  }
  verdict.tokens_checked = vocab_size > 0;
  const std::int64_t bound =
      verdict.tokens_checked ? vocab_size : std::int64_t{std::numeric_limits<std::int32_t>::max()};
  verdict.largest_token = largest_token(shard, bound);
  return verdict;
}

}  // namespace moe::data
