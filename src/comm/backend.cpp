#include "comm/backend.h"

#include <array>
#include <string_view>

#include "base/error.h"
#include "base/format.h"
#include "comm/mpi/mpi_world.h"
#include "comm/self/self_world.h"

namespace moe::comm {
namespace {

using Make = std::unique_ptr<World> (*)(const WorldOptions&);

struct Entry {
  std::string_view name;
  Make make;
};

constexpr std::array kBackends{
    Entry{"self", &make_self_world},
    Entry{"mpi", &make_mpi_world},
};

}  // namespace

std::vector<std::string> backend_names() {
  std::vector<std::string> names{"auto"};
  for (const Entry& entry : kBackends) names.emplace_back(entry.name);
  return names;
}

std::unique_ptr<World> make_world(const std::string& backend, const WorldOptions& options) {
  const std::string_view wanted =
      backend == "auto" ? (is_launched_by_mpi() ? "mpi" : "self") : std::string_view(backend);
  for (const Entry& entry : kBackends) {
    if (entry.name == wanted) return entry.make(options);
  }
  std::string names;
  for (const std::string& name : backend_names()) names += (names.empty() ? "" : ", ") + name;
  throw ConfigError(format("communication back end '{}': expected one of {}", backend, names));
}

}  // namespace moe::comm
