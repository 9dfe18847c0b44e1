/// moe-eval CHECKPOINT: held-out loss, bits per byte and the routing report. See --help.
#include <CLI/CLI.hpp>
#include <optional>
#include <iostream>

#include "comm/backend.h"
#include "run/evaluate_run.h"
#include "run/machine.h"
#include "run/program.h"

int main(int argc, char** argv) {
  CLI::App app{"Evaluates a checkpoint on held-out text: loss, bits per byte, and how evenly experts are used.\n"
               "Runs on any number of ranks, with the same result."};
  moe::run::EvaluateOptions options;
  std::string checkpoint;
  std::optional<std::int64_t> threads;
  app.add_option("checkpoint", checkpoint, "a step folder, a checkpoints folder or a run folder")
      ->required();
  app.add_option("--data", options.data, "PREFIX of held-out token shards; default: the run's own");
  app.add_option("--batch-size", options.batch_size, "sequences a rank reads at a time")
      ->check(CLI::PositiveNumber);
  app.add_option("--sequence-length", options.sequence_length, "tokens of a sequence; default: as the run")
      ->check(CLI::PositiveNumber);
  app.add_option("--expert", options.expert, "ranks the experts are spread over")
      ->check(CLI::PositiveNumber);
  app.add_option("--dtype", options.compute_dtype, "f32 or bf16; default: as the run")
      ->check(CLI::IsMember({"f32", "bf16"}));
  app.add_option("--threads", threads, "threads of one rank")->check(CLI::PositiveNumber);
  app.add_flag("--json", options.json, "one JSON object");
  std::string json_file;
  app.add_option("--save-json", json_file, "also write the JSON object to this file");
  app.set_version_flag("--version", moe::run::version_line("moe-eval"));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 64;
  }
  return moe::run::guarded([&] {
    const auto world = moe::comm::make_world();
    return moe::run::guarded(*world, [&] {
      moe::DeviceContext context(moe::run::choose_threads(threads, world->local_size()),
                                 moe::choose_cpu_isa());
      const moe::ContextScope scope(context);
      options.checkpoint = checkpoint;
      options.json_file = json_file;
      const std::string told = moe::run::evaluate_checkpoint(options, *world);
      if (world->rank() == 0) std::cout << told;
      return 0;
    });
  });
}
