#include "checkpoint/stream_writer.h"

#include <algorithm>
#include <array>
#include <deque>

#include "base/digest.h"
#include "base/error.h"
#include "base/format.h"
#include "base/overlap_queue.h"
#include "checkpoint/durable.h"
#include "checkpoint/layout_digest.h"
#include "checkpoint/shard_content.h"
#include "checkpoint/shard_image.h"

namespace moe::checkpoint {
namespace {

constexpr std::int64_t kWindowBytes = std::int64_t{16} << 20;
constexpr std::size_t kMostOpenFiles = 128;

/// Some elements of a tensor that become one dataset.
struct Part {
  std::string name;
  DType dtype;
  Slice slice;
  std::int64_t bytes() const { return slice.numel() * size_of(dtype); }
};

/// The datasets of each file, in the order of names.
class FilePlan {
 public:
  FilePlan(const TensorSource& source, const StreamOptions& options) {
    std::int64_t largest = 0;
    for (const std::string& name : source.names()) {
      const TensorInfo& info = source.info(name);
      largest = std::max(largest,
                         info.shape.numel() * size_of(written_dtype(info, options.window)));
    }
    limit_ = options.file_bytes > 0 ? options.file_bytes
                                    : std::clamp(largest, kLeastFile, kLargestFile);
    for (const std::string& name : source.names()) add(name, source.info(name), options);
  }

  std::vector<std::vector<Part>> files;

 private:
  void add(const std::string& name, const TensorInfo& info, const StreamOptions& options) {
    const DType dtype = written_dtype(info, options.window);
    const std::int64_t element = size_of(dtype);
    const std::int64_t total = info.shape.numel();
    for (std::int64_t at = 0; at < total;) {
      if (room_ < element) {
        files.emplace_back();
        room_ = std::max(limit_, element);
      }
      const std::int64_t count =
          std::min({total - at, room_ / element, kWindowBytes / element});
      Part part{name, dtype, whole(info.shape)};
      part.slice.flat_begin = at;
      part.slice.flat_end = at + count;
      files.back().push_back(std::move(part));
      room_ -= count * element;
      at += count;
    }
  }

  std::int64_t limit_ = 0;
  std::int64_t room_ = 0;
};

/// Three things at a time: a window is read and goes into a file's image, the window before is digested,
/// the image before goes to the disk.
class StreamWriter {
 public:
  StreamWriter(const TensorSource& source, const Path& folder, const StreamOptions& options)
      : source_(source), folder_(folder), options_(options) {}

  Manifest run(Header header, const std::map<std::string, std::string>& attachments) {
    manifest_.header = std::move(header);
    for (const std::string& name : source_.names()) declare(name);
    const FilePlan plan(source_, options_);
    manifest_.files.resize(plan.files.size());
    for (std::size_t index = 0; index < plan.files.size(); ++index) {
      write_file(index, plan.files[index]);
    }
    digests_.wait();
    disk_.wait();
    while (!unsynced_.empty()) sync_oldest();
    for (const auto& [name, contents] : attachments) attach(name, contents);
    write_durably(folder_ / kManifestName, bytes_of(manifest_text(manifest_)), {});
    sync_folder(folder_);
    return std::move(manifest_);
  }

 private:
  void declare(const std::string& name) {
    if (!is_tensor_name(name)) {
      throw CheckpointError(format("{}: '{}' cannot name a tensor of a checkpoint",
                                   source_.description(), name));
    }
    TensorInfo info = source_.info(name);
    info.dtype = written_dtype(info, options_.window);
    manifest_.tensors.try_emplace(name, TensorRecord{std::move(info), 0, {}});
  }

  void write_file(std::size_t index, const std::vector<Part>& parts) {
    std::int64_t bytes = 0;
    for (const Part& part : parts) bytes += ShardImage::bytes_of(part.dtype, part.slice.numel());
    ShardImage image(bytes, std::move(spent_));
    std::map<std::string, std::size_t> seen;
    for (const Part& part : parts) {
      const std::string dataset = dataset_name(part.name, seen[part.name]++);
      const View view = read(part);
      digests_.submit([this, index, part, dataset, view] { note(index, part, dataset, view); });
      image.add(dataset, view);
      if (options_.progress) options_.progress(part.bytes());
    }
    disk_.wait();  // then nobody else has images
    spent_ = std::move(under_way_);
    under_way_ = image.finish();
    disk_.submit([this, index] { save(index, under_way_.bytes()); });
  }

  /// Into the window that nobody digests.
  View read(const Part& part) {
    std::vector<std::byte>& window = windows_[turn_];
    turn_ = 1 - turn_;
    window.resize(std::max(window.size(), static_cast<std::size_t>(part.bytes())));
    const View view = flat_view(window.data(), part.dtype, part.slice.numel());
    read_window(source_, part.name, part.slice, view, options_.window);
    return view;
  }

  /// On the digests' thread, which alone changes the records of tensors.
  void note(std::size_t file, const Part& part, const std::string& dataset, const View& view) {
    TensorRecord& record = manifest_.tensors.at(part.name);
    record.digest += layout_digest(part.slice, view);
    record.pieces.push_back(
        {static_cast<std::int64_t>(file), dataset, part.slice, digest_64(bytes_of(view))});
  }

  /// On the disk's thread.
  void save(std::size_t index, std::span<const std::byte> bytes) {
    const std::string name =
        index == 0 ? "shard_00000.h5" : format("shard_00000_{:04d}.h5", index);
    manifest_.files[index] = {name, static_cast<std::int64_t>(bytes.size()), digest_128(bytes)};
    unsynced_.emplace_back(folder_ / name, bytes);
    if (unsynced_.size() > kMostOpenFiles) sync_oldest();
  }

  void sync_oldest() {
    unsynced_.front().sync();
    unsynced_.pop_front();
  }

  void attach(const std::string& name, const std::string& contents) {
    if (!is_file_name(name) || name == kManifestName || name.ends_with(".h5")) {
      throw CheckpointError(format("'{}' cannot name an attached file", name));
    }
    write_durably(folder_ / name, bytes_of(contents), {});
    manifest_.attachments.push_back(
        {name, static_cast<std::int64_t>(contents.size()), digest_128(bytes_of(contents))});
  }

  const TensorSource& source_;
  const Path& folder_;
  const StreamOptions& options_;
  Manifest manifest_;
  std::array<std::vector<std::byte>, 2> windows_;
  std::size_t turn_ = 0;
  FileImage spent_;
  FileImage under_way_;
  std::deque<UnsyncedFile> unsynced_;
  OverlapQueue digests_;  // last: their jobs end before what they use
  OverlapQueue disk_;
};

}  // namespace

Manifest write_streamed(const TensorSource& source, Header header,
                        const std::map<std::string, std::string>& attachments,
                        const Path& step_folder, const StreamOptions& options) {
  std::error_code error;
  if (!std::filesystem::create_directory(step_folder, error)) {
    throw CheckpointError(format("{}: cannot create the folder: {}", step_folder.string(),
                                 error ? error.message() : "it is there already"));
  }
  header.versions.emplace("moe-train", MOE_VERSION);
  header.versions.emplace("hdf5", hdf5_version());
  return StreamWriter(source, step_folder, options).run(std::move(header), attachments);
}

}  // namespace moe::checkpoint
