#include "ops/all_to_all.h"

#include <numeric>
#include <utility>

#include "autograd/tape.h"
#include "base/check.h"
#include "device/activity.h"

namespace moe::ops {

struct RowExchange::State {
  RowCounts counts;
  comm::Group* group = nullptr;
  Tensor send;              // kept alive while in flight
  Variable in_flight;       // the receive buffer, valid once `work` is done
  comm::Work work;
  Tensor home_send;         // backward: gradient rows on their way home
  Tensor home_receive;
  comm::Work home_work;
};

namespace {

void wait_for(const comm::Work& work) {
  const ActivitySpan span(current_context().stream, "wait", "all_to_all");
  work.wait();
}

std::int64_t total(const std::vector<std::int64_t>& rows) {
  return std::accumulate(rows.begin(), rows.end(), std::int64_t{0});
}

}  // namespace

RowExchange start_all_to_all(const Variable& x, const RowCounts& counts, comm::Group& group) {
  MOE_CHECK_EQ(static_cast<int>(counts.send.size()), group.size());
  MOE_CHECK_EQ(static_cast<int>(counts.receive.size()), group.size());
  require("all_to_all", "x", x.value(), {total(counts.send), -1}, x.dtype());
  auto state = std::make_shared<RowExchange::State>();
  state->counts = counts;
  state->group = &group;
  state->send = x.value();
  Tensor received =
      Tensor::empty({total(counts.receive), x.dim(1)}, x.dtype(), MemoryCategory::Exchange);
  state->work = group.all_to_all(x.value().view(), counts.send, received.view(), counts.receive);
  if (!needs_record({&x})) {
    state->in_flight = Variable(std::move(received));
    return RowExchange(std::move(state));
  }
  // The gradient that reaches this node is the buffer the rows come home into; it is valid only now.
  state->in_flight = Tape::current()->record_one(
      "start_all_to_all", std::move(received),
      [slot = x.slot(), state](const Tensor& dx) {
        wait_for(state->home_work);
        state->home_send = Tensor();
        state->home_receive = Tensor();
        if (slot) slot->accumulate(dx);
      });
  return RowExchange(std::move(state));
}

Variable finish_all_to_all(const RowExchange& exchange) {
  RowExchange::State& state = exchange.state();
  wait_for(state.work);
  state.send = Tensor();
  const Variable arrived = std::exchange(state.in_flight, Variable());
  if (!arrived.requires_gradient()) return arrived;
  return Tape::current()->record_one(
      "finish_all_to_all", arrived.value(),
      [shared = exchange.shared(), slot = arrived.slot()](const Tensor& dreceived) {
        RowExchange::State& home = *shared;
        home.home_send = dreceived;
        Tensor dsent = Tensor::empty({total(home.counts.send), dreceived.dim(1)},
                                     dreceived.dtype(), MemoryCategory::Exchange);
        home.home_receive = dsent;
        home.home_work = home.group->all_to_all(dreceived.view(), home.counts.receive,
                                                dsent.view(), home.counts.send);
        slot->accumulate(std::move(dsent));
      });
}

}  // namespace moe::ops
