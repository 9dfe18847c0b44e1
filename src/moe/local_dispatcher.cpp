#include "moe/route_order.h"
#include "moe/token_dispatcher.h"

namespace moe {
namespace {

struct LocalExchange : TokenDispatcher::Exchange {
  Variable x_TD;
  RouteOrder order;
  Variable weight_R;
  Variable rows_RD;
};

class LocalDispatcher : public TokenDispatcher {
 public:
  Ticket start_dispatch(const Variable& x_TD, const Routing& routing) override {
    auto exchange = std::make_shared<LocalExchange>();
    exchange->x_TD = x_TD;
    exchange->order = order_routes(routing.expert_TK, routing.experts);
    exchange->weight_R = weights_in_order(routing.weight_TK, exchange->order);
    return exchange;
  }

  Dispatched finish_dispatch(const Ticket& ticket) override {
    const auto& exchange = static_cast<LocalExchange&>(*ticket);
    return {exchange.x_TD, exchange.order.token_map, exchange.order.offset_E1, exchange.weight_R};
  }

  Ticket start_combine(const Variable& rows_RD, const Ticket& ticket) override {
    static_cast<LocalExchange&>(*ticket).rows_RD = rows_RD;
    return ticket;
  }

  Variable finish_combine(const Ticket& ticket) override {
    const auto& exchange = static_cast<LocalExchange&>(*ticket);
    return ops::combine_rows(exchange.rows_RD, exchange.order.token_map);
  }

  std::int64_t first_expert(std::int64_t) const override { return 0; }
  std::int64_t local_experts(std::int64_t experts) const override { return experts; }
};

}  // namespace

std::unique_ptr<TokenDispatcher> make_local_dispatcher() {
  return std::make_unique<LocalDispatcher>();
}

}  // namespace moe
