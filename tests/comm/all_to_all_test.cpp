#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"
#include "comm/buffers.h"
#include "support/worlds.h"

namespace moe {
namespace {

using testing::run_world;
using testing::same_bits;
using testing::value_of;
using testing::view_of;

class AllToAll : public testing::OnEveryWorld {};

/// Rows that rank `from` sends to rank `to`.
using Rows = std::function<std::int64_t(int from, int to)>;

struct Traffic {
  const char* name;
  std::function<Rows(int ranks)> rows;
};

const Traffic kTraffic[] = {
    {"nothing", [](int) -> Rows { return [](int, int) { return 0; }; }},
    {"one row each", [](int) -> Rows { return [](int, int) { return 1; }; }},
    {"uneven",
     [](int) -> Rows { return [](int from, int to) { return (from * 7 + to * 3) % 5; }; }},
    {"all rows to the last rank",
     [](int ranks) -> Rows { return [ranks](int, int to) { return to == ranks - 1 ? 129 : 0; }; }},
    {"all rows to rank 0",
     [](int) -> Rows { return [](int, int to) { return to == 0 ? 37 : 0; }; }},
    {"rank 0 sends nothing",
     [](int) -> Rows { return [](int from, int) { return from == 0 ? 0 : 5; }; }},
    {"rank 0 idle both ways",
     [](int) -> Rows { return [](int from, int to) { return from == 0 || to == 0 ? 0 : 3; }; }},
    {"only to itself",
     [](int) -> Rows { return [](int from, int to) { return from == to ? 9 : 0; }; }},
    {"large", [](int) -> Rows { return [](int from, int to) { return 4000 + from + 2 * to; }; }},
};

// Element `column` of row `row` of the block that goes from one rank to another.
template <class T>
T element(int from, int to, std::int64_t row, std::int64_t column) {
  return value_of<T>(from * 100 + to, row * 1000 + column);
}

template <class T>
void append_block(std::vector<T>& data, int from, int to, std::int64_t rows, std::int64_t width) {
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t column = 0; column < width; ++column) {
      data.push_back(element<T>(from, to, row, column));
    }
  }
}

template <class T>
void expect_delivery(comm::Group& group, const Rows& rows, std::int64_t width) {
  std::vector<std::int64_t> send_rows;
  std::vector<std::int64_t> receive_rows;
  std::vector<T> send;
  std::vector<T> expected;
  std::int64_t sent = 0;
  std::int64_t received = 0;
  for (int p = 0; p < group.size(); ++p) {
    send_rows.push_back(rows(group.rank(), p));
    receive_rows.push_back(rows(p, group.rank()));
    sent += send_rows.back();
    received += receive_rows.back();
    append_block(send, group.rank(), p, send_rows.back(), width);
    append_block(expected, p, group.rank(), receive_rows.back(), width);
  }
  std::vector<T> receive(expected.size());
  const comm::Work work = group.all_to_all(view_of(send, {sent, width}), send_rows,
                                           view_of(receive, {received, width}), receive_rows);
  work.wait();
  EXPECT_TRUE(same_bits(receive, expected));
}

TEST_P(AllToAll, EveryRowReachesItsOwnerInRankOrder) {
  run_world(GetParam(), [](comm::Group& group) {
    for (const Traffic& traffic : kTraffic) {
      for (const std::int64_t width : {1, 7}) {
        SCOPED_TRACE(format("{}, width {}", traffic.name, width));
        expect_delivery<float>(group, traffic.rows(group.size()), width);
        expect_delivery<std::uint16_t>(group, traffic.rows(group.size()), width);
        expect_delivery<std::int64_t>(group, traffic.rows(group.size()), width);
      }
    }
  });
}

TEST_P(AllToAll, SendingBackGivesTheRowsBack) {
  run_world(GetParam(), [](comm::Group& group) {
    const auto ranks = static_cast<std::size_t>(group.size());
    std::vector<std::int64_t> there(ranks);
    std::vector<std::int64_t> back(ranks);
    std::int64_t sent = 0;
    std::int64_t received = 0;
    for (int p = 0; p < group.size(); ++p) {
      sent += there[static_cast<std::size_t>(p)] = (group.rank() + 2 * p) % 4;
      received += back[static_cast<std::size_t>(p)] = (p + 2 * group.rank()) % 4;
    }
    std::vector<float> rows = testing::values<float>(group.rank(), sent * 5);
    const std::vector<float> before = rows;
    std::vector<float> away(static_cast<std::size_t>(received * 5));
    group.all_to_all(view_of(rows, {sent, 5}), there, view_of(away, {received, 5}), back).wait();
    std::fill(rows.begin(), rows.end(), 0.0F);
    group.all_to_all(view_of(away, {received, 5}), back, view_of(rows, {sent, 5}), there).wait();
    EXPECT_TRUE(same_bits(rows, before));
  });
}

TEST_P(AllToAll, RefusesCountsThatDoNotFit) {
  run_world(GetParam(), [](comm::Group& group) {
    const auto ranks = static_cast<std::size_t>(group.size());
    std::vector<float> data(ranks * 2);
    const std::int64_t rows = group.size();
    const View view = view_of(data, {rows, 2});
    const std::vector<std::int64_t> fits(ranks, 1);
    const std::vector<std::int64_t> too_many(ranks, 2);
    const std::vector<std::int64_t> too_long(ranks + 1, 0);
    std::vector<std::int64_t> negative = fits;
    negative[0] = -1;
    EXPECT_THROW((void)group.all_to_all(view, too_many, view, fits), ShapeError);
    EXPECT_THROW((void)group.all_to_all(view, fits, view, too_many), ShapeError);
    EXPECT_THROW((void)group.all_to_all(view, too_long, view, fits), ShapeError);
    EXPECT_THROW((void)group.all_to_all(view, negative, view, fits), ShapeError);
    EXPECT_THROW((void)group.all_to_all(view, fits, view_of(data, {rows, 1}), fits), ShapeError);
    // Both sums fit, but what a rank sends to itself it also receives.
    std::vector<std::int64_t> more_to_itself = fits;
    const auto self = static_cast<std::size_t>(group.rank());
    more_to_itself[self] += 1;
    std::vector<float> more(ranks * 2 + 2);
    const View longer = view_of(more, {rows + 1, 2});
    EXPECT_THROW((void)group.all_to_all(longer, more_to_itself, view, fits), ShapeError);
    EXPECT_THROW((void)group.all_to_all(view, fits, longer, more_to_itself), ShapeError);
    std::vector<double> wide(ranks * 2);
    EXPECT_THROW((void)group.all_to_all(view, fits, view_of(wide, {rows, 2}), fits), DTypeError);
  });
}

INSTANTIATE_TEST_SUITE_P(Worlds, AllToAll, ::testing::ValuesIn(testing::world_cases()),
                         testing::world_name);

}  // namespace
}  // namespace moe
