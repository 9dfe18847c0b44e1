// How fast growing is beside a plain read + write + fsync of the bytes that it writes, measured alternately in one run:
//
//   growth_bench [MEGABYTES] [ROUNDS] [FOLDER]     (2000, 3, the temporary folder)
//
// Each row is a plan whose result has about MEGABYTES; reading, computing and writing count, verifying does not. Prints each
// round and the ratio of the medians, and the most memory that was resident.
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "base/clock.h"
#include "bench/model_files.h"
#include "growth/plan.h"
#include "interop/hf_config_writer.h"
#include "interop/hugging_face_export.h"
#include "interop/safetensors_writer.h"
#include "run/write_model.h"

namespace moe {
namespace {

struct Row {
  const char* name;
  bool narrow;  ///< the source has half the width and depth
  const char* stages;
};

const Row kRows[] = {
    {"widen lemon, deepen identity, sparsify copy", true,
     "  - widen: {method: lemon, hidden_size: 1024, intermediate_size: 2816, num_attention_heads: 16}\n"
     "  - deepen: {method: identity, num_hidden_layers: LAYERS}\n"
     "  - sparsify: {method: copy, num_experts: 8, num_experts_per_tok: 2}\n"},
    {"sparsify copy", false, "  - sparsify: {method: copy, num_experts: 8, num_experts_per_tok: 2}\n"},
    {"sparsify copy with noise", false,
     "  - sparsify: {method: copy, num_experts: 8, num_experts_per_tok: 2, noise_std: 0.01}\n"},
    {"sparsify granular", false,
     "  - sparsify: {method: granular, granularity: 2, num_experts: 16, num_experts_per_tok: 4}\n"},
    {"sparsify drop", false, "  - sparsify: {method: drop, num_experts: 8, num_experts_per_tok: 2}\n"},
};

/// Layers of which the Mixtral of width 1024 has about `megabytes` in bf16.
std::int64_t layers_for(std::int64_t megabytes) {
  constexpr double kLayer = 8.0 * 3 * 1024 * 2816 * 2 + 4.0 * 1024 * 1024 * 2;
  return std::max<std::int64_t>(2, std::llround(static_cast<double>(megabytes) * 1e6 / kLayer / 2) * 2);
}

void write_source(const Path& folder, bool narrow, std::int64_t layers) {
  ModelConfig config{.vocab_size = 1000, .hidden_size = narrow ? 512 : 1024, .num_hidden_layers = narrow ? layers / 2 : layers,
                     .num_attention_heads = narrow ? 8 : 16, .intermediate_size = narrow ? 1408 : 2816};
  config.num_key_value_heads = 8;
  const auto weights = std::make_shared<bench::MadeUpWeights>(config);
  interop::write_hugging_face_weights(interop::HuggingFaceExport(interop::Architecture::Mistral, weights), folder);
  write_file_atomically(folder / "config.json", interop::hugging_face_config_text(config, interop::Architecture::Mistral,
                                                                                  {.dtype = "bfloat16"}));
}

growth::Plan plan_of(const Path& folder, const Row& row, std::int64_t layers) {
  std::string stages = row.stages;
  if (const auto at = stages.find("LAYERS"); at != std::string::npos) stages.replace(at, 6, std::to_string(layers));
  const Path file = folder / "plan.yaml";
  std::ofstream(file) << "source: " << (folder / (row.narrow ? "narrow" : "wide")).string() << "\noutput: "
                      << (folder / "grown").string() << "\nseed: 1\nstages:\n" << stages;
  return growth::load_plan(file, {});
}

/// Seconds from opening the source to the durable result.
double grow(const growth::Plan& plan) {
  const Stopwatch watch;
  const run::StoredModel source = run::open_model(plan.source);
  growth::ModelSource model = source.model;
  for (std::size_t i = 0; i < plan.stages.size(); ++i) {
    const auto stage = plan.stages[i].options->make();
    const ModelConfig config = stage->grow(model.config);
    model = {config, stage->apply(model, {.seed = 1, .index = static_cast<int>(i)})};
  }
  run::ModelToWrite result;
  result.model = model;
  result.files = source.files;
  (void)run::write_model(result, {.output = plan.output, .progress = false});
  return watch.seconds();
}

void measure(const Path& folder, const Row& row, std::int64_t layers, int rounds) {
  const growth::Plan plan = plan_of(folder, row, layers);
  std::vector<double> grown;
  std::vector<double> copied;
  for (int round = 0; round < rounds; ++round) {
    const double seconds = grow(plan);
    const Stopwatch watch;
    const auto bytes = static_cast<double>(bench::copy_plainly(folder / "grown", folder / "copy"));
    copied.push_back(bytes / watch.seconds());
    grown.push_back(bytes / seconds);
    std::filesystem::remove_all(folder / "grown");
    std::filesystem::remove_all(folder / "copy");
  }
  std::printf("%-46s %7.1f MB/s   copy %7.1f MB/s   %5.1f %%\n", row.name, bench::median(grown) * 1e-6,
              bench::median(copied) * 1e-6, 100 * bench::median(grown) / bench::median(copied));
  std::fflush(stdout);
}

int grow_every_row(std::int64_t megabytes, int rounds, const Path& parent) {
  const Path folder = parent / format("growth-bench-{}", ::getpid());
  std::filesystem::create_directories(folder);
  const std::int64_t layers = layers_for(megabytes);
  write_source(folder / "narrow", true, layers);
  write_source(folder / "wide", false, layers);
  for (const Row& row : kRows) measure(folder, row, layers, rounds);
  std::filesystem::remove_all(folder);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("most resident memory: %.0f MiB\n", static_cast<double>(usage.ru_maxrss) / 1024);
  return 0;
}

}  // namespace
}  // namespace moe

int main(int argc, char** argv) { return moe::bench::measure_models(argc, argv, moe::grow_every_row); }
