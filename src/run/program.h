/// What every program's main shares: errors to exit codes, signals, the rank's context.
#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "comm/world.h"
#include "device/context.h"

namespace moe::run {

/// "moe-train 0.1.0 (g++ 12.2, avx512_bf16)".
std::string version_line(const std::string& program);

/// Runs `body` and turns what it throws into a message on standard error and the exit code of its type.
int guarded(const std::function<int()>& body);

/// The same before MPI is started, for what every rank checks alike (its config): rank 0 alone speaks.
int guarded_before_start(const std::function<int()>& body);

/// The same under a world: a rank's failure ends the job, with its message shown once.
int guarded(comm::World& world, const std::function<int()>& body);

/// Set by SIGTERM, SIGINT or SIGUSR1; a second SIGINT or SIGTERM ends the process at once.
const std::atomic<bool>& stop_flag();
/// The first of them that came; 0: none did.
int stop_signal();
void install_signal_handlers();

}  // namespace moe::run
