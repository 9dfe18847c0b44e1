/// One test body on every back end: threads in an ordinary test program, processes in one under
/// mpirun (compiled with MOE_MPI_TESTS).
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/format.h"
#include "comm/group.h"
#include "support/thread_ranks.h"
#ifdef MOE_MPI_TESTS
#include "support/mpi_main.h"
#endif

namespace moe::testing {

struct WorldCase {
  std::string backend;
  int ranks = 1;
};

inline std::string world_name(const ::testing::TestParamInfo<WorldCase>& info) {
  return format("{}_{}", info.param.backend, info.param.ranks);
}

namespace detail {

inline void run_in_context(comm::Group& group, const std::function<void(comm::Group&)>& body,
                           const RankOptions& options) {
  DeviceContext context(options.threads_per_rank, options.isa.value_or(detect_cpu_isa()));
  const ContextScope scope(context);
  body(group);
}

}  // namespace detail

#ifdef MOE_MPI_TESTS

/// Worlds of 1 to as many ranks as the launcher started.
inline std::vector<WorldCase> world_cases() {
  std::vector<WorldCase> cases;
  for (int ranks = 1; ranks <= mpi_ranks(); ++ranks) cases.push_back({"mpi", ranks});
  return cases;
}

/// Runs `body` on the first `ranks` ranks, each with its own DeviceContext; the others wait for
/// them at the end of the test.
inline void run_world(const WorldCase& world, const std::function<void(comm::Group&)>& body,
                      const RankOptions& options = {}) {
  comm::Group& all = mpi_world().group();
  const std::unique_ptr<comm::Group> part = all.split(all.rank() < world.ranks ? 0 : -1, "test");
  if (part != nullptr) detail::run_in_context(*part, body, options);
}

#else

/// One rank alone, and 1 to 8 threads.
inline std::vector<WorldCase> world_cases() {
  std::vector<WorldCase> cases{{"self", 1}};
  for (int ranks = 1; ranks <= 8; ++ranks) cases.push_back({"thread", ranks});
  return cases;
}

/// Runs `body` on every rank, each with its own DeviceContext.
inline void run_world(const WorldCase& world, const std::function<void(comm::Group&)>& body,
                      const RankOptions& options = {}) {
  if (world.backend == "self") {
    detail::run_in_context(*comm::make_self_group(), body, options);
  } else {
    run_ranks(world.ranks, body, options);
  }
}

#endif

/// A suite whose tests run on every world.
class OnEveryWorld : public ::testing::TestWithParam<WorldCase> {};

}  // namespace moe::testing
