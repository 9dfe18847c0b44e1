#include "checkpoint/writer.h"

#include <algorithm>

#include "base/clock.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/format.h"
#include "base/log.h"
#include "checkpoint/agree.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/folder.h"
#include "checkpoint/layout_digest.h"
#include "checkpoint/shard_content.h"
#include "checkpoint/shard_image.h"

namespace moe::checkpoint {
namespace {

constexpr std::int64_t kFiles = 32;

/// A slice, or a part of one, that goes into one file.
struct Placed {
  std::size_t tensor;  // index into the snapshot
  std::int64_t begin;  // elements of the slice before this part
  std::int64_t count;
};

std::int64_t payload_of_a_file(const Snapshot& snapshot, std::int64_t asked) {
  if (asked > 0) return asked;
  std::int64_t bytes = 0;
  for (const Snapshot::Tensor& tensor : snapshot.tensors) bytes += tensor.data.bytes();
  return shard_payload(bytes);
}

/// Fills files up to the limit in the order of the snapshot.
std::vector<std::vector<Placed>> plan_files(const Snapshot& snapshot, std::int64_t limit) {
  std::vector<std::vector<Placed>> files;
  std::int64_t room = 0;
  for (std::size_t index = 0; index < snapshot.tensors.size(); ++index) {
    const View& data = snapshot.tensors[index].data;
    const std::int64_t element = size_of(data.dtype);
    for (std::int64_t at = 0; at < data.numel();) {
      if (room < element) {
        files.emplace_back();
        room = std::max(limit, element);
      }
      const std::int64_t count = std::min(data.numel() - at, room / element);
      files.back().push_back({index, at, count});
      room -= count * element;
      at += count;
    }
  }
  return files;
}

std::string shard_name(int rank, std::size_t file) {
  return file == 0 ? format("shard_{:05d}.h5", rank) : format("shard_{:05d}_{:04d}.h5", rank, file);
}

/// Writes this rank's files into the temporary folder, and notes them in its part of the manifest.
class ShardWriter {
 public:
  ShardWriter(Snapshot& snapshot, const WriteOptions& options, const Path& folder)
      : snapshot_(snapshot), options_(options), folder_(folder) {
    part_.header = snapshot.header;
    for (const Snapshot::Tensor& tensor : snapshot.tensors) declare(tensor);
  }

  Manifest run(int rank) {
    const auto files = plan_files(snapshot_, payload_of_a_file(snapshot_, options_.file_bytes));
    for (const auto& placed : files) image_bytes_ = std::max(image_bytes_, bytes_of_image(placed));
    for (std::size_t index = 0; index < files.size(); ++index) {
      write_file(shard_name(rank, index), files[index]);
      release_before(index + 1 < files.size() ? files[index + 1].front().tensor
                                              : snapshot_.tensors.size());
    }
    return std::move(part_);
  }

 private:
  void declare(const Snapshot::Tensor& tensor) {
    const auto [entry, fresh] =
        part_.tensors.try_emplace(tensor.name, TensorRecord{tensor.info, 0, {}});
    if (!fresh && entry->second.info != tensor.info) {
      throw CheckpointError(
          format("tensor {} is given twice, with different shapes, dtypes or "
                 "attributes",
                 tensor.name));
    }
  }

  void write_file(const std::string& name, const std::vector<Placed>& placed) {
    ShardImage image(image_bytes_, std::move(spent_));
    std::map<std::string, std::size_t> seen;
    for (const Placed& part : placed) {
      const Snapshot::Tensor& tensor = snapshot_.tensors[part.tensor];
      const std::string dataset = dataset_name(tensor.name, seen[tensor.name]++);
      image.add(dataset, part_of(part));
      note(tensor, part, dataset);
    }
    FileImage file = image.finish();
    part_.files.push_back(
        {name, static_cast<std::int64_t>(file.bytes().size()), digest_128(file.bytes())});
    write_durably(folder_ / name, file.bytes(), options_.observer);
    spent_ = std::move(file);
  }

  std::int64_t bytes_of_image(const std::vector<Placed>& placed) const {
    std::int64_t bytes = 0;
    for (const Placed& part : placed) bytes += ShardImage::bytes_of(part_of(part).dtype, part.count);
    return bytes;
  }

  View part_of(const Placed& part) const {
    return flat_part(snapshot_.tensors[part.tensor].data, part.begin, part.count);
  }

