#include "train/loop.h"

#include <filesystem>
#include <set>

#include "base/file.h"
#include "base/format.h"
#include "dist/training.h"
#include "support/context_test.h"
#include "support/temporary_folder.h"
#include "support/thread_ranks.h"
#include "support/tolerance.h"

namespace moe::train {
namespace {

class LoopTest : public testing::ContextTest {};

/// Tokens that differ from sample to sample.
class Tokens final : public data::SampleSource {
 public:
  std::int64_t samples_per_epoch() const override { return 1000; }
  std::string fingerprint() const override { return "tokens"; }
  void read(std::int64_t n, const data::SequenceView& out) const override {
    for (std::size_t i = 0; i < out.tokens.size(); ++i) {
      out.tokens[i] = static_cast<std::int32_t>((static_cast<std::size_t>(n) * 5 + i * 7) % 24);
      out.targets[i] = static_cast<std::int32_t>((static_cast<std::size_t>(n) + i * 3) % 24);
    }
    out.starts.assign(1, 0);
    data::number_positions(out);
  }
};

class TwoWindows final : public data::HeldOut {
 public:
  std::int64_t windows() const override { return 2; }
  std::int64_t tokens() const override { return 16; }
  std::int64_t bytes() const override { return 40; }
  void read(std::int64_t window, const data::SequenceView& out) const override {
    Tokens().read(500 + window, out);
  }
};

/// Keeps what it is told.
class Recorder final : public metrics::MetricSink {
 public:
  Recorder(std::vector<metrics::StepRecord>& records, std::vector<std::string>& messages)
      : records_(records), messages_(messages) {}
  void write(const metrics::StepRecord& record) override { records_.push_back(record); }
  void message(std::string_view text) override { messages_.emplace_back(text); }

 private:
  std::vector<metrics::StepRecord>& records_;
  std::vector<std::string>& messages_;
};

/// A loop over a small model on one rank.
struct SmallRun {
  SmallRun() : trainer(testing::tiny_problem(), *group, 1), folder(true) {
    sinks.add("recorder", std::make_unique<Recorder>(records, messages));
    context.state = &trainer.state();
    context.loader = &loader;
    context.total_steps = 6;
    context.checkpoint.interval = 0;
    context.write.folder = folder.path();
    context.checkpoint_context = {.config_yaml = "name: x\n", .data_fingerprint = "d"};
    context.sinks = &sinks;
    context.trace = &trace;
  }

  std::set<std::string> saved() const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
      if (entry.is_directory()) names.insert(entry.path().filename().string());
    }
    return names;
  }

  std::unique_ptr<comm::Group> group = comm::make_self_group();
  testing::Trainer trainer;
  data::Loader loader{
      std::make_shared<Tokens>(),
      {.layout = {.global_batch = 2, .micro_batch = 2}, .sequence_length = 8, .prefetch = 0}};
  data::HeldOutLoader held_out{std::make_shared<TwoWindows>(), {.micro_batch = 1}, 8};
  testing::TemporaryFolder folder;
  metrics::SinkSet sinks;
  metrics::Trace trace;
  std::vector<metrics::StepRecord> records;
  std::vector<std::string> messages;
  LoopContext context;
};

TEST_F(LoopTest, RecordsEveryStepWithItsSpeed) {
  SmallRun run;
  run.context.flops_per_token = 3e6;
  run.context.roof_flops = 7e9;
  const LoopResult result = run_loop(run.context);
  EXPECT_EQ(result.end, LoopEnd::Finished);
  EXPECT_FALSE(result.last_evaluation.has_value());
  ASSERT_EQ(run.records.size(), 6U);
  double seconds = 0.0;
  for (std::size_t i = 0; i < 6; ++i) {
    const metrics::StepRecord& record = run.records[i];
    const auto step = static_cast<std::int64_t>(i + 1);
    EXPECT_EQ(record.step, step);
    EXPECT_EQ(record.tokens, 16 * step);
    EXPECT_GT(record.loss, 0.0);
    EXPECT_GT(record.balance_loss, 0.0);
    EXPECT_GT(record.z_loss, 0.0);
    EXPECT_GT(record.grad_norm, 0.0);
    EXPECT_EQ(record.lr, 0.02);
    EXPECT_GT(record.step_seconds, 0.0);
    EXPECT_GE(record.step_seconds, record.data_wait_seconds);
    const double rounding = testing::tolerance(DType::F64, 4);
    EXPECT_NEAR(record.tokens_per_second * record.step_seconds, 16.0, 16.0 * rounding);
    EXPECT_NEAR(record.mfu, 3e6 * record.tokens_per_second / 7e9, record.mfu * rounding);
    EXPECT_GT(record.memory_bytes, 0);
    EXPECT_EQ(record.eta_seconds > 0, i < 5) << "steps are left";
    EXPECT_EQ(record.experts.size(), 2U);
    EXPECT_FALSE(record.eval_loss.has_value());
    seconds += record.step_seconds;
  }
  EXPECT_NEAR(result.training_seconds, seconds, seconds * testing::tolerance(DType::F64, 6));
  EXPECT_EQ(run.trainer.state().cursor.samples_consumed, 12);
}

