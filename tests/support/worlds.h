/// One test body on every back end: threads in an ordinary test program, processes in one under mpirun
/// (compiled with MOE_MPI_TESTS).
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/format.h"
#include "comm/group.h"
#ifdef MOE_MPI_TESTS
#include "support/mpi_main.h"
#else
#include "support/thread_ranks.h"
#endif

namespace moe::testing {

struct WorldCase {
  std::string backend;
  int ranks = 1;
};

inline std::string world_name(const ::testing::TestParamInfo<WorldCase>& info) {
  return format("{}_{}", info.param.backend, info.param.ranks);
}

#ifdef MOE_MPI_TESTS

/// Worlds of 1 to as many ranks as the launcher started.
inline std::vector<WorldCase> world_cases() {
  std::vector<WorldCase> cases;
  for (int ranks = 1; ranks <= mpi_ranks(); ++ranks) cases.push_back({"mpi", ranks});
  return cases;
}

/// Runs `body` on the first `ranks` ranks; the others wait for them at the end of the test.
inline void run_world(const WorldCase& world, const std::function<void(comm::Group&)>& body) {
  comm::Group& all = mpi_world().group();
  const std::unique_ptr<comm::Group> part = all.split(all.rank() < world.ranks ? 0 : -1, "test");
  if (part != nullptr) body(*part);
}

#else

inline std::vector<WorldCase> world_cases() {
  std::vector<WorldCase> cases{{"self", 1}};
  for (int ranks = 1; ranks <= 8; ++ranks) cases.push_back({"thread", ranks});
  return cases;
}

inline void run_world(const WorldCase& world, const std::function<void(comm::Group&)>& body) {
  if (world.backend == "self") {
    const std::unique_ptr<comm::Group> self = comm::make_self_group();
    body(*self);
  } else {
    run_ranks(world.ranks, body);
  }
}

#endif

/// A suite whose tests run on every world.
class OnEveryWorld : public ::testing::TestWithParam<WorldCase> {};

}  // namespace moe::testing
