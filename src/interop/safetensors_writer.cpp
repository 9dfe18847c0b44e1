#include "interop/safetensors_writer.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/format.h"
#include "base/overlap_queue.h"
#include "interop/hugging_face_weights.h"
#include "interop/weights_index.h"

namespace moe::interop {
namespace {

using checkpoint::TensorInfo;
using checkpoint::TensorSource;

constexpr std::int64_t kWindowBytes = std::int64_t{8} << 20;
constexpr std::size_t kWritebackBytes = std::size_t{32} << 20;

struct Planned {
  std::string name;
  Shape shape;
  DType dtype;
  std::int64_t bytes() const { return shape.numel() * size_of(dtype); }
};

std::vector<Planned> plan(const TensorSource& source, const ExportOptions& options) {
  std::vector<Planned> tensors;
  for (const std::string& name : source.names()) {
    const TensorInfo& info = source.info(name);
    tensors.push_back(
        {name, info.shape, checkpoint::written_dtype(info, {options.dtype, false})});
  }
  return tensors;
}

std::size_t rank_of(DType dtype) {
  const auto all = safetensors_dtypes();
  const auto found = std::ranges::find(all, safetensors_name(dtype), &SafetensorsDType::name);
  return static_cast<std::size_t>(found - all.begin());
}

/// The reference writer's order: wide dtypes first, so that every tensor is aligned to its own
/// size.
void sort_as_reference(std::vector<Planned>& tensors) {
  std::ranges::sort(tensors, [](const Planned& a, const Planned& b) {
    if (a.dtype != b.dtype) return rank_of(a.dtype) > rank_of(b.dtype);
    return a.name < b.name;
  });
}

std::string header_text(const std::vector<Planned>& tensors, const ExportOptions& options) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!options.metadata.empty()) header["__metadata__"] = options.metadata;
  std::int64_t at = 0;
  for (const Planned& tensor : tensors) {
    const auto dims = tensor.shape.dims();
    header[tensor.name] = {{"dtype", safetensors_name(tensor.dtype)},
                           {"shape", std::vector<std::int64_t>(dims.begin(), dims.end())},
                           {"data_offsets", {at, at + tensor.bytes()}}};
    at += tensor.bytes();
  }
  try {
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    return text;
  } catch (const nlohmann::json::exception& error) {
    throw CheckpointError(format("safetensors: a name is not UTF-8: {}", error.what()));
  }
}

/// Copies tensors into a file: while one window is written, the next is read and converted.
class TensorCopier {
 public:
  TensorCopier(const TensorSource& source, const ExportOptions& options, FileWriter& writer)
      : source_(source),
        options_(options),
        window_options_{options.dtype, options.require_finite},
        writer_(writer) {}

  void copy(const Planned& tensor) {
    const std::int64_t step = kWindowBytes / size_of(tensor.dtype);
    for (std::int64_t at = 0; at < tensor.shape.numel(); at += step) {
      Slice part = whole(tensor.shape);
      part.flat_begin = at;
      part.flat_end = std::min(tensor.shape.numel(), at + step);
      copy(tensor, part);
    }
  }
  void finish() { disk_.wait(); }

 private:
  void copy(const Planned& tensor, const Slice& part) {
    std::vector<std::byte>& window = windows_[turn_];
    turn_ = 1 - turn_;
    window.resize(static_cast<std::size_t>(part.numel() * size_of(tensor.dtype)));
    checkpoint::read_window(source_, tensor.name, part,
                            checkpoint::flat_view(window.data(), tensor.dtype, part.numel()),
                            window_options_);
    disk_.submit([this, &window] { write(window); });
    if (options_.progress) options_.progress(static_cast<std::int64_t>(window.size()));
  }

  /// On the other thread.
  void write(const std::vector<std::byte>& window) {
    writer_.write(window);
    unsynced_ += window.size();
    if (unsynced_ < kWritebackBytes) return;
    writer_.start_writeback();
    unsynced_ = 0;
  }

  const TensorSource& source_;
  const ExportOptions& options_;
  checkpoint::WindowOptions window_options_;
  FileWriter& writer_;
  std::array<std::vector<std::byte>, 2> windows_;
  std::size_t turn_ = 0;
  std::size_t unsynced_ = 0;
  OverlapQueue disk_;  // last: its job ends before what it uses
};

