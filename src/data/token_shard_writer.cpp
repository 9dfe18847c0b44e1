#include "data/token_shard_writer.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/format.h"
#include "data/pending_file.h"
#include "data/tokenizer.h"

namespace moe::data {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr std::int64_t kLongestSequence = std::numeric_limits<std::int32_t>::max();

void remove_old(const Path& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    throw DataError(
        format("{}: cannot remove the old file: {}", path.string(), std::strerror(errno)));
  }
}

void write_synced(const Path& path, std::string_view contents) {
  FileWriter writer(path);
  writer.write(contents);
  writer.finish();
}

template <class T>
void write_value(FileWriter& file, T value) {
  file.write(std::as_bytes(std::span(&value, 1)));
}

}  // namespace

TokenShardWriter::TokenShardWriter(const Path& prefix, std::int64_t vocab_size)
    : target_(shard_paths(prefix)), type_(token_type_for(vocab_size)), vocab_size_(vocab_size) {
  temporary_ = {temporary_name(target_.bin), temporary_name(target_.idx),
                temporary_name(target_.info), temporary_name(target_.tokenizer)};
  create_folder_of(prefix);
  lengths_ = std::make_unique<SpilledColumn<std::int32_t>>(with_suffix(temporary_.idx, ".lengths"));
  document_ends_ = std::make_unique<SpilledColumn<std::int64_t>>(with_suffix(temporary_.idx, ".documents"));
  document_ends_->push_back(0);
  bin_ = std::make_unique<FileWriter>(temporary_.bin);  // last: it is removed by the destructor alone
}

TokenShardWriter::~TokenShardWriter() {
  bin_.reset();
  for (const Path& path : {temporary_.bin, temporary_.idx, temporary_.info, temporary_.tokenizer}) {
    ::unlink(path.c_str());
  }
}

void TokenShardWriter::append(std::span<const std::int32_t> tokens) {
  while (!tokens.empty()) {
    const auto take = std::min<std::size_t>(
        tokens.size(), static_cast<std::size_t>(kLongestSequence - open_tokens_));
    const auto part = tokens.first(take);
    std::uint32_t largest = 0;
    for (const std::int32_t token : part) {
      largest = std::max(largest, static_cast<std::uint32_t>(token));
    }
    MOE_CHECK_LT(largest, static_cast<std::uint64_t>(vocab_size_));
    if (type_ == TokenType::U16) {
      narrow_.assign(part.begin(), part.end());
      bin_->write(std::as_bytes(std::span(narrow_)));
    } else {
      bin_->write(std::as_bytes(part));
    }
    open_tokens_ += static_cast<std::int64_t>(take);
    tokens_ += static_cast<std::int64_t>(take);
    if (open_tokens_ == kLongestSequence) end_sequence();
    tokens = tokens.subspan(take);
  }
}

void TokenShardWriter::end_sequence() {
  if (open_tokens_ == 0) return;
  lengths_->push_back(static_cast<std::int32_t>(std::exchange(open_tokens_, 0)));
}

void TokenShardWriter::end_document() {
  end_sequence();
  if (lengths_->size() == last_document_end_) return;
  last_document_end_ = lengths_->size();
  document_ends_->push_back(last_document_end_);
}

void TokenShardWriter::write_index() {
  FileWriter file(temporary_.idx);
  file.write(kIndexMagic);
  write_value(file, kIndexVersion);
  write_value(file, static_cast<std::uint8_t>(type_));
  write_value(file, static_cast<std::uint64_t>(lengths_->size()));
  write_value(file, static_cast<std::uint64_t>(document_ends_->size()));
  const auto copy = [&file](const auto& block) { file.write(std::as_bytes(block)); };
  lengths_->for_each_block(copy);
  std::int64_t pointer = 0;
  lengths_->for_each_block([&](std::span<const std::int32_t> lengths) {
    for (const std::int32_t length : lengths) {
      write_value(file, pointer);
      pointer += length * size_of(type_);
    }
  });
  document_ends_->for_each_block(copy);
  file.finish();
}

ShardInfo TokenShardWriter::finish(const Tokenizer& tokenizer, std::int64_t text_bytes,
                                   std::int32_t eod) {
  ShardInfo info{.tokenizer = std::string(tokenizer.name()),
                 .tokenizer_digest = {},
                 .vocab_size = tokenizer.vocab_size(),
                 .eod = eod,
                 .bytes = text_bytes,
                 .bin_digest = {},
                 .idx_digest = {}};
  const std::string model = tokenizer.model();
  if (!model.empty()) {
    info.tokenizer_digest = digest_128(std::as_bytes(std::span(model)));
    write_synced(temporary_.tokenizer, model);
  }
  return finish(std::move(info));
}

ShardInfo TokenShardWriter::finish(ShardInfo info) {
  end_document();
  bin_->finish();
  bin_.reset();
  write_index();
  info.documents = documents();
  info.tokens = tokens_;
  info.bin_digest = digest_file_128(temporary_.bin);
  info.idx_digest = digest_file_128(temporary_.idx);
  write_synced(temporary_.info, to_json(info));
  publish(!info.tokenizer_digest.empty());
  return info;
}

void TokenShardWriter::publish(bool with_tokenizer) {
  // Without its index a shard does not exist: an interruption cannot leave old and new mixed.
  remove_old(target_.idx);
  rename_file(temporary_.bin, target_.bin);
  if (with_tokenizer) {
    rename_file(temporary_.tokenizer, target_.tokenizer);
  } else {
    remove_old(target_.tokenizer);
  }
  rename_file(temporary_.info, target_.info);
  rename_file(temporary_.idx, target_.idx);
  sync_folder(folder_of(target_.idx));
}

}  // namespace moe::data
