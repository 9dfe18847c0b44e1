#include "checkpoint/resume.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/format.h"
#include "base/log.h"
#include "checkpoint/agree.h"
#include "checkpoint/folder.h"

namespace moe::checkpoint {
namespace {

/// Rank 0 looks; folders may be seen late through a network file system.
std::vector<std::int64_t> agreed_steps(const Path& folder, comm::Group* group) {
  if (group == nullptr) return list_steps(folder);
  std::string text;
  on_root(*group, [&] {
    for (const std::int64_t step : list_steps(folder)) text += format("{} ", step);
  });
  text = broadcast_text(*group, std::move(text));
  std::vector<std::int64_t> steps;
  const char* at = text.data();
  const char* end = at + text.size();
  for (std::int64_t step = 0; at < end; ++at) {
    at = std::from_chars(at, end, step).ptr;
    steps.push_back(step);
  }
  return steps;
}

bool agreed_exists(const Path& path, comm::Group* group) {
  const bool exists = std::filesystem::exists(path);
  if (group == nullptr) return exists;
  return broadcast_text(*group, exists ? "1" : "0") == "1";
}

std::string reasons(const Found& found) {
  std::string text;
  for (const Rejected& rejected : found.rejected) text += "\n  " + rejected.reason;
  return text;
}

std::shared_ptr<Checkpoint> require_found(const Found& found, const Path& folder) {
  if (found.checkpoint) return found.checkpoint;
  throw CheckpointError(format("{}: no valid checkpoint here{}{}", folder.string(),
                               found.rejected.empty() ? "" : ":", reasons(found)));
}

}  // namespace

Found find_latest_valid(const Path& folder, const OpenOptions& options) {
  Found found;
  std::vector<std::int64_t> steps = agreed_steps(folder, options.group);
  std::ranges::reverse(steps);
  for (const std::int64_t step : steps) {
    const Path path = folder / step_name(step);
    try {
      found.checkpoint = open_checkpoint(path, options);
      return found;
    } catch (const CheckpointError& error) {
      if (options.group == nullptr || options.group->rank() == 0) {
        log_warning(format("checkpoint rejected: {}", error.what()));
      }
      found.rejected.push_back({path, error.what()});
    }
  }
  return found;
}

std::shared_ptr<Checkpoint> open_path(const Path& path, const OpenOptions& options) {
  const std::string name = (path.has_filename() ? path : path.parent_path()).filename().string();
  if (step_from_name(name) || agreed_exists(path / kManifestName, options.group)) {
    return open_checkpoint(path, options);
  }
  const Path inside = path / "checkpoints";
  const Path folder = agreed_exists(inside, options.group) ? inside : path;
  return require_found(find_latest_valid(folder, options), folder);
}

Found resolve_resume(const std::string& policy, const Path& folder, const OpenOptions& options) {
  if (policy == "never") return {};
  if (policy == "auto") return find_latest_valid(folder, options);
  if (policy == "latest") {
    Found found = find_latest_valid(folder, options);
    require_found(found, folder);
    return found;
  }
  return {open_path(policy, options), {}};
}

}  // namespace moe::checkpoint
