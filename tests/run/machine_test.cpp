#include "run/machine.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <stdlib.h>

#include <optional>
#include <string>

#include "device/context.h"

namespace moe::run {
namespace {

/// Sets (or unsets) a variable for a scope.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* before = ::getenv(name)) before_ = before;
    value != nullptr ? ::setenv(name, value, 1) : ::unsetenv(name);
  }
  ~Variable() { before_ ? ::setenv(name_, before_->c_str(), 1) : ::unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
  std::optional<std::string> before_;
};

int cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

TEST(ChooseThreads, TakesTheConfigThenTheEnvironmentThenTheCores) {
  {
    const Variable environment("OMP_NUM_THREADS", "3");
    EXPECT_EQ(choose_threads(5, 1), 5);
    EXPECT_EQ(choose_threads({}, 1), 3);
    EXPECT_EQ(choose_threads({}, 4), 3) << "what the environment says is per rank";
  }
  for (const char* nothing : {static_cast<const char*>(nullptr), "0", "-2", "many"}) {
    const Variable environment("OMP_NUM_THREADS", nothing);
    EXPECT_EQ(choose_threads({}, 1), cores());
    EXPECT_EQ(choose_threads({}, cores()), 1);
    EXPECT_EQ(choose_threads({}, 2), std::max(1, cores() / 2));
    EXPECT_EQ(choose_threads({}, 10 * cores()), 1) << "never none";
  }
}

TEST(GemmRoof, IsASpeed) {
  DeviceContext context(1, detect_cpu_isa());
  const ContextScope scope(context);
  EXPECT_GT(measure_gemm_roof(), 1e6);
}

}  // namespace
}  // namespace moe::run
