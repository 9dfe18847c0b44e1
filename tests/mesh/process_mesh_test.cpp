#include "mesh/process_mesh.h"

#include <gtest/gtest.h>

#include <numeric>

#include "base/error.h"
#include "comm/buffers.h"
#include "mesh/factorings.h"
#include "support/worlds.h"

namespace moe {
namespace {

using mesh::kPurposes;
using mesh::MeshLayout;
using mesh::ProcessMesh;
using mesh::Purpose;

class ProcessMeshOn : public testing::OnEveryWorld {};

// Place and size as computed, and the members really are the ranks that were meant.
void expect_group(const ProcessMesh& mesh, Purpose purpose) {
  const std::vector<int> members = mesh.layout().ranks(purpose, mesh.rank());
  comm::Group& group = mesh.group(purpose);
  ASSERT_EQ(group.size(), static_cast<int>(members.size()));
  ASSERT_EQ(group.rank(), mesh.layout().index_in_group(purpose, mesh.rank()));
  std::vector<std::int32_t> mine{mesh.rank()};
  std::vector<std::int32_t> all(members.size());
  group.all_gather(testing::view_of(mine), testing::view_of(all)).wait();
  EXPECT_TRUE(std::equal(all.begin(), all.end(), members.begin()));
}

TEST_P(ProcessMeshOn, GroupsAreTheRanksTheLayoutNames) {
  testing::run_world(GetParam(), [](comm::Group& world) {
    testing::for_each_layout(world.size(), [&](const MeshLayout& layout) {
      // The degrees that can be configured today, and one mesh with every axis.
      const mesh::Degrees& d = layout.degrees();
      const bool today = d.data() == world.size() && d.expert_tensor == 1;
      const bool every_axis = d.pipeline > 1 && d.tensor > 1 && d.data_shard > 1 && d.expert > 1;
      if (!today && !every_axis) return;
      SCOPED_TRACE(to_string(layout));
      const ProcessMesh mesh(layout, world);
      for (const Purpose purpose : kPurposes) {
        SCOPED_TRACE(std::string(to_string(purpose)));
        expect_group(mesh, purpose);
      }
    });
  });
}

TEST_P(ProcessMeshOn, GradientSumsOfTheSameRanksShareAGroup) {
  testing::run_world(GetParam(), [](comm::Group& world) {
    const Placement expert = Placement().split(0, Role::Expert);
    const ProcessMesh plain(MeshLayout({.data_shard = world.size()}, world.size()), world);
    EXPECT_EQ(&plain.sum_grad_group(expert), &plain.sum_grad_group(Placement::replicated()));
    EXPECT_NE(&plain.group(Purpose::SumLoss), &plain.group(Purpose::SumReplicatedGrad));
    if (world.size() == 1) return;
    const ProcessMesh experts(
        MeshLayout({.data_shard = world.size(), .expert = world.size()}, world.size()), world);
    EXPECT_NE(&experts.sum_grad_group(expert), &experts.sum_grad_group(Placement::replicated()));
    EXPECT_EQ(experts.sum_grad_group(expert).size(), 1);
  });
}

TEST_P(ProcessMeshOn, RefusesALayoutForAnotherWorld) {
  testing::run_world(GetParam(), [](comm::Group& world) {
    const int other = world.size() + 1;
    EXPECT_THROW(ProcessMesh(MeshLayout({.data_shard = other}, other), world), ConfigError);
  });
}

INSTANTIATE_TEST_SUITE_P(Worlds, ProcessMeshOn, ::testing::ValuesIn(testing::world_cases()),
                         testing::world_name);

}  // namespace
}  // namespace moe