/// The time left is told from steps and pauses that do not overlap: together they are no longer
/// than the run.
TEST_F(LoopTest, TheTimeLeftCountsNoSecondTwice) {
  SmallRun run;
  run.context.write.folder = Path();
  run.context.total_steps = 20;
  const Stopwatch watch;
  run_loop(run.context);
  const double whole = watch.seconds();
  const double last_eta = run.records[18].eta_seconds;  // of one step, from the 19 before
  EXPECT_LE(19 * last_eta, whole * (1 + testing::tolerance(DType::F64, 20)));
}

TEST_F(LoopTest, WithoutAFolderNothingIsSaved) {
  SmallRun run;
  run.context.write.folder = Path();
  run.context.checkpoint.interval = 2;
  run_loop(run.context);
  EXPECT_TRUE(run.messages.empty());
}

TEST_F(LoopTest, SavesWhenDueAndAtTheEndOnce) {
  struct Row {
    std::int64_t interval;
    std::size_t saves;
  };
  for (const Row& row : std::initializer_list<Row>{{0, 1}, {2, 3}, {4, 2}, {6, 1}, {9, 1}}) {
    SmallRun run;
    run.context.checkpoint.interval = row.interval;
    run_loop(run.context);
    EXPECT_EQ(run.messages.size(), row.saves) << "interval " << row.interval;
    ASSERT_FALSE(run.saved().empty());
    EXPECT_EQ(checkpoint::open_checkpoint(run.folder / *run.saved().rbegin())->step(), 6);
  }
}

TEST_F(LoopTest, ARunThatIsDoneDoesNothing) {
  SmallRun run;
  run.context.total_steps = 0;
  EXPECT_EQ(run_loop(run.context).end, LoopEnd::Finished);
  EXPECT_TRUE(run.records.empty());
  EXPECT_TRUE(run.messages.empty());
}

TEST_F(LoopTest, EvaluatesWhenDueAndAtTheEnd) {
  struct Row {
    std::int64_t interval;
    bool last;
    std::vector<std::int64_t> steps;
  };
  for (const Row& row : std::initializer_list<Row>{{0, false, {}},
                                                   {0, true, {6}},
                                                   {2, false, {2, 4, 6}},
                                                   {4, false, {4}},
                                                   {4, true, {4, 6}}}) {
    SmallRun run;
    run.context.held_out = &run.held_out;
    run.context.eval.interval = row.interval;
    run.context.eval.final_evaluation = row.last;
    run.context.eval.batches = 1;
    const LoopResult result = run_loop(run.context);
    std::vector<std::int64_t> steps;
    for (const metrics::StepRecord& record : run.records) {
      if (!record.eval_loss) continue;
      steps.push_back(record.step);
      const bool all_read = row.last && record.step == 6;
      EXPECT_EQ(record.eval_bits_per_byte.has_value(), all_read)
          << "on the way one batch is read, at the end everything";
    }
    EXPECT_EQ(steps, row.steps);
    ASSERT_EQ(result.last_evaluation.has_value(), !row.steps.empty());
    if (result.last_evaluation) {
      EXPECT_EQ(result.last_evaluation->tokens, row.last ? 16 : 8);
    }
  }
}

TEST_F(LoopTest, AStopIsAgreedSavedAndTold) {
  SmallRun run;
  const std::atomic<bool> stop = true;
  run.context.stop = &stop;
  EXPECT_EQ(run_loop(run.context).end, LoopEnd::Stopped);
  EXPECT_EQ(run.records.size(), 1U) << "the step under way is finished";
  ASSERT_EQ(run.messages.size(), 1U);
  ASSERT_EQ(run.saved().size(), 1U);
  EXPECT_EQ(checkpoint::open_checkpoint(run.folder / *run.saved().begin())->step(), 1);
}

/// A folder that cannot be written to: a periodic save warns, the last one throws.
TEST_F(LoopTest, AFailedPeriodicSaveEndsNoRun) {
  SmallRun run;
  const Path file = run.folder / "file";
  write_file_atomically(file, "in the way");
  run.context.write.folder = file / "checkpoints";
  run.context.checkpoint.interval = 4;
  EXPECT_THROW(run_loop(run.context), CheckpointError);
  EXPECT_EQ(run.records.size(), 6U) << "step 4's save failed, training went on";
}

}  // namespace
}  // namespace moe::train
