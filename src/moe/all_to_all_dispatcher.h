/// Experts are spread over a group of ranks; rows travel by all-to-all.
#pragma once

#include "comm/group.h"
#include "moe/token_dispatcher.h"

namespace moe {

/// Rank i of `group` holds experts [i*E/P, (i+1)*E/P). A rank without tokens takes part all the same.
/// @comm see TokenDispatcher; `group` must outlive the dispatcher
std::unique_ptr<TokenDispatcher> make_all_to_all_dispatcher(comm::Group& group);

}  // namespace moe
