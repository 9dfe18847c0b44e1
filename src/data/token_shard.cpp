#include "data/token_shard.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/format.h"
#include "data/shard_error.h"

namespace moe::data {
namespace {

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

Path with_suffix(const Path& path, const char* suffix) {
  Path whole = path;
  whole += suffix;
  return whole;
}

ShardPaths shard_paths(const Path& prefix) {
  return {with_suffix(prefix, ".bin"), with_suffix(prefix, ".idx"), with_suffix(prefix, ".json"),
          with_suffix(prefix, ".model")};
}

TokenShard::TokenShard(const Path& prefix)
    : TokenShard(prefix, shard_paths(prefix), RandomAccessFile(shard_paths(prefix).idx)) {}

TokenShard::TokenShard(const Path& prefix, ShardPaths paths, RandomAccessFile index)
    : prefix_(prefix),
      paths_(std::move(paths)),
      bin_(paths_.bin),
      idx_stamp_(stamp_of(paths_.idx)),
      bin_stamp_(stamp_of(paths_.bin)),
      index_(std::move(index), bin_),
      index_digest_(digest_file_128(paths_.idx)) {
  if (std::filesystem::exists(paths_.info)) check_info();
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
  differ("tokens", info_->tokens, tokens());
  differ("documents", info_->documents, documents());
  differ("idx_digest", info_->idx_digest, index_digest_);
}

void TokenShard::read(std::int64_t begin, std::span<std::int32_t> out) const {
  MOE_CHECK(begin >= 0 && static_cast<std::int64_t>(out.size()) <= tokens() - begin);
  if (type() == TokenType::U16) {
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
    refuse_shard(paths_.bin, (begin + static_cast<std::int64_t>(i)) * size_of(type()), "token",
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
