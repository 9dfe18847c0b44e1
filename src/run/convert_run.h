/// What moe-convert does.
#pragma once

#include <functional>
#include <string>

#include "run/write_model.h"

namespace moe::run {

struct ConvertOptions {
  Path source;
  bool follow_links = false;
  bool json = false;
  WriteModelOptions write;
  /// Called when the source is open and nothing is written: until then a signal may just end the process.
  std::function<void()> before_writing;
};

/// Converts, and tells what was written as text or JSON.
/// @throws CheckpointError, ConfigError, Interrupted; nothing is left at the output then
std::string convert_model(const ConvertOptions& options);

/// "5GB" (10^9), "500MiB", "1000000": bytes. @throws ConfigError
std::int64_t parse_size(const std::string& text);

}  // namespace moe::run
