#include "base/error.h"
#include "base/format.h"
#include "moe/router.h"
#include "moe/softmax_top_k_router.h"

namespace moe {
namespace {

struct Entry {
  const char* name;
  std::unique_ptr<Router> (*make)(const RouterSpec&);
};

constexpr Entry kRouters[] = {
    {"softmax_topk", &make_softmax_top_k_router},
    {"round_robin", &make_round_robin_router},
};

}  // namespace

std::unique_ptr<Router> make_router(const RouterSpec& spec) {
  for (const Entry& entry : kRouters) {
    if (spec.type == entry.name) return entry.make(spec);
  }
  throw ConfigError(format("router '{}' is not known; allowed: {}", spec.type,
                           fmt::join(router_names(), ", ")));
}

std::vector<std::string> router_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kRouters) names.emplace_back(entry.name);
  return names;
}

}  // namespace moe
