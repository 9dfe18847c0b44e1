#include "base/check.h"
#include "moe/balance_loss.h"

namespace moe {

void RoutingSums::begin_step() {
  total_.clear();
  micro_batches_ = 0;
}

std::vector<double> RoutingSums::add(std::vector<double> counts) {
  sum_over_ranks(counts);
  if (micro_batches_ == 0) total_.assign(counts.size(), 0.0);
  MOE_CHECK_EQ(total_.size(), counts.size());
  ++micro_batches_;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    total_[i] += counts[i];
    counts[i] = total_[i] / static_cast<double>(micro_batches_);
  }
  return counts;
}

namespace {

class GroupRoutingSums : public RoutingSums {
 public:
  explicit GroupRoutingSums(comm::Group& group) : group_(group) {}

 protected:
  void sum_over_ranks(std::vector<double>& counts) override {
    comm::sum_over(group_, counts);
  }

 private:
  comm::Group& group_;
};

}  // namespace

std::unique_ptr<RoutingSums> make_group_routing_sums(comm::Group& group) {
  return std::make_unique<GroupRoutingSums>(group);
}

}  // namespace moe