/// Removes a file unless told to keep it.
class Temporary {
 public:
  explicit Temporary(Path path) : path_(std::move(path)) {}
  ~Temporary() {
    if (!kept_) ::unlink(path_.c_str());
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  const Path& path() const { return path_; }
  void rename_to(const Path& target) {
    std::error_code error;
    std::filesystem::rename(path_, target, error);
    if (error)
      throw DataError(format("{}: cannot rename into place: {}", target.string(), error.message()));
    kept_ = true;
  }

 private:
  Path path_;
  bool kept_ = false;
};

void write_file(const TensorSource& source, std::vector<Planned> tensors, const Path& file,
                const ExportOptions& options) {
  sort_as_reference(tensors);
  const std::string header = header_text(tensors, options);
  Temporary temporary(file.string() + format(".tmp-{}", ::getpid()));
  FileWriter writer(temporary.path());
  const std::uint64_t length = header.size();
  writer.write(std::as_bytes(std::span(&length, 1)));
  writer.write(header);
  {
    TensorCopier copier(source, options, writer);
    for (const Planned& tensor : tensors) copier.copy(tensor);
    copier.finish();
  }
  writer.finish();
  temporary.rename_to(file);
  sync_folder(file.has_parent_path() ? file.parent_path() : Path("."));
}

std::vector<std::vector<Planned>> cut_into_shards(const std::vector<Planned>& tensors,
                                                  std::int64_t limit) {
  std::vector<std::vector<Planned>> shards(1);
  std::int64_t held = 0;
  for (const Planned& tensor : tensors) {
    if (held + tensor.bytes() > limit && !shards.back().empty()) {
      shards.emplace_back();
      held = 0;
    }
    shards.back().push_back(tensor);
    held += tensor.bytes();
  }
  return shards;
}

void require_no_weights(const Path& folder) {
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".safetensors") || name == kIndexName) {
      throw CheckpointError(
          format("{}: already holds weights ({}); choose another folder or remove "
                 "them",
                 folder.string(), name));
    }
  }
}

/// Writes shards one by one; takes back the finished ones if a later one fails.
class ShardSet {
 public:
  explicit ShardSet(const Path& folder) : folder_(folder) {}
  ~ShardSet() {
    if (done_) return;
    for (const std::string& name : names_) ::unlink((folder_ / name).c_str());
  }
  ShardSet(const ShardSet&) = delete;
  ShardSet& operator=(const ShardSet&) = delete;
  void add(const std::string& name, const std::function<void(const Path&)>& write) {
    write(folder_ / name);
    names_.push_back(name);
  }
  std::vector<std::string> finish() {
    done_ = true;
    return names_;
  }

 private:
  const Path& folder_;
  std::vector<std::string> names_;
  bool done_ = false;
};

}  // namespace

void write_safetensors(const checkpoint::TensorSource& source, const Path& file,
                       const ExportOptions& options) {
  write_file(source, plan(source, options), file, options);
}

std::vector<std::string> write_hugging_face_weights(const checkpoint::TensorSource& source,
                                                    const Path& folder,
                                                    const ExportOptions& options) {
  std::filesystem::create_directories(folder);
  require_no_weights(folder);
  const auto shards = cut_into_shards(plan(source, options), options.shard_bytes);
  ShardSet files(folder);
  WeightsIndex index;
  index.total_size = 0;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const std::string name =
        shards.size() == 1 ? kSingleFileName
                           : format("model-{:05d}-of-{:05d}.safetensors", i + 1, shards.size());
    files.add(name, [&](const Path& path) { write_file(source, shards[i], path, options); });
    for (const Planned& tensor : shards[i]) {
      index.file_of_tensor[tensor.name] = name;
      *index.total_size += static_cast<std::uint64_t>(tensor.bytes());
    }
  }
  if (shards.size() > 1) {
    files.add(kIndexName,
              [&](const Path& path) { write_file_atomically(path, weights_index_text(index)); });
  }
  return files.finish();
}

}  // namespace moe::interop
