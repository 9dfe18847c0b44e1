/// Which checkpoint a run goes on from.
#pragma once

#include "checkpoint/checkpoint.h"

namespace moe::checkpoint {

/// A checkpoint that was not taken, and why.
struct Rejected {
  Path path;
  std::string reason;
};

struct Found {
  std::shared_ptr<Checkpoint> checkpoint;  ///< null: there is none
  std::vector<Rejected> rejected;          ///< newer ones that failed verification; also logged
};

/// The newest step folder that verifies. The pointer file `latest` is not consulted: it is a hint
/// for people. @comm with a group: all ranks get the same answer
Found find_latest_valid(const Path& folder, const OpenOptions& options = {});

/// Opens what a person names: a step folder, a checkpoints folder or a run folder (its newest valid
/// one).
/// @throws CheckpointError when nothing there verifies, with the reasons
std::shared_ptr<Checkpoint> open_path(const Path& path, const OpenOptions& options = {});

/// `checkpoint.resume`: "never"; "auto" (the newest valid one in `folder`, if any); "latest" (the
/// same, but there must be one); or a path for open_path.
/// @throws CheckpointError
Found resolve_resume(const std::string& policy, const Path& folder,
                     const OpenOptions& options = {});

}  // namespace moe::checkpoint
