#include "checkpoint/snapshot.h"

#include <cstring>

#include "base/error.h"
#include "base/format.h"
#include "checkpoint/shard_image.h"

namespace moe::checkpoint {
namespace {

constexpr std::uint64_t kMaxAttachment = std::uint64_t{1} << 30;

void check_tensor(const OwnedTensor& tensor) {
  if (!is_tensor_name(tensor.name)) {
    throw CheckpointError(
        format("[take] '{}' cannot name a tensor: use letters, digits, dots and "
               "slashes",
               tensor.name));
  }
  if (tensor.data.numel() != tensor.slice.numel() || !tensor.data.is_contiguous()) {
    throw ShapeError(format("[take] {}: expected {} contiguous elements for {}, got {}",
                            tensor.name, tensor.slice.numel(), to_string(tensor.slice),
                            tensor.data.numel()));
  }
}

Snapshot::Tensor take_tensor(const OwnedTensor& tensor, Staging staging) {
  check_tensor(tensor);
  const std::int64_t count = tensor.slice.numel();
  Snapshot::Tensor taken{tensor.name,
                         {tensor.slice.global, tensor.data.dtype, tensor.attributes},
                         tensor.slice,
                         flat_view(tensor.data.data, tensor.data.dtype, count),
                         nullptr};
  if (staging == Staging::Copy && count > 0) {
    const auto bytes = static_cast<std::size_t>(taken.data.bytes());
    taken.copy = std::shared_ptr<std::byte[]>(new std::byte[bytes]);
    std::memcpy(taken.copy.get(), tensor.data.data, bytes);
    taken.data.data = taken.copy.get();
  }
  return taken;
}

}  // namespace

Snapshot take(const State& state, Staging staging) {
  Snapshot snapshot;
  snapshot.header = state.header;
  snapshot.header.versions.emplace("moe-train", MOE_VERSION);
  snapshot.header.versions.emplace("hdf5", hdf5_version());
  snapshot.tensors.reserve(state.tensors.size());
  for (const OwnedTensor& tensor : state.tensors) {
    snapshot.tensors.push_back(take_tensor(tensor, staging));
  }
  for (const auto& [name, path] : state.attachments) {
    if (!is_file_name(name) || name == kManifestName || name.ends_with(".h5")) {
      throw CheckpointError(format("[take] '{}' cannot name an attached file", name));
    }
    snapshot.attachments[name] = read_file(path, kMaxAttachment);
  }
  return snapshot;
}

}  // namespace moe::checkpoint
