#include "config/faults.h"

#include <algorithm>

#include "base/error.h"
#include "base/format.h"

namespace moe::config {

void throw_faults(std::vector<Fault> faults) {
  std::stable_sort(faults.begin(), faults.end(),
                   [](const Fault& a, const Fault& b) { return a.at < b.at; });
  std::string message;
  const std::size_t shown = std::min(faults.size(), kMaxFaults);
  for (std::size_t i = 0; i < shown; ++i) {
    if (i > 0) message += '\n';
    message += format("{}: {}", faults[i].at.text(), faults[i].text);
  }
  if (faults.size() > shown) message += format("\n... and {} more", faults.size() - shown);
  if (faults.size() > 1) message += format("\n{} problems in the config", faults.size());
  throw ConfigError(message);
}

}  // namespace moe::config
