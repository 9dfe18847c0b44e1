/// Counts what a rank's computing thread runs.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "device/activity.h"

namespace moe::testing {

class CallCounter final : public ActivityObserver {
 public:
  void ended(const Activity& activity) override {
    ++calls[(activity.part == nullptr ? "" : std::string(activity.part) + " ") + activity.name];
  }
  std::map<std::string, std::int64_t> calls;  ///< by "name", or "part name" where a part asked for it
};

}  // namespace moe::testing
