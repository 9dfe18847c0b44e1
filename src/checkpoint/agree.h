/// Private to this folder: what ranks tell each other while saving and loading.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "comm/group.h"

namespace moe::checkpoint {

/// The vote. Runs `body` on this rank, then returns on every rank if it went well on all of them,
/// or throws CheckpointError on every rank with the reason of the lowest rank that failed.
/// @comm one all-reduce of 8 bytes; on failure two broadcasts more
void on_all_ranks(comm::Group& group, const std::function<void()>& body);

/// The same, but only the root runs `body`.
void on_root(comm::Group& group, const std::function<void()>& body);

/// The root's text on every rank.
std::string broadcast_text(comm::Group& group, std::string text, int root = 0);

/// Every rank's text, in rank order, on the root; nothing elsewhere.
std::vector<std::string> gather_texts(comm::Group& group, const std::string& text, int root = 0);

}  // namespace moe::checkpoint
