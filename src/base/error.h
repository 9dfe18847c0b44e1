/// The error types of the whole project; each knows the exit code its program ends with.
#pragma once

#include <stdexcept>
#include <string>

namespace moe {

/// Base of every failure a program reports to its user.
/// @invariant `what()` is a complete message: what was expected, what was found, what to do
class Error : public std::runtime_error {
 public:
  Error(int exit_code, const std::string& message)
      : std::runtime_error(message), exit_code_(exit_code) {}
  int exit_code() const noexcept { return exit_code_; }

 private:
  int exit_code_;
};

#define MOE_DEFINE_ERROR(Name, Code) \
  class Name : public Error {        \
   public:                           \
    explicit Name(const std::string& message) : Error(Code, message) {} \
  }

/// The user's config: key path, file:line:col, value, allowed values, a HINT.
MOE_DEFINE_ERROR(ConfigError, 64);
/// A caller's tensor: `[op] x_TD: expected [T, 4096] bf16, got [512, 2048] f32`.
MOE_DEFINE_ERROR(ShapeError, 65);
MOE_DEFINE_ERROR(DTypeError, 65);
/// A token file, text or tokenizer: path, byte offset, expected and found.
MOE_DEFINE_ERROR(DataError, 66);
/// A checkpoint or weight file: path, expected and found.
MOE_DEFINE_ERROR(CheckpointError, 66);
/// A device or driver: expression, status text, device.
MOE_DEFINE_ERROR(DeviceError, 70);
/// Memory: bytes asked and held, per-category table, the config key to change.
MOE_DEFINE_ERROR(OutOfMemory, 71);
/// Reserved rows overflowed through routing skew.
MOE_DEFINE_ERROR(CapacityError, 71);
/// A peer rank: purpose, peer, operation, elapsed ms. Restart from the last checkpoint.
MOE_DEFINE_ERROR(CommError, 75);
/// Non-finite numbers: step, tensor, count.
MOE_DEFINE_ERROR(NumericalError, 76);
/// A bug of ours, raised by MOE_CHECK only.
MOE_DEFINE_ERROR(InternalError, 134);

#undef MOE_DEFINE_ERROR

/// State was saved because the scheduler asked for the node back.
inline constexpr int kExitPreempted = 85;

}  // namespace moe
