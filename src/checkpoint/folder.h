/// The names inside a run's checkpoint folder: step_00000100/, step_00000100.tmp-<id>/, latest.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace moe::checkpoint {

inline constexpr const char* kLatestName = "latest";

/// "step_00000100".
std::string step_name(std::int64_t step);
/// The inverse; nothing for any other name.
std::optional<std::int64_t> step_from_name(std::string_view name);
/// True for what an interrupted save or removal leaves: `step_<digits>.tmp-<...>`,
/// `latest.tmp-<...>`.
bool is_leftover_name(std::string_view name);

/// Steps that have a folder, oldest first; none if `folder` is absent. Looks at names only.
std::vector<std::int64_t> list_steps(const Path& folder);

/// Removes what interrupted saves left. Call at start, on one rank, while nobody saves into
/// `folder`.
/// @returns the names removed
std::vector<std::string> clean_leftovers(const Path& folder);

/// Moves the steps after `step` out of the way, into a new folder `superseded_<n>` beside them: a run that starts again
/// from `step` writes its own, and neither resuming nor retention may mix the two. Nothing is removed. One rank, while
/// nobody saves.
/// @returns the new folder, or nothing if there was no such step  @throws CheckpointError(path, reason)
std::optional<Path> set_aside_after(const Path& folder, std::int64_t step);

}  // namespace moe::checkpoint
