/// What the checkpoint tests share: folders, ranks, states with known values.
#pragma once

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "checkpoint/memory_source.h"
#include "checkpoint/snapshot.h"
#include "checkpoint/writer.h"
#include "support/temporary_folder.h"
#include "support/thread_ranks.h"

namespace moe::checkpoint::testing {

/// In memory where possible: saves sync a lot.
struct TemporaryFolder : ::moe::testing::TemporaryFolder {
  TemporaryFolder() : ::moe::testing::TemporaryFolder(true) {}
};

/// A value that tells its tensor and its place, and that bf16 holds exactly.
inline double value_at(const std::string& name, std::int64_t index) {
  return static_cast<double>(index % 199) + static_cast<double>(name.size());
}

struct GlobalTensor {
  std::string name;
  Shape shape;
  DType dtype = DType::F32;
};

/// How many parts each kind of cut has.
struct Layout {
  std::int64_t expert = 1;
  std::int64_t tensor = 1;
  std::int64_t shards = 1;
  std::int64_t alignment = 1;
  int ranks() const { return static_cast<int>(expert * tensor * shards); }
};

/// The slice of rank `rank`: expert slowest, shard fastest. Dim 0 is cut by expert and dim 2 by
/// tensor where a tensor has rank 4; others are cut flat over all ranks.
inline Slice slice_of(const GlobalTensor& tensor, const Layout& layout, int rank) {
  if (tensor.shape.rank() != 4) {
    return shard(whole(tensor.shape), layout.ranks(), rank, layout.alignment);
  }
  Placement placement;
  placement.split(0, Role::Expert).split(2, Role::Hidden);
  RoleShares shares;
  const std::int64_t box = rank / layout.shards;
  shares[Role::Expert] = {layout.expert, box / layout.tensor};
  shares[Role::Hidden] = {layout.tensor, box % layout.tensor};
  return shard(place(tensor.name, tensor.shape, placement, shares), layout.shards,
               rank % layout.shards, layout.alignment);
}

/// Owns the memory behind OwnedTensors.
class RankState {
 public:
  RankState(const std::vector<GlobalTensor>& tensors, const Layout& layout, int rank) {
    for (const GlobalTensor& tensor : tensors) add(tensor, slice_of(tensor, layout, rank));
    state.header.step = 100;
    state.header.consumed_samples = 6400;
    state.header.consumed_tokens = 6400 * 128;
    state.header.world = {{"size", layout.ranks()}, {"expert", layout.expert}};
    state.header.config = "name: test\n";
    state.header.model = R"({"hidden_size": 8})";
    state.header.states = {{"cursor", R"({"sample": 6400})"}, {"seed", "1234"}};
  }
  void add(const GlobalTensor& tensor, const Slice& slice) {
    MemorySource source;
    std::vector<double> values;
    for (std::int64_t i = 0; i < tensor.shape.numel(); ++i) {
      values.push_back(value_at(tensor.name, i));
    }
    source.add(tensor.name, tensor.shape, tensor.dtype, values);
    const auto bytes = static_cast<std::size_t>(slice.numel() * size_of(tensor.dtype));
    memory_.push_back(std::make_unique<std::vector<std::byte>>(bytes));
    const View view = flat_view(memory_.back()->data(), tensor.dtype, slice.numel());
    source.read(tensor.name, slice, view);
    state.tensors.push_back({tensor.name, slice, view, {{"kind", "expert"}}});
  }

  State state;

 private:
  std::vector<std::unique_ptr<std::vector<std::byte>>> memory_;
};

/// Tensors of every dtype that training keeps, with odd, tiny and empty sizes.
inline std::vector<GlobalTensor> sample_tensors() {
  return {{"experts/w_in", Shape{4, 2, 8, 6}, DType::BF16},
          {"experts/w_in.master", Shape{4, 2, 8, 6}, DType::F32},
          {"norm", Shape{7}, DType::F32},
          {"router.bias", Shape{5}, DType::F64},
          {"counters", Shape{3}, DType::I64},
          {"scalar", Shape{}, DType::F32},
          {"nothing", Shape{0, 4}, DType::F32}};
}

/// Saves with `layout.ranks()` thread ranks; returns rank 0's report.
inline WriteReport save(const Path& folder, const std::vector<GlobalTensor>& tensors,
                        const Layout& layout, std::int64_t step = 100, WriteOptions options = {}) {
  options.folder = folder;
  WriteReport report;
  ::moe::testing::run_ranks(layout.ranks(), [&](comm::Group& group) {
    RankState rank(tensors, layout, group.rank());
    rank.state.header.step = step;
    const WriteReport mine = write(take(rank.state, Staging::Copy), options, group);
    if (group.rank() == 0) report = mine;
  });
  return report;
}

/// The names in a folder, sorted.
inline std::vector<std::string> names_in(const Path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace moe::checkpoint::testing
