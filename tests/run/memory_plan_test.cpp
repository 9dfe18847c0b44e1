#include "run/memory_plan.h"

#include <cmath>

#include "autograd/tape.h"
#include "base/format.h"
#include "data/synthetic.h"
#include "parallel/apply.h"
#include "parallel/grad_reducer.h"
#include "support/context_test.h"
#include "support/thread_ranks.h"
#include "train/step.h"

namespace moe::run {
namespace {

RunConfig sparse_run() {
  RunConfig config;
  ModelConfig& model = config.model;
  model.vocab_size = 300;
  model.hidden_size = 64;
  model.num_hidden_layers = 3;
  model.num_attention_heads = 4;
  model.num_key_value_heads = 2;
  model.intermediate_size = 96;
  model.max_position_embeddings = 128;
  model.num_experts = 4;
  model.num_experts_per_tok = 2;
  model.moe_intermediate_size = 48;
  model.sparse_layers = "after_dense";
  model.first_k_dense_replace = 1;
  config.training.steps = 1;
  config.training.sequence_length = 64;
  config.training.micro_batch_size = 2;
  config.training.global_batch_size = 2;
  return config;
}

/// What a rank holds at the end of a step, by the allocator's accounts.
TEST(MemoryPlan, ParametersGradientsAndMomentsAreExact) {
  for (const char* dtype : {"f32", "bf16"}) {
    for (const int expert : {1, 2, 4}) {
      SCOPED_TRACE(format("{}, expert {}", dtype, expert));
      RunConfig config = sparse_run();
      config.runtime.compute_dtype = dtype;
      testing::run_ranks(4, [&](comm::Group& world) {
        const mesh::ProcessMesh mesh(mesh::MeshLayout({.data_replicate = 4, .expert = expert}, 4),
                                     world);
        Model model(config.model);
        parallel::apply(model, mesh);
        model.materialize(std::string(dtype) == "bf16" ? DType::BF16 : DType::F32, 1);
        parallel::GradReducer reducer(model.parameters(), mesh);
        reducer.begin_step();
        reducer.finish();
        const auto optimizer = optim::make_optimizer(config.optimizer, reducer.trained_tensors());
        MemoryPlan plan = plan_memory(config, mesh.layout());
        for (const MemoryCategory category :
             {MemoryCategory::Parameters, MemoryCategory::Gradients, MemoryCategory::Optimizer}) {
          EXPECT_EQ(plan[category], current_context().allocator.account(category).bytes)
              << to_string(category);
        }
      });
    }
  }
}

/// The most that activations took in forward and backward of a micro-batch.
std::int64_t measured_activations(const RunConfig& config) {
  DeviceContext context(1, detect_cpu_isa());
  const ContextScope scope(context);
  context.emulate_bf16 = true;
  Model model(config.model);
  model.set_recompute(config.training.recompute);
  model.materialize(config.runtime.compute_dtype == "bf16" ? DType::BF16 : DType::F32, 1);
  const std::int64_t tokens = config.training.micro_batch_size * config.training.sequence_length;
  const Tensor token_T = testing::random_ids("tokens", tokens, config.model.vocab_size);
  const ModelInput input{
      .token_T = token_T, .target_T = token_T, .batch = config.training.micro_batch_size};
  for (int step = 0; step < 2; ++step) {  // the first allocates tables
    context.allocator.reset_peaks();
    Tape tape;
    Variable total;
    {
      const TapeScope recording(&tape);
      total = model.loss(input, {}, nn::Phase::Train).total;
    }
    tape.backward(total);
  }
  return context.allocator.account(MemoryCategory::Activations).peak_bytes;
}

struct Row {
  const char* name;
  void (*change)(RunConfig&);
  double most = 1.25;  ///< predicted over measured; never less than 1
  bool adds = false;   ///< what the change adds is predicted too
};

const Row kRows[] = {
    {"sparse", [](RunConfig&) {}},
    {"dense", [](RunConfig& c) { c.model.num_experts = 0; }},
    {"plain mlp", [](RunConfig& c) { c.model.mlp_gated = false; }},
    {"norms on queries and keys", [](RunConfig& c) { c.model.qk_norm = "whole"; }, 1.25, true},
    {"clip", [](RunConfig& c) { c.model.clip_qkv = 1.0; }, 1.25, true},
    {"gated shared expert",
     [](RunConfig& c) {
       c.model.shared_expert_intermediate_size = 48;
       c.model.shared_expert_gate = true;
     },
     1.25, true},
    {"bf16", [](RunConfig& c) { c.runtime.compute_dtype = "bf16"; }, 1.25, true},
    {"larger micro-batch", [](RunConfig& c) { c.training.micro_batch_size = 4; }, 1.25, true},
    // The widest layer is formed again while the inputs of all are kept: small sizes beside
    // scratch.
    {"recompute", [](RunConfig& c) { c.training.recompute = true; }, 1.5},
};

TEST(MemoryPlan, ActivationsAreEnoughAndLittleMore) {
  constexpr double kDifference = 0.25;
  const mesh::MeshLayout alone({}, 1);
  const auto planned = [&](const RunConfig& config) {
    return static_cast<double>(plan_memory(config, alone)[MemoryCategory::Activations]);
  };
  const double plan_before = planned(sparse_run());
  const auto used_before = static_cast<double>(measured_activations(sparse_run()));
  for (const Row& row : kRows) {
    RunConfig config = sparse_run();
    row.change(config);
    const double plan = planned(config);
    const auto used = static_cast<double>(measured_activations(config));
    EXPECT_GE(plan, used) << row.name;
    EXPECT_LE(plan, used * row.most) << row.name;
    if (!row.adds) continue;
    const double more = used - used_before;
    EXPECT_NEAR(plan - plan_before, more, std::abs(more) * kDifference) << row.name;
  }
}

/// The most that was live at once in a whole step: forward, backward, sum, update.
std::int64_t measured_total(const RunConfig& config) {
  std::int64_t peak = 0;
  testing::run_ranks(1, [&](comm::Group& world) {
    mesh::ProcessMesh mesh(mesh::MeshLayout({}, 1), world);
    train::TrainState state;
    state.mesh = &mesh;
    state.model = std::make_unique<Model>(config.model);
    parallel::apply(*state.model, mesh);
    state.model->set_recompute(config.training.recompute);
    state.model->materialize(DType::F32, 1);
    state.reducer = std::make_unique<parallel::GradReducer>(state.model->parameters(), mesh);
    state.optimizer = optim::make_optimizer(config.optimizer, state.reducer->trained_tensors());
    state.schedule = optim::make_schedule({.name = "constant", .warmup_steps = 0}, 1e-3, 10);
    data::Loader loader(
        std::make_shared<data::SyntheticSource>(
            data::SyntheticLanguage({}, config.model.vocab_size, 1), 1000, 1),
        {.layout = {.global_batch = config.training.global_batch_size,
                    .micro_batch = config.training.micro_batch_size},
         .sequence_length = config.training.sequence_length,
         .prefetch = 0},
        {});
    metrics::Trace trace;
    for (int step = 0; step < 2; ++step) {
      current_context().allocator.reset_peaks();
      train::run_step(state, loader.next_step(), nullptr, trace);
    }
    peak = current_context().allocator.total().peak_bytes;
  });
  return peak;
}

/// Gradients arrive while activations go, so the total is neither the sum of the categories nor their largest.
TEST(MemoryPlan, TheTotalIsTheMostThatIsLiveAtOnce) {
  constexpr double kLittle = 0.05;
  RunConfig small = sparse_run();
  small.model.vocab_size = 2048;
  small.model.hidden_size = 128;
  small.model.moe_intermediate_size = 256;
  small.model.num_hidden_layers = 4;
  struct TotalRow {
    const char* name;
    void (*change)(RunConfig&);
  };
  for (const TotalRow& row : std::initializer_list<TotalRow>{
           {"activations outweigh gradients",
            [](RunConfig& c) { c.training.micro_batch_size = c.training.global_batch_size = 16; }},
           {"gradients outweigh activations",
            [](RunConfig& c) { c.training.sequence_length = 16; }},
           {"several micro-batches",
            [](RunConfig& c) {
              c.training.micro_batch_size = 8;
              c.training.global_batch_size = 16;
            }},
           {"dense", [](RunConfig& c) {
              c.model.num_experts = 0;
              c.training.micro_batch_size = c.training.global_batch_size = 16;
            }}}) {
    RunConfig config = small;
    row.change(config);
    const auto plan = static_cast<double>(plan_memory(config, mesh::MeshLayout({}, 1)).total);
    const auto used = static_cast<double>(measured_total(config));
    EXPECT_NEAR(plan, used, used * kLittle) << row.name;
  }
}

}  // namespace
}  // namespace moe::run
