#include "comm/self/self_world.h"

namespace moe::comm {
namespace {

class SelfWorld : public World {
 public:
  Group& group() override { return *group_; }
  int local_rank() const override { return 0; }
  int local_size() const override { return 1; }
  void abort(int) noexcept override {}

 private:
  std::unique_ptr<Group> group_ = make_self_group("world");
};

}  // namespace

std::unique_ptr<World> make_self_world(const WorldOptions&) {
  return std::make_unique<SelfWorld>();
}

}  // namespace moe::comm
