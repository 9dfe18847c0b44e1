#include "comm/group.h"
#include "comm/self/self_transport.h"
#include "comm/transport_group.h"

namespace moe::comm {

std::unique_ptr<Group> make_self_group(const std::string& purpose) {
  return make_group(std::make_unique<SelfTransport>(), purpose);
}

}  // namespace moe::comm
