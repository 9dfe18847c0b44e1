#include "base/check.h"

#include <cstring>

#include "base/error.h"

namespace moe::detail {

void check_failed(const char* condition, const char* file, int line, const std::string& detail) {
  const char* slash = std::strrchr(file, '/');
  throw InternalError(fmt::format("check failed: {} ({}:{}){}{}; this is a bug in moe-train",
                                  condition, slash != nullptr ? slash + 1 : file, line,
                                  detail.empty() ? "" : ": ", detail));
}

}  // namespace moe::detail
