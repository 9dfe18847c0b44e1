#include "run/program.h"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <thread>

#include "base/error.h"
#include "base/format.h"
#include "base/log.h"
#include "comm/launcher.h"
#include "device/cpu_isa.h"

namespace moe::run {

std::string version_line(const std::string& program) {
  return format("{} {} (g++ {}, {})", program, MOE_VERSION, __VERSION__,
                to_string(detect_cpu_isa()));
}

namespace {

/// The exit code of the exception being handled, after telling it.
int tell_failure() {
  try {
    throw;
  } catch (const Error& error) {
    log_error(error.what());
    return error.exit_code();
  } catch (const std::bad_alloc&) {
    log_error("out of memory. HINT: lower training.micro_batch_size or training.sequence_length");
    return OutOfMemory("").exit_code();
  } catch (const std::filesystem::filesystem_error& error) {
    log_error(format("{}: {}. HINT: check that the folders above it exist and may be written", error.path1().string(),
                     error.code().message()));
    return DataError("").exit_code();
  } catch (const std::exception& error) {
    log_error(format("unexpected failure: {}; this is a bug in moe-train", error.what()));
    return InternalError("").exit_code();
  }
}

}  // namespace

int guarded(const std::function<int()>& body) {
  try {
    return body();
  } catch (...) {
    return tell_failure();
  }
}

int guarded_before_start(const std::function<int()>& body) {
  try {
    return body();
  } catch (const Error& error) {
    if (comm::launched_as().rank == 0) return tell_failure();
    return error.exit_code();
  } catch (...) {
    return tell_failure();
  }
}

namespace {

/// Errors of the config and of files are met by all ranks alike: rank 0 tells them for all.
bool is_told_elsewhere(comm::World& world) {
  if (world.rank() == 0) return false;
  try {
    throw;
  } catch (const ConfigError&) {
    return true;
  } catch (const DataError&) {
    return true;
  } catch (const std::filesystem::filesystem_error&) {
    return true;
  } catch (const CheckpointError&) {
    return true;
  } catch (...) {
    return false;
  }
}

/// A rank that has failed saves nothing more: what the launcher sends to end the job must end it.
void let_signals_end_this_process() {
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1}) std::signal(signal, SIG_DFL);
}

}  // namespace

int guarded(comm::World& world, const std::function<int()>& body) {
  try {
    return body();
  } catch (...) {
    let_signals_end_this_process();
    // Rank 0 met the same failure and ends the job; should it not have, this rank tells it after all.
    if (is_told_elsewhere(world)) std::this_thread::sleep_for(std::chrono::seconds(5));
    const int code = tell_failure();
    world.abort(code);
    return code;
  }
}

namespace {

std::atomic<bool> stop_requested{false};
std::atomic<int> first_signal{0};
static_assert(std::atomic<bool>::is_always_lock_free);

void on_signal(int signal) {
  int none = 0;
  first_signal.compare_exchange_strong(none, signal);
  if (stop_requested.exchange(true) && signal != SIGUSR1) std::_Exit(128 + signal);
}

}  // namespace

const std::atomic<bool>& stop_flag() { return stop_requested; }

int stop_signal() { return first_signal.load(); }

void install_signal_handlers() {
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1}) std::signal(signal, &on_signal);
}

}  // namespace moe::run
