/// Nobody leaves before everybody came.
#pragma once

#include "comm/transport.h"

namespace moe::comm {

/// @comm one byte to every other rank, so that the ranks that are missing can be named
void barrier(Transport& transport);

}  // namespace moe::comm
