/// What this rank may use of its machine.
#pragma once

#include <cstdint>
#include <optional>

#include "comm/world.h"

namespace moe::run {

/// `wanted`, else OMP_NUM_THREADS, else this process's cores shared among the ranks of the node (at least 1).
int choose_threads(std::optional<std::int64_t> wanted, int local_ranks);

/// FLOP/s of a large square f32 GEMM on this rank's threads, through the kernels the model uses.
/// @cost about a fifth of a second
double measure_gemm_roof();

/// Bytes a second that this rank's threads read and write together, passing over an array far larger than the caches.
/// @cost about a tenth of a second and 128 MiB
double measure_memory_bandwidth();

}  // namespace moe::run
