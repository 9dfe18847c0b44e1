/// The one implementation of Group: collectives over a Transport, run in issue order by a queue.
#pragma once

#include <memory>
#include <string>

#include "comm/group.h"
#include "comm/transport.h"

namespace moe::comm {

/// A group whose destructor finishes what was issued; while an exception unwinds the stack it
/// cancels it instead. After a failure every later collective of the group fails at once.
/// @cost one thread from the first collective on, none for a group of one rank
std::unique_ptr<Group> make_group(std::unique_ptr<Transport> transport, const std::string& purpose);

}  // namespace moe::comm
