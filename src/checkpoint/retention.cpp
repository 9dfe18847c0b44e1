#include "checkpoint/retention.h"

#include <algorithm>

#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/durable.h"
#include "checkpoint/folder.h"

namespace moe::checkpoint {

std::vector<std::int64_t> steps_to_remove(std::vector<std::int64_t> valid,
                                          const Retention& retention) {
  MOE_CHECK_GE(retention.keep_last, 1);
  std::ranges::sort(valid);
  const auto last = static_cast<std::size_t>(retention.keep_last);
  if (valid.size() <= last) return {};
  valid.resize(valid.size() - last);
  if (retention.keep_every) {
    std::erase_if(valid, [&](std::int64_t step) { return step % *retention.keep_every == 0; });
  }
  return valid;
}

std::vector<std::int64_t> apply_retention(const Path& folder, const Retention& retention) {
  std::vector<std::int64_t> valid;
  for (const std::int64_t step : list_steps(folder)) {
    if (looks_complete(folder / step_name(step))) valid.push_back(step);
  }
  std::vector<std::int64_t> removed;
  for (const std::int64_t step : steps_to_remove(valid, retention)) {
    try {
      remove_durably(folder / step_name(step));
      removed.push_back(step);
    } catch (const Error& error) {
      log_warning(error.what());
    }
  }
  return removed;
}

}  // namespace moe::checkpoint
