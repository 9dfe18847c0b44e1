/// Log lines for people, on standard error. Metrics do not go here (see metrics/).
#pragma once

#include <string>

namespace moe {

enum class LogLevel { Debug, Info, Warning, Error };

/// Writes one line; @thread any.
void log(LogLevel level, const std::string& message);
inline void log_debug(const std::string& message) { log(LogLevel::Debug, message); }
inline void log_info(const std::string& message) { log(LogLevel::Info, message); }
inline void log_warning(const std::string& message) { log(LogLevel::Warning, message); }
inline void log_error(const std::string& message) { log(LogLevel::Error, message); }

/// The level below which lines are dropped (default Info); the prefix names the rank ("[3] ").
void set_log_level(LogLevel level);
void set_log_prefix(const std::string& prefix);

}  // namespace moe
