#include "data/shard_index.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <utility>

#include "base/check.h"
#include "data/shard_error.h"

namespace moe::data {
namespace {

constexpr std::int64_t kLandmarks = 16384;
constexpr std::size_t kBlockBytes = 4096;

std::string printable(std::span<const char> bytes) {
  std::string text;
  for (const char byte : bytes) text += format("{:02x} ", static_cast<unsigned char>(byte));
  if (!text.empty()) text.pop_back();
  return text;
}

/// An array inside a file, seen through one block of it: neighbours cost one read.
template <class T>
class ArrayReader {
 public:
  ArrayReader(const RandomAccessFile& file, std::int64_t offset, std::int64_t count)
      : file_(file), offset_(offset), count_(count) {}

  T operator[](std::int64_t i) {
    MOE_CHECK(i >= 0 && i < count_);
    if (i < first_ || i >= first_ + held_) load(i);
    return block_[static_cast<std::size_t>(i - first_)];
  }

 private:
  static constexpr std::int64_t kHeld = kBlockBytes / sizeof(T);

  void load(std::int64_t i) {
    held_ = 0;
    first_ = i - i % kHeld;
    const std::int64_t size = std::min(kHeld, count_ - first_);
    file_.read(static_cast<std::uint64_t>(offset_ + first_ * static_cast<std::int64_t>(sizeof(T))),
               std::as_writable_bytes(std::span(block_).first(static_cast<std::size_t>(size))));
    held_ = size;
  }

  const RandomAccessFile& file_;
  std::int64_t offset_;
  std::int64_t count_;
  std::int64_t first_ = 0;
  std::int64_t held_ = 0;
  std::array<T, kBlockBytes / sizeof(T)> block_;
};

}  // namespace

/// Where documents begin, in tokens: a document index names a sequence, whose pointer names a byte.
class ShardIndex::Begins {
 public:
  explicit Begins(const ShardIndex& index)
      : index_(index),
        documents_(index.file_, index.documents_at(), index.documents_ + 1),
        pointers_(index.file_, index.pointers_at(), index.sequences_) {}

  std::int64_t operator[](std::int64_t document) {
    const std::int64_t sequence = documents_[document];
    if (sequence < 0 || sequence > index_.sequences_) {
      refuse_shard(index_.file_.path(), index_.documents_at() + 8 * document, "document index",
                   format("0 to {}, as when it was opened", index_.sequences_), sequence);
    }
    if (sequence == index_.sequences_) return index_.tokens_;
    const std::int64_t begin = pointers_[sequence] / size_of(index_.type_);
    if (begin < 0 || begin >= index_.tokens_) {
      refuse_shard(index_.file_.path(), index_.pointers_at() + 8 * sequence, "sequence pointer",
                   format("a place in {} tokens, as when it was opened", index_.tokens_), begin);
    }
    return begin;
  }

