// How fast a conversion is beside a plain read + write + fsync of the same bytes, measured alternately in
// one run:
//
//   convert_bench [MEGABYTES] [ROUNDS] [FOLDER]     (2000, 3, the temporary folder)
//
// Prints each round and the ratio of the medians; the promise is at least 70 %.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/format.h"
#include "bench/model_files.h"
#include "interop/hf_config_writer.h"
#include "interop/hugging_face_export.h"
#include "interop/safetensors_writer.h"
#include "run/convert_run.h"

namespace moe {
namespace {

using bench::copy_plainly;
using bench::MadeUpWeights;
using bench::median;

/// A Mixtral of about `megabytes` MB in bf16.
ModelConfig model_of(std::int64_t megabytes) {
  ModelConfig config{.vocab_size = 32000, .hidden_size = 1024, .num_hidden_layers = 1,
                     .num_attention_heads = 16, .intermediate_size = 2816, .num_experts = 8};
  constexpr double kLayer = 8.0 * 3 * 1024 * 2816 * 2 + 4.0 * 1024 * 1024 * 2;
  const double rest = static_cast<double>(megabytes) * 1e6 - 2.0 * 32000 * 1024 * 2;
  config.num_hidden_layers = std::max<std::int64_t>(1, std::llround(rest / kLayer));
  if (megabytes < 500) config.vocab_size = 1000;
  return config;
}

void write_source(const Path& folder, const ModelConfig& config) {
  const interop::HuggingFaceExport exported(interop::Architecture::Mixtral,
                                            std::make_shared<MadeUpWeights>(config));
  interop::write_hugging_face_weights(exported, folder);
  write_file_atomically(folder / "config.json",
                        interop::hugging_face_config_text(config, interop::Architecture::Mixtral,
                                                          {.dtype = "bfloat16"}));
}

/// Rates of one direction and of the copy beside it. @unit bytes per second
struct Rates {
  std::vector<double> converted;
  std::vector<double> copied;
};

void measure(const Path& source, const Path& output, run::ModelFormat format, bool keep,
             Rates& rates) {
  const Path copy = output.string() + "-copy";
  Stopwatch watch;
  const auto bytes = static_cast<double>(copy_plainly(source, copy));
  rates.copied.push_back(bytes / watch.seconds());
  std::filesystem::remove_all(copy);
  run::ConvertOptions options;
  options.source = source;
  options.write.output = output;
  options.write.format = format;
  options.write.progress = false;
  watch.restart();
  (void)run::convert_model(options);
  rates.converted.push_back(bytes / watch.seconds());
  if (!keep) std::filesystem::remove_all(output);
  std::printf("  to %-6s  convert %7.1f MB/s   copy %7.1f MB/s   %5.1f %%\n",
              run::to_string(format).c_str(), rates.converted.back() * 1e-6,
              rates.copied.back() * 1e-6, 100 * rates.converted.back() / rates.copied.back());
  std::fflush(stdout);
}

void tell(const char* direction, const Rates& rates) {
  std::printf("%s: median %.1f MB/s beside %.1f MB/s of read + write + fsync: %.1f %%\n", direction,
              median(rates.converted) * 1e-6, median(rates.copied) * 1e-6,
              100 * median(rates.converted) / median(rates.copied));
}

int convert_there_and_back(std::int64_t megabytes, int rounds, const Path& parent) {
  const Path folder = parent / format("convert-bench-{}", ::getpid());
  std::filesystem::create_directories(folder);
  write_source(folder / "hf", model_of(megabytes));
  Rates in;
  Rates out;
  for (int round = 0; round < rounds; ++round) {
    measure(folder / "hf", folder / "native", run::ModelFormat::Native, true, in);
    measure(folder / "native", folder / "back", run::ModelFormat::HuggingFace, false, out);
    if (round + 1 < rounds) std::filesystem::remove_all(folder / "native");
  }
  tell("hf -> native", in);
  tell("native -> hf", out);
  std::filesystem::remove_all(folder);
  return 0;
}

}  // namespace
}  // namespace moe

int main(int argc, char** argv) { return moe::bench::measure_models(argc, argv, moe::convert_there_and_back); }
