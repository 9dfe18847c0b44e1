#include "moe/all_to_all_dispatcher.h"

#include <vector>

#include "device/activity.h"
#include "moe/route_order.h"
#include "ops/all_to_all.h"

namespace moe {
namespace {

/// counts[s * e + j]: rows rank s sends to this rank for its local expert j.
struct Arrival {
  std::vector<std::int32_t> counts;
  std::int64_t ranks = 1;
  std::int64_t local_experts = 1;
  std::int32_t at(std::int64_t source, std::int64_t expert) const {
    return counts[static_cast<std::size_t>(source * local_experts + expert)];
  }
};

struct AllToAllExchange : TokenDispatcher::Exchange {
  RouteOrder order;
  Arrival arrival;
  ops::RowCounts counts;
  std::vector<ops::RowExchange> under_way;  // rows and weights going out, or rows coming home
  ops::RowMap expert_map;                   // sorted row <-> arrived row
};

Arrival exchange_counts(const Tensor& offset_E1, comm::Group& group) {
  const auto offset = offset_E1.span<std::int32_t>();
  const auto experts = static_cast<std::int64_t>(offset.size()) - 1;
  Arrival arrival{std::vector<std::int32_t>(static_cast<std::size_t>(experts)), group.size(),
                  experts / group.size()};
  std::vector<std::int32_t> mine(static_cast<std::size_t>(experts));
  for (std::size_t e = 0; e < mine.size(); ++e) mine[e] = offset[e + 1] - offset[e];
  const std::vector<std::int64_t> rows(static_cast<std::size_t>(group.size()), 1);
  View send{mine.data(), DType::I32, 2, {group.size(), arrival.local_experts},
            {arrival.local_experts, 1}};
  View receive = send;
  receive.data = arrival.counts.data();
  const ActivitySpan span(current_context().stream, "wait", "row_counts");
  group.all_to_all(send, rows, receive, rows).wait();
  return arrival;
}

ops::RowCounts row_counts(const Tensor& offset_E1, const Arrival& arrival) {
  const auto offset = offset_E1.span<std::int32_t>();
  ops::RowCounts counts;
  for (std::int64_t peer = 0; peer < arrival.ranks; ++peer) {
    const auto first = static_cast<std::size_t>(peer * arrival.local_experts);
    const auto last = static_cast<std::size_t>((peer + 1) * arrival.local_experts);
    counts.send.push_back(offset[last] - offset[first]);
    std::int64_t received = 0;
    for (std::int64_t e = 0; e < arrival.local_experts; ++e) received += arrival.at(peer, e);
    counts.receive.push_back(received);
  }
  return counts;
}

/// Arrived rows stand by source rank, then expert; experts want them by expert, then source rank.
struct ExpertOrder {
  ops::RowMap map;
  Tensor offset_e1;
};

ExpertOrder sort_by_expert(const Arrival& arrival, std::int64_t rows) {
  ExpertOrder sorted{{Tensor::empty({rows}, DType::I32), Tensor::empty({rows, 1}, DType::I32)},
                     Tensor::empty({arrival.local_experts + 1}, DType::I32)};
  std::vector<std::int32_t> begin(arrival.counts.size());
  std::int32_t total = 0;
  for (std::size_t i = 0; i < begin.size(); ++i) {
    begin[i] = total;
    total += arrival.counts[i];
  }
  auto row = sorted.map.row.span<std::int32_t>();
  auto inverse = sorted.map.inverse.span<std::int32_t>();
  auto offset = sorted.offset_e1.span<std::int32_t>();
  std::int32_t next = 0;
  for (std::int64_t e = 0; e < arrival.local_experts; ++e) {
    offset[static_cast<std::size_t>(e)] = next;
    for (std::int64_t source = 0; source < arrival.ranks; ++source) {
      const std::int32_t first = begin[static_cast<std::size_t>(source * arrival.local_experts + e)];
      for (std::int32_t i = 0; i < arrival.at(source, e); ++i) {
        row[static_cast<std::size_t>(next)] = first + i;
        inverse[static_cast<std::size_t>(first + i)] = next++;
      }
    }
  }
  offset.back() = next;
  return sorted;
}

class AllToAllDispatcher : public TokenDispatcher {
 public:
  explicit AllToAllDispatcher(comm::Group& group) : group_(group) {}

  Ticket start_dispatch(const Variable& x_TD, const Routing& routing) override {
    auto exchange = std::make_shared<AllToAllExchange>();
    exchange->order = order_routes(routing.expert_TK, routing.experts);
    exchange->arrival = exchange_counts(exchange->order.offset_E1, group_);
    exchange->counts = row_counts(exchange->order.offset_E1, exchange->arrival);
    const Variable rows = ops::gather_rows(x_TD, exchange->order.token_map);
    const Variable weights = weights_in_order(routing.weight_TK, exchange->order)
                                 .reshape({exchange->order.rows, 1});
    exchange->under_way.push_back(ops::start_all_to_all(rows, exchange->counts, group_));
    exchange->under_way.push_back(ops::start_all_to_all(weights, exchange->counts, group_));
    return exchange;
  }

  Dispatched finish_dispatch(const Ticket& ticket) override {
    auto& exchange = static_cast<AllToAllExchange&>(*ticket);
    const Variable arrived = ops::finish_all_to_all(exchange.under_way[0]);
    const Variable weights = ops::finish_all_to_all(exchange.under_way[1]);
    exchange.under_way.clear();
    const ExpertOrder sorted = sort_by_expert(exchange.arrival, arrived.dim(0));
    exchange.expert_map = sorted.map;
    const Variable weight_R =
        ops::gather_rows(weights, sorted.map).reshape({arrived.dim(0)});
    return {arrived, sorted.map, sorted.offset_e1, weight_R};
  }

  Ticket start_combine(const Variable& rows_RD, const Ticket& ticket) override {
    auto& exchange = static_cast<AllToAllExchange&>(*ticket);
    // Back in order of arrival, so that each rank's rows are adjacent.
    const Variable arrival_order = ops::combine_rows(rows_RD, exchange.expert_map);
    const ops::RowCounts home{exchange.counts.receive, exchange.counts.send};
    exchange.under_way.push_back(ops::start_all_to_all(arrival_order, home, group_));
    return ticket;
  }

  Variable finish_combine(const Ticket& ticket) override {
    auto& exchange = static_cast<AllToAllExchange&>(*ticket);
    const Variable rows = ops::finish_all_to_all(exchange.under_way[0]);
    exchange.under_way.clear();
    return ops::combine_rows(rows, exchange.order.token_map);
  }

  std::int64_t first_expert(std::int64_t experts) const override {
    return experts / group_.size() * group_.rank();
  }
  std::int64_t local_experts(std::int64_t experts) const override {
    return experts / group_.size();
  }

 private:
  comm::Group& group_;
};

}  // namespace

std::unique_ptr<TokenDispatcher> make_all_to_all_dispatcher(comm::Group& group) {
  return std::make_unique<AllToAllDispatcher>(group);
}

}  // namespace moe
