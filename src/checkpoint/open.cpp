#include <algorithm>
#include <set>

#include "base/clock.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/format.h"
#include "base/log.h"
#include "checkpoint/agree.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/folder.h"

namespace moe::checkpoint {
namespace {

constexpr std::uint64_t kMaxManifestBytes = std::uint64_t{4} << 30;
constexpr double kLogEverySeconds = 10;

void check_size(const Path& path, const FileRecord& record) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::is_regular_file(status)) {
    throw CheckpointError(format("{}: missing, or not a regular file", path.string()));
  }
  const auto size = static_cast<std::int64_t>(std::filesystem::file_size(path, error));
  if (error || size != record.bytes) {
    throw CheckpointError(format("{}: expected {} bytes, found {}", path.string(), record.bytes,
                                 error ? error.message() : std::to_string(size)));
  }
}

std::vector<FileRecord> all_files(const Manifest& manifest) {
  std::vector<FileRecord> files = manifest.files;
  files.insert(files.end(), manifest.attachments.begin(), manifest.attachments.end());
  return files;
}

void check_sizes(const Path& folder, const Manifest& manifest) {
  for (const FileRecord& file : all_files(manifest)) check_size(folder / file.name, file);
}

/// Every dataset is named once in its file: two pieces must not read the same numbers.
void check_datasets(const Manifest& manifest, const std::string& where) {
  std::set<std::pair<std::int64_t, std::string_view>> seen;
  for (const auto& [name, tensor] : manifest.tensors) {
    for (const Piece& piece : tensor.pieces) {
      if (!seen.emplace(piece.file, piece.dataset).second) {
        throw CheckpointError(
            format("{}: tensor {}: dataset {} is used twice", where, name, piece.dataset));
      }
    }
  }
}

Manifest read_manifest(const Path& folder, const std::string& text) {
  const std::string where = (folder / kManifestName).string();
  Manifest manifest = parse_manifest(text, where);
  const auto named = step_from_name(folder.filename().string());
  if (named && *named != manifest.header.step) {
    throw CheckpointError(
        format("{}: is of step {}, its folder says {}", where, manifest.header.step, *named));
  }
  check_coverage(manifest, where);
  check_datasets(manifest, where);
  return manifest;
}

/// Says from time to time how far a long verification is.
class VerifyProgress {
 public:
  VerifyProgress(const Path& folder, const OpenOptions& options, std::int64_t total)
      : folder_(folder), options_(options), total_(total) {}
  void tell(std::int64_t done) {
    if (options_.progress) {
      options_.progress(done, total_);
    } else if (watch_.seconds() > kLogEverySeconds) {
      log_info(format("verifying {}: {} of {}", folder_.string(), human_bytes(double(done)),
                      human_bytes(double(total_))));
      watch_.restart();
    }
  }

 private:
  const Path& folder_;
  const OpenOptions& options_;
  std::int64_t total_;
  Stopwatch watch_;
};

void verify_files(const Path& folder, const std::vector<FileRecord>& files,
                  const OpenOptions& options) {
  std::int64_t total = 0;
  for (const FileRecord& file : files) total += file.bytes;
  VerifyProgress progress(folder, options, total);
  std::int64_t done = 0;
  for (const FileRecord& file : files) {
    const Path path = folder / file.name;
    check_size(path, file);
    const std::string digest = digest_file_128(
        path, [&](std::uint64_t read) { progress.tell(done + static_cast<std::int64_t>(read)); });
    if (digest != file.digest) {
      throw CheckpointError(
          format("{}: damaged: expected digest {}, found {}", path.string(), file.digest, digest));
    }
    done += file.bytes;
  }
}

/// Largest first to whoever has least: every rank finds the same shares.
std::vector<FileRecord> share_of_rank(std::vector<FileRecord> files, int rank, int ranks) {
  std::ranges::stable_sort(files, std::greater{}, &FileRecord::bytes);
  std::vector<std::int64_t> load(static_cast<std::size_t>(ranks), 0);
  std::vector<FileRecord> mine;
  for (FileRecord& file : files) {
    const auto least = std::ranges::min_element(load);
    *least += file.bytes;
    if (least - load.begin() == rank) mine.push_back(std::move(file));
  }
  return mine;
}

}  // namespace

std::shared_ptr<Checkpoint> open_checkpoint(const Path& step_folder, const OpenOptions& options) {
  std::unique_ptr<comm::Group> alone;
  if (options.group == nullptr) alone = comm::make_self_group("OpenCheckpoint");
  comm::Group& group = alone ? *alone : *options.group;
  std::string text;
  on_root(group, [&] { text = read_file(step_folder / kManifestName, kMaxManifestBytes); });
  text = broadcast_text(group, std::move(text));
  std::shared_ptr<Checkpoint> checkpoint;
  on_all_ranks(group, [&] {
    checkpoint = std::make_shared<Checkpoint>(step_folder, read_manifest(step_folder, text),
                                              options.on_open_shard);
    check_sizes(step_folder, checkpoint->manifest());
    if (!options.verify) return;
    verify_files(step_folder,
                 share_of_rank(all_files(checkpoint->manifest()), group.rank(), group.size()),
                 options);
  });
  return checkpoint;
}

bool looks_complete(const Path& step_folder) {
  try {
    const std::string text = read_file(step_folder / kManifestName, kMaxManifestBytes);
    check_sizes(step_folder, read_manifest(step_folder, text));
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace moe::checkpoint
