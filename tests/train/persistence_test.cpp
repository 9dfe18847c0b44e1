#include "train/persistence.h"

#include <map>

#include "base/error.h"
#include "base/format.h"
#include "checkpoint/memory_source.h"
#include "checkpoint/writer.h"
#include "dist/training.h"
#include "support/context_test.h"
#include "support/temporary_folder.h"
#include "support/thread_ranks.h"

namespace moe::train {
namespace {

using testing::Problem;
using testing::Trainer;

class PersistenceTest : public testing::ContextTest {};

CheckpointContext context() {
  return {.config_yaml = "name: x\n", .data_fingerprint = "abc", .seed = 17};
}

std::shared_ptr<checkpoint::Checkpoint> saved(Trainer& trainer, const testing::TemporaryFolder& to,
                                              comm::Group& group) {
  const auto report = checkpoint::write(
      checkpoint::take(describe_state(trainer.state(), context()), checkpoint::Staging::Borrow),
      {.folder = to.path()}, group);
  return checkpoint::open_checkpoint(report.path);
}

TEST_F(PersistenceTest, ARestoredRunContinuesBitForBit) {
  for (const DType dtype : {DType::F32, DType::BF16}) {
    const testing::TemporaryFolder folder(true);
    const auto alone = comm::make_self_group();
    Problem problem = testing::tiny_problem();
    problem.dtype = dtype;
    Trainer first(problem, *alone, 1);
    for (int step = 0; step < 2; ++step) first.step();
    const auto checkpoint = saved(first, folder, *alone);
    const auto loss = first.step().result.loss;
    problem.seed += 5;
    Trainer second(problem, *alone, 1);
    restore_state(second.state(), *checkpoint);
    EXPECT_EQ(second.state().step, 2);
    EXPECT_EQ(second.state().tokens, 32);
    EXPECT_EQ(second.state().cursor.samples_consumed, 4);
    second.seek(problem.seed - 5);
    EXPECT_EQ(second.step().result.loss, loss) << to_string(dtype);
    EXPECT_TRUE(second.gather_weights() == first.gather_weights());
    EXPECT_TRUE(second.gather_moments() == first.gather_moments());
  }
}

TEST_F(PersistenceTest, TheHeaderTellsWhereTheRunStands) {
  const testing::TemporaryFolder folder(true);
  const auto alone = comm::make_self_group();
  Trainer trainer(testing::tiny_problem(), *alone, 1);
  for (int step = 0; step < 3; ++step) trainer.step();
  const auto checkpoint = saved(trainer, folder, *alone);
  const checkpoint::Header& header = checkpoint->header();
  EXPECT_EQ(header.step, 3);
  EXPECT_EQ(header.consumed_samples, 6);
  EXPECT_EQ(header.consumed_tokens, 48);
  EXPECT_EQ(header.config, "name: x\n");
  EXPECT_EQ(header.world,
            (std::map<std::string, std::int64_t>{{"size", 1}, {"data", 1}, {"expert", 1}}));
  EXPECT_EQ(data_fingerprint(*checkpoint), "abc");
  EXPECT_NE(checkpoint->state("randomness").find("17"), std::string::npos);
}

TEST_F(PersistenceTest, EveryElementIsOwnedByExactlyOneRank) {
  for (const auto& [ranks, expert] : {std::pair{1, 1}, {2, 1}, {2, 2}, {4, 2}, {3, 1}}) {
    SCOPED_TRACE(format("{} ranks, expert {}", ranks, expert));
    std::vector<std::map<std::string, std::vector<std::int64_t>>> of_rank(
        static_cast<std::size_t>(ranks));
    std::map<std::string, std::int64_t> sizes;
    Problem problem = testing::tiny_problem();
    problem.readers = ranks;
    testing::run_ranks(ranks, [&, expert = expert](comm::Group& world) {
      Trainer trainer(problem, world, expert);
      const checkpoint::State state = describe_state(trainer.state(), context());
      EXPECT_EQ(state.tensors.size(), 3 * trainer.state().model->parameters().size());
      auto& mine = of_rank[static_cast<std::size_t>(world.rank())];
      for (const checkpoint::OwnedTensor& tensor : state.tensors) {
        EXPECT_EQ(tensor.data.numel(), tensor.slice.numel()) << tensor.name;
        EXPECT_EQ(tensor.attributes.size(), 1U);
        auto& elements = mine[tensor.name];
        for (auto i = tensor.slice.flat_begin; i < tensor.slice.flat_end; ++i)
          elements.push_back(global_index(tensor.slice, i));
        if (world.rank() == 0) sizes[tensor.name] = tensor.slice.global.numel();
      }
    });
    for (const auto& [name, size] : sizes) {
      std::vector<int> owners(static_cast<std::size_t>(size), 0);
      for (auto& mine : of_rank) {
        for (const std::int64_t element : mine[name]) ++owners[static_cast<std::size_t>(element)];
      }
      EXPECT_EQ(owners, std::vector<int>(owners.size(), 1)) << name;
    }
  }
}

TEST_F(PersistenceTest, WeightsAloneComeFromAnySource) {
  const auto alone = comm::make_self_group();
  Trainer trainer(testing::tiny_problem(), *alone, 1);
  checkpoint::MemorySource source;
  trainer.state().model->for_each_parameter(
      [&](nn::Parameter& p) { source.add(p.name(), p.spec().shape, p.master().view()); });
  Problem other = testing::tiny_problem();
  other.seed = 99;
  Trainer second(other, *alone, 1);
  restore_weights(*second.state().model, source);
  EXPECT_TRUE(second.gather_weights() == trainer.gather_weights());
}

TEST_F(PersistenceTest, AMissingOrReshapedWeightIsRefusedByName) {
  const auto alone = comm::make_self_group();
  Trainer trainer(testing::tiny_problem(), *alone, 1);
  Model& model = *trainer.state().model;
  for (const bool missing : {true, false}) {
    checkpoint::MemorySource source("somewhere");
    model.for_each_parameter([&](nn::Parameter& p) {
      if (p.name() != "norm.weight") {
        source.add(p.name(), p.spec().shape, p.master().view());
      } else if (!missing) {
        source.add(p.name(), {p.value().numel(), 1}, p.master().view());
      }
    });
    try {
      restore_weights(model, source);
      ADD_FAILURE() << "was accepted";
    } catch (const CheckpointError& error) {
      const std::string text = error.what();
      EXPECT_NE(text.find("norm.weight"), std::string::npos) << text;
      EXPECT_EQ(text.find("expected shape [16], found [16, 1]") != std::string::npos, !missing)
          << text;
    }
  }
}

}  // namespace
}  // namespace moe::train
