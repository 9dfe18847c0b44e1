/// moe-train CONFIG [section.key=value ...]: trains a model. See --help.
#include <CLI/CLI.hpp>
#include <iostream>

#include "base/error.h"
#include "comm/backend.h"
#include "comm/launcher.h"
#include "run/machine.h"
#include "run/program.h"
#include "run/train_run.h"

namespace {

struct Options {
  std::string config;
  std::vector<std::string> overrides;
  bool print_config = false;
  bool dry_run = false;
  bool json = false;
  bool print_reference = false;
  int ranks = 0;
};

/// The flags that only tell something.
std::string answer(const Options& options, const moe::run::RunConfig& config, int world_size) {
  if (options.print_config) return moe::run::print_run_config(config);
  const int ranks = options.ranks > 0 ? options.ranks : world_size;
  return moe::run::describe_run(config, ranks, options.json);
}

/// Everything that can be known before ranks are connected. @returns true if there is nothing more to do
bool prepare(const Options& options, moe::run::RunConfig& config) {
  using namespace moe;
  const comm::LaunchedAs self = comm::launched_as();
  if (options.print_reference) {
    if (self.rank == 0) std::cout << run::config_reference();
    return true;
  }
  if (options.config.empty()) throw ConfigError("expected a config file; see --help");
  config = run::load_run_config(options.config, options.overrides);
  if (options.print_config || options.dry_run) {
    const std::string told = answer(options, config, self.size);
    if (self.rank == 0) std::cout << told;
    return true;
  }
  run::describe_run(config, self.size, false);  // throws where the config does not fit the ranks
  return false;
}

int run(const moe::run::RunConfig& config, moe::comm::World& world) {
  using namespace moe;
  const int threads = run::choose_threads(config.runtime.threads, world.local_size());
  DeviceContext context(threads, choose_cpu_isa());
  context.emulate_bf16 = config.runtime.emulate_bf16;
  const ContextScope scope(context);
  return run::train(config, world, run::stop_flag());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Trains a Mixture-of-Experts or dense language model as a config says.\n"
               "One rank without a launcher; N ranks with mpirun -np N, or srun --mpi=pmix."};
  Options options;
  app.add_option("config", options.config, "YAML config of the run");
  app.add_option("overrides", options.overrides, "section.key=value, applied after the file");
  app.add_flag("--print-config", options.print_config, "print the resolved config and stop");
  app.add_flag("--dry-run", options.dry_run,
               "validate; print mesh, parameters, FLOPs and memory; touch nothing");
  app.add_flag("--print-reference", options.print_reference,
               "print the reference of all config keys (docs/configuration.md)");
  app.add_flag("--json", options.json, "with --dry-run: as JSON");
  app.add_option("--ranks", options.ranks, "with --dry-run: plan for this many ranks");
  app.set_version_flag("--version", moe::run::version_line("moe-train"));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : 64;
  }
  moe::run::RunConfig config;
  bool done = false;
  const int refused = moe::run::guarded_before_start([&] {
    done = prepare(options, config);
    return 0;
  });
  if (refused != 0 || done) return refused;
  moe::run::install_signal_handlers();
  return moe::run::guarded([&] {
    const auto world = moe::comm::make_world();
    return moe::run::guarded(*world, [&] { return run(config, *world); });
  });
}
