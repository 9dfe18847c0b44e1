/// moe-generate CHECKPOINT --prompt TEXT: continues a text. See --help.
#include <CLI/CLI.hpp>
#include <optional>

#include "comm/backend.h"
#include "run/generate_run.h"
#include "run/machine.h"
#include "run/program.h"

int main(int argc, char** argv) {
  CLI::App app{"Continues a text with the model of a checkpoint."};
  moe::run::GenerateRunOptions options;
  std::string checkpoint;
  std::string prompt_file;
  bool no_cache = false;
  std::optional<std::int64_t> threads;
  auto& generate = options.generate;
  app.add_option("checkpoint", checkpoint, "a step folder, a checkpoints folder or a run folder")
      ->required();
  app.add_option("--prompt", options.prompt, "text to continue; empty: the start of a document");
  app.add_option("--prompt-file", prompt_file, "read the prompt from a file");
  app.add_option("--max-tokens", generate.max_tokens, "tokens to generate")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--temperature", generate.sampling.temperature, "0: greedy")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--top-k", generate.sampling.top_k, "of the most likely tokens; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--top-p", generate.sampling.top_p, "probability the kept tokens must reach")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--seed", generate.sampling.seed, "of the draws")->capture_default_str();
  app.add_option("--dtype", options.compute_dtype, "f32 or bf16; default: as the run")
      ->check(CLI::IsMember({"f32", "bf16"}));
  app.add_option("--threads", threads, "threads of one rank")->check(CLI::PositiveNumber);
  app.add_flag("--no-cache", no_cache, "recompute everything for every token");
  app.add_flag("--json", options.json, "one JSON object");
  app.set_version_flag("--version", moe::run::version_line("moe-generate"));
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
      generate.use_cache = !no_cache;
      if (!prompt_file.empty()) options.prompt = moe::read_file(prompt_file, 64 << 20);
      return moe::run::generate_text(options, *world);
    });
  });
}
