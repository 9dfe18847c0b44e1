/// Which checkpoints stay.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"

namespace moe::checkpoint {

struct Retention {
  std::int64_t keep_last = 2;              ///< the newest ones, at least 1
  std::optional<std::int64_t> keep_every;  ///< and every step that is a multiple, for ever
};

/// The steps to remove out of the valid ones (any order). @invariant the newest is never among them
std::vector<std::int64_t> steps_to_remove(std::vector<std::int64_t> valid,
                                          const Retention& retention);

/// Removes old checkpoints from `folder`. Call only after a newer one was committed. Folders
/// without an intact manifest neither count nor are touched. Failures are logged, never thrown.
/// @returns the steps removed
std::vector<std::int64_t> apply_retention(const Path& folder, const Retention& retention);

}  // namespace moe::checkpoint
