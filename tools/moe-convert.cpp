/// moe-convert SOURCE OUTPUT --to hf|native: checkpoints to Hugging Face folders and back. See --help.
#include <CLI/CLI.hpp>
#include <csignal>
#include <iostream>

#include "base/error.h"
#include "checkpoint/tensor_source.h"
#include "interop/hf_config_writer.h"
#include "run/convert_run.h"
#include "run/program.h"

namespace {

struct Arguments {
  std::string source;
  std::string output;
  std::string to;
  std::string dtype;
  std::string architecture;
  std::string shard_size = "5GB";
  bool quiet = false;
};

void declare(CLI::App& app, Arguments& arguments, moe::run::ConvertOptions& options) {
  app.add_option("source", arguments.source,
                 "a step, checkpoints or run folder, or a Hugging Face folder (config.json and safetensors)")
      ->required();
  app.add_option("output", arguments.output, "a folder that does not exist yet")->required();
  app.add_option("--to", arguments.to, "hf or native")
      ->required()
      ->check(CLI::IsMember({"hf", "native"}));
  app.add_option("--dtype", arguments.dtype, "f32 or bf16; default: as the source has its weights")
      ->check(CLI::IsMember({"f32", "bf16"}));
  app.add_option("--architecture", arguments.architecture,
                 "with --to hf: this architecture (LlamaForCausalLM or llama, ...) or none; default: the one the "
                 "model came from, else the first that expresses it");
  app.add_option("--max-shard-size", arguments.shard_size,
                 "with --to hf: bytes of weights a file may hold (5GB, 500MiB, ...)")
      ->capture_default_str();
  app.add_flag("--follow-links", options.follow_links,
               "links of a Hugging Face folder may lead out of it, as in Hugging Face's cache");
  app.add_flag("--json", options.json, "tell the result as one JSON object");
  app.add_flag("--quiet", arguments.quiet, "no progress bar");
  app.set_version_flag("--version", moe::run::version_line("moe-convert"));
  app.footer(
      "Llama, Mistral, Mixtral, Qwen2, Qwen3, Qwen2-MoE, Qwen3-MoE and OLMoE; weights in bf16, f16, f32.\n"
      "Only weights are converted: optimizer state stays behind (moe-train checkpoint.init_from=OUTPUT starts "
      "from them).\nTokenizer files and generation_config.json are carried along where there are any.\n"
      "The output appears when it is complete. Exit codes: 0 done, 64 usage, 66 the source cannot be read "
      "or the\nmodel not be expressed, 130 and 143 interrupted; nothing is left at OUTPUT then.");
}

void fill(const Arguments& arguments, moe::run::ConvertOptions& options) {
  using namespace moe;
  options.source = arguments.source;
  run::WriteModelOptions& write = options.write;
  write.output = arguments.output;
  write.format = arguments.to == "hf" ? run::ModelFormat::HuggingFace : run::ModelFormat::Native;
  if (!arguments.dtype.empty()) write.dtype = checkpoint::dtype_from(arguments.dtype);
  if (!arguments.architecture.empty()) {
    if (write.format == run::ModelFormat::Native) throw ConfigError("--architecture goes with --to hf");
    write.architecture = interop::architecture_from(arguments.architecture);
  }
  write.shard_bytes = run::parse_size(arguments.shard_size);
  write.label = "convert";
  write.progress = !arguments.quiet;
  write.stop = &run::stop_flag();
  options.before_writing = &run::install_signal_handlers;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Converts models between this program's checkpoints and Hugging Face folders."};
  Arguments arguments;
  moe::run::ConvertOptions options;
  declare(app, arguments, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 64;
  }
  std::signal(SIGXFSZ, SIG_IGN);  // a limit of the file size is an error of writing like any other
  return moe::run::guarded([&] {
    fill(arguments, options);
    std::cout << moe::run::convert_model(options);
    return 0;
  });
}
