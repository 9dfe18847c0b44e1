#include "mesh/mesh_layout.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/format.h"

namespace moe::mesh {
namespace {

// One axis of a folding: its degree, the coordinate it sets, and whether a group runs along it.
struct Axis {
  int degree;
  int Coordinates::*coordinate;
  bool joined = false;
};

using AttentionAxes = std::array<Axis, 5>;
using ExpertAxes = std::array<Axis, 4>;

AttentionAxes attention_axes(const Degrees& d) {
  return {{{d.pipeline, &Coordinates::pipeline},
           {d.data_replicate, &Coordinates::data_replicate},
           {d.data_shard, &Coordinates::data_shard},
           {d.context, &Coordinates::context},
           {d.tensor, &Coordinates::tensor}}};
}

ExpertAxes expert_axes(const Degrees& d, int expert_data) {
  return {{{d.pipeline, &Coordinates::pipeline},
           {expert_data, &Coordinates::expert_data},
           {d.expert, &Coordinates::expert},
           {d.expert_tensor, &Coordinates::expert_tensor}}};
}

int fold(std::span<const Axis> axes, const Coordinates& at) {
  int rank = 0;
  for (const Axis& axis : axes) rank = rank * axis.degree + at.*axis.coordinate;
  return rank;
}

void unfold(std::span<const Axis> axes, int rank, Coordinates& at) {
  for (std::size_t i = axes.size(); i-- > 0;) {
    at.*axes[i].coordinate = rank % axes[i].degree;
    rank /= axes[i].degree;
  }
}

template <std::size_t N>
void join(std::array<Axis, N>& axes, std::initializer_list<int Coordinates::*> coordinates) {
  for (Axis& axis : axes) {
    axis.joined =
        std::find(coordinates.begin(), coordinates.end(), axis.coordinate) != coordinates.end();
  }
}

// All ranks that differ from `rank` along the joined axes only, ascending.
std::vector<int> along(std::span<const Axis> axes, int rank) {
  int first = rank;
  std::size_t count = 1;
  int stride = 1;
  for (std::size_t i = axes.size(); i-- > 0; stride *= axes[i].degree) {
    if (!axes[i].joined) continue;
    first -= rank / stride % axes[i].degree * stride;
    count *= static_cast<std::size_t>(axes[i].degree);
  }
  std::vector<int> members;
  members.reserve(count);
  members.push_back(first);
  stride = 1;
  // From the innermost axis out, each repeats what is there with larger steps: so the order stays
  // ascending.
  for (std::size_t i = axes.size(); i-- > 0; stride *= axes[i].degree) {
    const std::size_t before = members.size();
    for (int step = 1; axes[i].joined && step < axes[i].degree; ++step) {
      for (std::size_t m = 0; m < before; ++m) members.push_back(members[m] + step * stride);
    }
  }
  return members;
}

void require_positive(const Degrees& d) {
  const std::pair<const char*, int> keys[] = {{"pipeline", d.pipeline},
                                              {"data_replicate", d.data_replicate},
                                              {"data_shard", d.data_shard},
                                              {"context", d.context},
                                              {"tensor", d.tensor},
                                              {"expert", d.expert},
                                              {"expert_tensor", d.expert_tensor}};
  for (const auto& [key, value] : keys) {
    if (value < 1) throw ConfigError(format("parallel.{} ({}): expected 1 or more", key, value));
  }
}

// "parallel.data (4)", with the other axes of a stage only where they are used.
std::string stage_terms(const Degrees& d) {
  std::string text = format("parallel.data ({})", d.data());
  if (d.context > 1) text += format(" x parallel.context ({})", d.context);
  if (d.tensor > 1) text += format(" x parallel.tensor ({})", d.tensor);
  return text;
}

std::string expert_terms(const Degrees& d) {
  std::string text = format("parallel.expert ({})", d.expert);
  if (d.expert_tensor > 1) text += format(" x parallel.expert_tensor ({})", d.expert_tensor);
  return text;
}

void require_world(const Degrees& d, int world) {
  const std::int64_t product =
      std::int64_t{1} * d.pipeline * d.data_replicate * d.data_shard * d.context * d.tensor;
  if (product == world) return;
  const std::string pipeline =
      d.pipeline > 1 ? format(" x parallel.pipeline ({})", d.pipeline) : "";
  throw ConfigError(
      format("{}{} makes {} ranks, but the job has {}. HINT: start {} ranks, or set "
             "parallel.data to auto",
             stage_terms(d), pipeline, product, world, product));
}

void require_experts_fit(const Degrees& d) {
  const std::int64_t stage = std::int64_t{1} * d.data() * d.context * d.tensor;
  const std::int64_t experts = std::int64_t{1} * d.expert * d.expert_tensor;
  if (stage % experts != 0) {
    throw ConfigError(format("{} must divide {}", expert_terms(d), stage_terms(d)));
  }
  // Else replicas would hold different numbers of copies of an expert.
  const std::int64_t block = stage / d.data_replicate;
  if (block % experts != 0 && experts % block != 0) {
    throw ConfigError(
        format("{} must divide the {} ranks of one parallel.data_replicate block, or be a "
               "multiple of them",
               expert_terms(d), block));
  }
  if (!d.tensor_splits_tokens && d.tensor > 1 && d.expert_tensor != d.tensor) {
    throw ConfigError(
        format("parallel.expert_tensor ({}) must equal parallel.tensor ({}) where tensor "
               "ranks hold the same tokens: each token would reach its experts {} times",
               d.expert_tensor, d.tensor, d.tensor));
  }
}

}  // namespace

MeshLayout::MeshLayout(const Degrees& degrees, int world) : degrees_(degrees), world_(world) {
  require_positive(degrees);
  require_world(degrees, world);
  require_experts_fit(degrees);
}

Coordinates MeshLayout::coordinates(int rank) const {
  MOE_CHECK_GE(rank, 0);
  MOE_CHECK_LT(rank, world_);
  Coordinates at;
  unfold(attention_axes(degrees_), rank, at);
  unfold(expert_axes(degrees_, expert_data()), rank, at);
  return at;
}

int MeshLayout::rank_at(const Coordinates& attention) const {
  return fold(attention_axes(degrees_), attention);
}

int MeshLayout::rank_at_expert(const Coordinates& experts) const {
  return fold(expert_axes(degrees_, expert_data()), experts);
}

std::vector<int> MeshLayout::ranks(Purpose purpose, int rank) const {
  using C = Coordinates;
  const bool tokens = degrees_.tensor_splits_tokens;
  AttentionAxes attention = attention_axes(degrees_);
  ExpertAxes experts = expert_axes(degrees_, expert_data());
  const auto in_attention = [&](std::initializer_list<int C::*> joined) {
    join(attention, joined);
    return along(attention, rank);
  };
  const auto in_experts = [&](std::initializer_list<int C::*> joined) {
    join(experts, joined);
    return along(experts, rank);
  };
  switch (purpose) {
    case Purpose::ReadData:
      return in_attention({&C::data_replicate, &C::data_shard});
    case Purpose::SumLoss:
    case Purpose::SumSplitGrad:
      return in_attention({&C::data_replicate, &C::data_shard, &C::context});
    case Purpose::SumReplicatedGrad:
    case Purpose::SumRoutingGlobal:
      return tokens ? in_attention({&C::data_replicate, &C::data_shard, &C::context, &C::tensor})
                    : in_attention({&C::data_replicate, &C::data_shard, &C::context});
    case Purpose::SumRouting:
      return tokens ? in_attention({&C::context, &C::tensor}) : in_attention({&C::context});
    case Purpose::SumGradNorm:
      return in_attention(
          {&C::pipeline, &C::data_replicate, &C::data_shard, &C::context, &C::tensor});
    case Purpose::JoinHidden:
      return in_attention({&C::tensor});
    case Purpose::ExchangeSequence:
      return in_attention({&C::context});
    case Purpose::GatherShard:
      return in_attention({&C::data_shard});
    case Purpose::PassActivations:
      return in_attention({&C::pipeline});
    case Purpose::SumExpertGrad:
      return in_experts({&C::expert_data});
    case Purpose::ExchangeTokens:
      return in_experts({&C::expert});
    case Purpose::JoinExpertHidden:
      return in_experts({&C::expert_tensor});
    case Purpose::GatherExpertShard: {
      std::vector<int> members = in_experts({&C::expert_data});
      const int block = world_ / (degrees_.pipeline * degrees_.data_replicate);
      std::erase_if(members, [&](int member) { return member / block != rank / block; });
      return members;
    }
    case Purpose::SumTiedGrad: {
      const int stage = rank / stage_ranks();
      const int last = degrees_.pipeline - 1;
      if (last == 0 || (stage != 0 && stage != last)) return {rank};
      const int within = rank % stage_ranks();
      return {within, within + last * stage_ranks()};
    }
  }
  MOE_CHECK(false);
  return {};
}

int MeshLayout::group_size(Purpose purpose, int rank) const {
  return static_cast<int>(ranks(purpose, rank).size());
}

int MeshLayout::index_in_group(Purpose purpose, int rank) const {
  const std::vector<int> members = ranks(purpose, rank);
  return static_cast<int>(std::lower_bound(members.begin(), members.end(), rank) - members.begin());
}

RoleShares MeshLayout::role_shares(const Placement& placement, int rank) const {
  const Coordinates at = coordinates(rank);
  const bool is_expert = placement.has(Role::Expert);
  const RoleShare tensor = is_expert ? RoleShare{degrees_.expert_tensor, at.expert_tensor}
                                     : RoleShare{degrees_.tensor, at.tensor};
  RoleShares shares;
  for (const Role role : {Role::Hidden, Role::Heads, Role::KeyValueHeads, Role::Vocab}) {
    shares[role] = tensor;
  }
  shares[Role::Expert] = {degrees_.expert, at.expert};
  return shares;
}

std::string to_string(const MeshLayout& layout) {
  const Degrees& d = layout.degrees();
  std::string text = format("{} ranks: data {}", layout.world(), d.data());
  if (d.data() > 1) text += format(" (replicate {}, shard {})", d.data_replicate, d.data_shard);
  if (d.pipeline > 1) text += format(", pipeline {}", d.pipeline);
  if (d.context > 1) text += format(", context {}", d.context);
  if (d.tensor > 1) text += format(", tensor {}", d.tensor);
  text += format("; experts: expert {} x data {}", d.expert, layout.expert_data());
  if (d.expert_tensor > 1) text += format(" x tensor {}", d.expert_tensor);
  return text;
}

}  // namespace moe::mesh
