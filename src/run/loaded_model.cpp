#include "run/loaded_model.h"

#include "base/error.h"
#include "base/format.h"
#include "base/log.h"
#include "checkpoint/resume.h"
#include "train/persistence.h"

namespace moe::run {

RunConfig config_of(const checkpoint::Checkpoint& checkpoint) {
  try {
    return parse_run_config(checkpoint.header().config, checkpoint.path().string());
  } catch (const ConfigError& error) {
    throw CheckpointError(format("{}: the saved config is not valid for this program: {}",
                                 checkpoint.path().string(), error.what()));
  }
}

LoadedModel load_model(const Path& path, comm::World& world, std::int64_t expert,
                       const std::string& compute_dtype) {
  LoadedModel loaded;
  loaded.checkpoint = checkpoint::open_path(path, {.group = &world.group()});
  loaded.config = config_of(*loaded.checkpoint);
  loaded.config.parallel.data.reset();
  loaded.config.parallel.expert = expert;
  if (!compute_dtype.empty()) loaded.config.runtime.compute_dtype = compute_dtype;
  const DType dtype =
      choose_compute_dtype(loaded.config.runtime, current_context().stream.isa(),
                           [&](const std::string& text) {
                             if (world.rank() == 0) log_info(text);
                           });
  loaded.mesh = std::make_unique<mesh::ProcessMesh>(
      parallel::make_layout(loaded.config.parallel, loaded.config.model, world.size()),
      world.group());
  loaded.model = build_model(loaded.config.model, *loaded.mesh);
  loaded.model->allocate(dtype);
  train::restore_weights(*loaded.model, *loaded.checkpoint);
  return loaded;
}

}  // namespace moe::run
