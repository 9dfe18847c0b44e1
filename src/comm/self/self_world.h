/// The job of one rank.
#pragma once

#include <memory>

#include "comm/world.h"

namespace moe::comm {

std::unique_ptr<World> make_self_world(const WorldOptions& options = {});

}  // namespace moe::comm
