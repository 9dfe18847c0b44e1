#include "parallel/parallel_config.h"

#include "base/error.h"
#include "base/format.h"

namespace moe::parallel {

void ParallelConfig::fields(config::Fields& f) {
  f.optional_integer("data", data, "auto",
                     "ranks that read different sequences; auto: all ranks", {.min = 1});
  f.integer("expert", expert,
            "ranks the experts are spread over, out of the data ranks; must divide data and "
            "model.num_experts",
            {.min = 1});
  f.integer("bucket_mib", bucket_mib, "size of one gradient reduction in MiB", {.min = 1, .max = 4096});
  f.boolean("overlap", overlap, "reduce gradients while backward goes on; changes no bit");
}

mesh::MeshLayout make_layout(const ParallelConfig& config, const ModelConfig& model, int world) {
  std::string problems;
  const std::int64_t data = config.data.value_or(world);
  if (data != world) {
    problems += format(
        "parallel.data: expected {} (the number of ranks), got {}. HINT: start {} ranks, or use auto\n",
        world, data, data);
  }
  if (data % config.expert != 0) {
    problems += format("parallel.expert: must divide the {} data ranks, got {}\n", data, config.expert);
  }
  if (config.expert > 1 && (model.num_experts == 0 || model.num_experts % config.expert != 0)) {
    problems += format("parallel.expert: must divide model.num_experts ({}), got {}\n",
                       model.num_experts, config.expert);
  }
  if (!problems.empty()) {
    problems.pop_back();
    throw ConfigError(problems);
  }
  return mesh::MeshLayout({.data_replicate = static_cast<int>(data),
                           .expert = static_cast<int>(config.expert)},
                          world);
}

}  // namespace moe::parallel
