/// The training state of one rank, detached from the training: what a writer needs and nothing
/// else.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "checkpoint/manifest.h"

namespace moe::checkpoint {

/// A part of a global tensor that this rank is to save. Every element of a tensor must be given by
/// exactly one rank: replicas cut it among themselves with `shard(slice, replicas, my_index)`.
struct OwnedTensor {
  std::string name;
  Slice slice;
  View data;  ///< contiguous host memory, slice.numel() elements in the order of the box
  std::map<std::string, std::string> attributes = {};  ///< the same on every rank
};

struct State {
  Header header;                            ///< the same on every rank
  std::vector<OwnedTensor> tensors;         ///< empty slices are welcome: they declare the tensor
  std::map<std::string, Path> attachments;  ///< name in the step folder -> file; rank 0's count
};

/// How a snapshot holds its elements.
enum class Staging {
  Copy,   ///< they may change once take() returned: for a writer that runs beside the training
  Borrow  ///< no copy; they must not change until write() returned
};

/// @thread may be moved to another thread
class Snapshot {
 public:
  struct Tensor {
    std::string name;
    TensorInfo info;
    Slice slice;
    View data;
    std::shared_ptr<std::byte[]> copy;  ///< null if borrowed
  };
  Header header;
  std::vector<Tensor> tensors;
  std::map<std::string, std::string> attachments;  ///< name -> contents
};

/// @cost Copy: one pass over the memory, and as much again until it is written
/// @throws CheckpointError: a bad name, a state that is not JSON, an unreadable attachment;
/// ShapeError
Snapshot take(const State& state, Staging staging);

}  // namespace moe::checkpoint
