// How fast training sequences come out of a token shard, and what memory that takes:
//
//   loader_bench PREFIX [STEPS] [SEQUENCE_LENGTH] [BATCH]     (2000, 512, 8)
//
// Prints one line of JSON: seconds until the first step, tokens a second after it, tokens of the shard, and resident
// memory before and after.
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "data/data_sources.h"
#include "data/loader.h"

namespace moe {
namespace {

/// KiB that this process had resident at most.
long resident() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

int run(const std::string& prefix, std::int64_t steps, std::int64_t sequence_length, std::int64_t batch) {
  const long before = resident();
  const Stopwatch watch;
  data::DataConfig config;
  config.source = "tokens";
  config.train = {prefix};
  const data::DataSet data =
      data::open_data(config, {.seed = 1, .sequence_length = sequence_length, .vocab_size = 1 << 16});
  data::Loader loader(data.train, {.layout = {.global_batch = batch, .micro_batch = batch},
                                   .sequence_length = sequence_length});
  loader.next_step();
  const double first = watch.seconds();
  const Stopwatch rest;
  for (std::int64_t step = 1; step < steps; ++step) loader.next_step();
  const double rate = static_cast<double>((steps - 1) * batch * sequence_length) / rest.seconds();
  std::printf("{\"first_seconds\": %.4f, \"tokens_per_second\": %.0f, \"samples\": %lld, \"rss_before_kib\": %ld, \"rss_most_kib\": %ld}\n",
              first, rate, static_cast<long long>(data.train->samples_per_epoch()), before, resident());
  return 0;
}

}  // namespace
}  // namespace moe

int main(int count, char** arguments) {
  const auto number = [&](int i, std::int64_t otherwise) {
    return count > i ? std::max<std::int64_t>(1, std::atoll(arguments[i])) : otherwise;
  };
  if (count < 2) {
    std::fprintf(stderr, "loader_bench PREFIX [STEPS] [SEQUENCE_LENGTH] [BATCH]\n");
    return 64;
  }
  try {
    return moe::run(arguments[1], std::max<std::int64_t>(2, number(2, 2000)), number(3, 512), number(4, 8));
  } catch (const moe::Error& error) {
    std::fprintf(stderr, "loader_bench: %s\n", error.what());
    return 66;
  }
}