 private:
  const ShardIndex& index_;
  ArrayReader<std::int64_t> documents_;
  ArrayReader<std::int64_t> pointers_;
};

ShardIndex::ShardIndex(RandomAccessFile index, const RandomAccessFile& bin) : file_(std::move(index)) {
  read_header();
  check_sequences(bin);
  check_documents();
  choose_landmarks();
}

template <class T>
T ShardIndex::header_field(std::int64_t offset) const {
  T value;
  file_.read(static_cast<std::uint64_t>(offset), std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

void ShardIndex::read_header() {
  const auto size = static_cast<std::int64_t>(file_.size());
  if (size < kHeaderBytes) {
    refuse_shard(file_.path(), size, "header", format("{} bytes", kHeaderBytes), format("{} bytes", size));
  }
  const auto magic = header_field<std::array<char, kIndexMagic.size()>>(0);
  if (std::memcmp(magic.data(), kIndexMagic.data(), kIndexMagic.size()) != 0) {
    refuse_shard(file_.path(), 0, "magic", "4d 4d 49 44 49 44 58 00 00 (MMIDIDX)", printable(magic));
  }
  const auto version = header_field<std::uint64_t>(kVersionOffset);
  if (version != kIndexVersion) refuse_shard(file_.path(), kVersionOffset, "version", kIndexVersion, version);
  const auto code = header_field<std::uint8_t>(kTypeOffset);
  if (code != static_cast<std::uint8_t>(TokenType::I32) &&
      code != static_cast<std::uint8_t>(TokenType::U16)) {
    refuse_shard(file_.path(), kTypeOffset, "dtype code", "4 (int32) or 8 (uint16)",
                 format("{}", static_cast<int>(code)));
  }
  type_ = static_cast<TokenType>(code);

  // Counts are bounded by the file's own size before anything is multiplied.
  const auto room = static_cast<std::uint64_t>(size - kHeaderBytes);
  const auto sequences = header_field<std::uint64_t>(kSequenceCountOffset);
  if (sequences > room / 12) {
    refuse_shard(file_.path(), kSequenceCountOffset, "sequence count",
                 format("at most {} in a file of {} bytes", room / 12, size), sequences);
  }
  const auto ends = header_field<std::uint64_t>(kDocumentCountOffset);
  const std::uint64_t left = room - sequences * 12;
  if (ends < 1 || ends > left / 8) {
    refuse_shard(file_.path(), kDocumentCountOffset, "document count + 1",
                 format("1 to {} in a file of {} bytes with {} sequences", left / 8, size, sequences), ends);
  }
  if (left != ends * 8) {
    const bool modes = left - ends * 8 == sequences;
    refuse_shard(file_.path(), kHeaderBytes + static_cast<std::int64_t>(sequences * 12 + ends * 8),
                 "end of file", "nothing after the document indices",
                 modes ? std::string("sequence modes (a multimodal dataset, which cannot be trained on)")
                       : format("{} more bytes", left - ends * 8));
  }
  sequences_ = static_cast<std::int64_t>(sequences);
  documents_ = static_cast<std::int64_t>(ends) - 1;
}

void ShardIndex::check_sequences(const RandomAccessFile& bin) {
  const auto bin_size = static_cast<std::int64_t>(bin.size());
  const std::int64_t item = size_of(type_);
  ArrayReader<std::int32_t> lengths(file_, kHeaderBytes, sequences_);
  ArrayReader<std::int64_t> pointers(file_, pointers_at(), sequences_);
  std::int64_t end = 0;
  for (std::int64_t i = 0; i < sequences_; ++i) {
    const std::int32_t length = lengths[i];
    const std::int64_t at = pointers[i];
    if (at != end) refuse_shard(file_.path(), pointers_at() + 8 * i, "sequence pointer", end, at);
    // end <= bin_size, so the room is not negative and the product below cannot overflow.
    const std::int64_t longest = (bin_size - end) / item;
    if (length < 1 || length > longest) {
      refuse_shard(file_.path(), kHeaderBytes + 4 * i, "sequence length",
                   format("1 to {} tokens ({} has {} bytes)", longest, bin.path().string(), bin_size), length);
    }
    end += length * item;
  }
  if (end != bin_size) {
    refuse_shard(bin.path(), end, "end of file", format("{} bytes, as {} says", end, file_.path().string()),
                 format("{} bytes", bin_size));
  }
  tokens_ = end / item;
}

void ShardIndex::check_documents() const {
  ArrayReader<std::int64_t> sequences(file_, documents_at(), documents_ + 1);
  std::int64_t before = 0;
  for (std::int64_t d = 0; d <= documents_; ++d) {
    const std::int64_t at = documents_at() + 8 * d;
    const std::int64_t sequence = sequences[d];
    if (d == 0 && sequence != 0) refuse_shard(file_.path(), at, "first document index", 0, sequence);
    if (sequence < before || sequence > sequences_) {
      refuse_shard(file_.path(), at, "document index", format("{} to {}", before, sequences_), sequence);
    }
    if (d == documents_ && sequence != sequences_) {
      refuse_shard(file_.path(), at, "last document index", sequences_, sequence);
    }
    before = sequence;
  }
}

void ShardIndex::choose_landmarks() {
  stride_ = std::max<std::int64_t>(1, (documents_ + kLandmarks - 1) / kLandmarks);
  Begins begins(*this);
  landmarks_.reserve(static_cast<std::size_t>((documents_ + stride_ - 1) / stride_));
  for (std::int64_t d = 0; d < documents_; d += stride_) landmarks_.push_back(begins[d]);
}

std::int64_t ShardIndex::document_begin(std::int64_t document) const {
  MOE_CHECK(document >= 0 && document <= documents_);
  return Begins(*this)[document];
}

std::int64_t ShardIndex::document_of(std::int64_t at) const {
  Begins begins(*this);
  return document_of(begins, at);
}

std::int64_t ShardIndex::document_of(Begins& begins, std::int64_t at) const {
  MOE_CHECK(at >= 0 && at < tokens_);
  const auto after = std::upper_bound(landmarks_.begin(), landmarks_.end(), at);
  std::int64_t low = (after - landmarks_.begin() - 1) * stride_;
  std::int64_t high = std::min(low + stride_, documents_);
  while (high - low > 1) {
    const std::int64_t middle = low + (high - low) / 2;
    (begins[middle] <= at ? low : high) = middle;
  }
  return low;
}

void ShardIndex::document_begins(std::int64_t begin, std::int64_t end, std::vector<std::int64_t>& out) const {
  MOE_CHECK(begin >= 0 && begin <= tokens_);
  out.clear();
  Begins begins(*this);
  std::int64_t before = begin;
  for (std::int64_t d = begin == 0 ? 0 : document_of(begins, begin - 1) + 1; d < documents_; ++d) {
    const std::int64_t at = begins[d];
    if (at >= end) return;
    if (at < before) {
      refuse_shard(file_.path(), documents_at() + 8 * d, "begin of a document",
                   format("{} or later, as when it was opened", before), at);
    }
    out.push_back(before = at);
  }
}

}  // namespace moe::data
