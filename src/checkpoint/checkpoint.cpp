#include "checkpoint/checkpoint.h"

#include <algorithm>

#include "base/error.h"
#include "base/format.h"
#include "checkpoint/overlap.h"
#include "checkpoint/shard_file.h"
#include "tensor/convert.h"

namespace moe::checkpoint {
namespace {

constexpr std::size_t kMaxOpenShards = 32;
constexpr std::int64_t kMaxWindowChunks = 8;
constexpr std::int64_t kDirectBytes = std::int64_t{4} << 20;

/// Reads rising, possibly scattered ranges of one dataset through a window of whole chunks, so that
/// no chunk is decoded twice and memory stays bounded.
class PieceReader {
 public:
  PieceReader(const ShardFile& shard, const Piece& piece, DType dtype)
      : shard_(shard), piece_(piece), dtype_(dtype), chunk_(shard_chunk_elements(dtype)) {}

  /// Elements from `at` on, converted into all of `out`.
  void read(std::int64_t at, const View& out) {
    if (dtype_ == out.dtype && out.bytes() >= kDirectBytes) {
      shard_.read(piece_.dataset, at, out);
      return;
    }
    for (std::int64_t done = 0; done < out.numel();) {
      const std::int64_t from = at + done;
      if (from < begin_ || from >= end_) load(from);
      const std::int64_t count = std::min(out.numel() - done, end_ - from);
      convert_elements(flat_part(window(), from - begin_, count), flat_part(out, done, count));
      done += count;
    }
  }

 private:
  View window() const { return flat_view(bytes_.data(), dtype_, end_ - begin_); }

  /// Windows grow while reading goes on: a small read stays small.
  void load(std::int64_t at) {
    begin_ = at / chunk_ * chunk_;
    end_ = std::min(piece_.slice.numel(), begin_ + chunks_ * chunk_);
    chunks_ = std::min(2 * chunks_, kMaxWindowChunks);
    bytes_.resize(static_cast<std::size_t>((end_ - begin_) * size_of(dtype_)));
    shard_.read(piece_.dataset, begin_, window());
  }

  const ShardFile& shard_;
  const Piece& piece_;
  DType dtype_;
  std::int64_t chunk_;
  std::int64_t chunks_ = 1;
  std::int64_t begin_ = 0;
  std::int64_t end_ = 0;
  std::vector<std::byte> bytes_;
};

}  // namespace

Checkpoint::Checkpoint(Path path, Manifest manifest, std::function<void(const Path&)> on_open_shard)
    : path_(std::move(path)),
      manifest_(std::move(manifest)),
      on_open_shard_(std::move(on_open_shard)) {
  for (const auto& [name, tensor] : manifest_.tensors) names_.push_back(name);
}

Checkpoint::~Checkpoint() = default;

const TensorInfo* Checkpoint::find(const std::string& name) const {
  const auto found = manifest_.tensors.find(name);
  return found == manifest_.tensors.end() ? nullptr : &found->second.info;
}

std::optional<std::string> Checkpoint::metadata(const std::string& key) const {
  const auto found = header().states.find(key);
  if (found == header().states.end()) return {};
  return found->second;
}

std::string Checkpoint::place_of(const std::string& name, std::int64_t element) const {
  const TensorRecord& tensor = manifest_.tensors.at(name);
  Slice one = whole(tensor.info.shape);
  one.flat_begin = element;
  one.flat_end = element + 1;
  for (const Piece& piece : tensor.pieces) {
    bool here = false;
    for_each_overlap(piece.slice, one, [&](auto, auto, auto) { here = true; });
    if (!here) continue;
    const Path file = path_ / manifest_.files[static_cast<std::size_t>(piece.file)].name;
    return format("{}: tensor '{}', element {}", file.string(), name, element);
  }
  return TensorSource::place_of(name, element);
}

const std::string& Checkpoint::state(const std::string& name) const {
  const auto found = header().states.find(name);
  if (found != header().states.end()) return found->second;
  throw CheckpointError(format("{}: holds no state '{}'", path_.string(), name));
}

Path Checkpoint::attachment(const std::string& name) const {
  for (const FileRecord& file : manifest_.attachments) {
    if (file.name == name) return path_ / name;
  }
  throw CheckpointError(format("{}: holds no attached file '{}'", path_.string(), name));
}

std::shared_ptr<const ShardFile> Checkpoint::shard(std::int64_t file) const {
  const std::lock_guard lock(mutex_);
  const auto found = open_.find(file);
  if (found != open_.end()) return found->second;
  if (open_.size() >= kMaxOpenShards) open_.clear();
  std::vector<ExpectedDataset> expected;
  for (const auto& [name, tensor] : manifest_.tensors) {
    for (const Piece& piece : tensor.pieces) {
      if (piece.file == file) {
        expected.push_back({piece.dataset, tensor.info.dtype, piece.slice.numel()});
      }
    }
  }
  const Path path = path_ / manifest_.files[static_cast<std::size_t>(file)].name;
  if (on_open_shard_) on_open_shard_(path);
  return open_[file] = std::make_shared<const ShardFile>(path, expected);
}

void Checkpoint::read_slice(const std::string& name, const TensorInfo& info, const Slice& slice,
                            const View& out) const {
  for (const Piece& piece : manifest_.tensors.at(name).pieces) {
    if (!may_overlap(piece.slice, slice)) continue;
    const std::shared_ptr<const ShardFile> file = shard(piece.file);
    PieceReader reader(*file, piece, info.dtype);
    for_each_overlap(piece.slice, slice,
                     [&](std::int64_t stored, std::int64_t wanted, std::int64_t count) {
                       reader.read(stored - piece.slice.flat_begin,
                                   flat_part(out, wanted - slice.flat_begin, count));
                     });
  }
}

}  // namespace moe::checkpoint
