#include <nlohmann/json.hpp>

#include "base/format.h"
#include "model/counts.h"
#include "run/memory_plan.h"
#include "run/train_run.h"

namespace moe::run {
namespace {

using Json = nlohmann::ordered_json;

std::string as_text(const Json& told) {
  std::string text = format("mesh: {} ranks, data {}, expert {}\n", told["mesh"]["ranks"].get<int>(),
                            told["mesh"]["data"].get<int>(), told["mesh"]["expert"].get<int>());
  const auto total = told["parameters"]["total"].get<std::int64_t>();
  const auto active = told["parameters"]["active"].get<std::int64_t>();
  text += format("parameters: {} ({}), active {} ({})\n", human_count(static_cast<double>(total)),
                 with_thousands(total), human_count(static_cast<double>(active)),
                 with_thousands(active));
  text += format("training FLOPs per token: {}\n", human_count(told["flops_per_token"].get<double>()));
  text += format("steps: {}, tokens: {}\n", with_thousands(told["steps"].get<std::int64_t>()),
                 with_thousands(told["tokens"].get<std::int64_t>()));
  text += "memory per rank:\n";
  for (const auto& [category, bytes] : told["memory_per_rank"].items()) {
    text += format("  {:<12} {}\n", category, human_bytes(bytes.get<double>()));
  }
  return text;
}

}  // namespace

mesh::MeshLayout require_fit(const RunConfig& config, int ranks) {
  mesh::MeshLayout layout = parallel::make_layout(config.parallel, config.model, ranks);
  data::BatchLayout{.global_batch = config.training.global_batch_size,
                    .micro_batch = config.training.micro_batch_size,
                    .reader = 0,
                    .readers = layout.degrees().data()}
      .check();
  optim::make_schedule(config.schedule, config.optimizer.learning_rate,
                       config.training.total_steps());
  return layout;
}

std::string describe_run(const RunConfig& config, int ranks, bool json) {
  const mesh::MeshLayout layout = require_fit(config, ranks);
  const ParameterCount count = count_parameters(config.model);
  const std::int64_t steps = config.training.total_steps();
  Json told;
  told["mesh"] = {{"ranks", ranks},
                  {"data", layout.degrees().data()},
                  {"expert", layout.degrees().expert}};
  told["parameters"] = {{"total", count.total}, {"active", count.active}};
  told["flops_per_token"] =
      training_flops_per_token(config.model, config.training.sequence_length);
  told["steps"] = steps;
  told["tokens"] =
      steps * config.training.global_batch_size * config.training.sequence_length;
  const MemoryPlan plan = plan_memory(config, layout);
  for (std::size_t i = 0; i < kMemoryCategories; ++i) {
    told["memory_per_rank"][to_string(static_cast<MemoryCategory>(i))] = plan.bytes[i];
  }
  told["memory_per_rank"]["total"] = plan.total;
  told["memory_per_rank"]["resident"] = plan.resident();
  return json ? told.dump(2) + "\n" : as_text(told);
}

}  // namespace moe::run