  void note(const Snapshot::Tensor& tensor, const Placed& part, const std::string& dataset) {
    Slice slice = tensor.slice;
    slice.flat_begin += part.begin;
    slice.flat_end = slice.flat_begin + part.count;
    const View data = part_of(part);
    TensorRecord& record = part_.tensors.at(tensor.name);
    record.digest += layout_digest(slice, data);
    record.pieces.push_back(
        {static_cast<std::int64_t>(part_.files.size()), dataset, slice, digest_64(bytes_of(data))});
  }

  /// Copies that are on the disk need no memory any more.
  void release_before(std::size_t end) {
    for (; released_ < end; ++released_) snapshot_.tensors[released_].copy.reset();
  }

  Snapshot& snapshot_;
  const WriteOptions& options_;
  const Path& folder_;
  Manifest part_;
  std::int64_t image_bytes_ = 0;  // of the largest file: then one memory serves all
  FileImage spent_;               // the file before, whose memory the next one uses
  std::size_t released_ = 0;
};

/// Rank 0: joins the parts, completes them with the attachments, and writes the manifest.
void write_manifest(const std::vector<std::string>& parts, const Snapshot& snapshot,
                    const WriteOptions& options, const Path& folder, WriteReport& report) {
  Manifest manifest = parse_manifest(parts.front(), "rank 0's part of the manifest");
  for (std::size_t rank = 1; rank < parts.size(); ++rank) {
    merge_manifest(manifest, parse_manifest(parts[rank], "a part of the manifest"),
                   static_cast<int>(rank));
  }
  check_coverage(manifest, folder.string());
  for (const FileRecord& file : manifest.files) report.bytes += file.bytes;
  for (const auto& [name, contents] : snapshot.attachments) {
    write_durably(folder / name, bytes_of(contents), options.observer);
    manifest.attachments.push_back(
        {name, static_cast<std::int64_t>(contents.size()), digest_128(bytes_of(contents))});
  }
  const std::string text = manifest_text(manifest);
  const Path temporary = folder / (std::string(kManifestName) + ".tmp");
  write_durably(temporary, bytes_of(text), options.observer);
  if (options.observer) options.observer("name manifest");
  rename_durably(temporary, folder / kManifestName);
}

/// After the commit nothing may fail the save any more.
void tidy_up(const WriteOptions& options, WriteReport& report) {
  if (options.observer) options.observer("tidy up");
  try {
    write_file_atomically(options.folder / kLatestName, report.path.filename().string() + "\n");
  } catch (const Error& error) {
    log_warning(format("the checkpoint is saved, but not its pointer: {}", error.what()));
  }
  report.removed = apply_retention(options.folder, options.retention);
}

void create_temporary(const Path& folder, const WriteOptions& options) {
  if (options.observer) options.observer("create folder");
  std::filesystem::create_directories(options.folder);
  sync_folder(std::filesystem::absolute(options.folder).parent_path());
  std::filesystem::create_directory(folder);
}

}  // namespace

std::int64_t shard_payload(std::int64_t rank_payload) {
  return std::clamp(rank_payload / kFiles, kLeastFile, kLargestFile);
}

WriteReport write(Snapshot&& snapshot, const WriteOptions& options, comm::Group& group) {
  const Stopwatch watch;
  const std::string name = broadcast_text(group, step_name(snapshot.header.step));
  const std::string suffix = broadcast_text(group, unique_suffix());
  const Path temporary = options.folder / format("{}.tmp-{}", name, suffix);
  WriteReport report;
  report.path = options.folder / name;
  try {
    on_root(group, [&] { create_temporary(temporary, options); });
    std::string part;
    on_all_ranks(group, [&] {
      part = manifest_text(ShardWriter(snapshot, options, temporary).run(group.rank()));
      sync_folder(temporary);
    });
    const std::vector<std::string> parts = gather_texts(group, part);
    on_root(group, [&] {
      write_manifest(parts, snapshot, options, temporary, report);
      if (options.observer) options.observer("commit");
      rename_durably(temporary, report.path);
    });
  } catch (const CheckpointError&) {
    if (group.rank() == 0) remove_quietly(temporary);
    throw;
  }
  if (group.rank() == 0) tidy_up(options, report);
  group.broadcast(flat_view(&report.bytes, DType::I64, 1), 0).wait();
  report.seconds = watch.seconds();
  return report;
}

}  // namespace moe::checkpoint
