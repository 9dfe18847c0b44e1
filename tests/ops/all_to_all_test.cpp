#include "ops/all_to_all.h"

#include "autograd/gradcheck.h"
#include "support/context_test.h"
#include "support/expect_close.h"
#include "support/thread_ranks.h"

namespace moe {
namespace {

using testing::random_tensor;

constexpr std::int64_t kRows = 3;

/// rows[from][to]; every rank sends kRows in all.
using Traffic = std::vector<std::vector<std::int64_t>>;

ops::RowCounts counts_of(const Traffic& traffic, int rank) {
  ops::RowCounts counts;
  for (std::size_t other = 0; other < traffic.size(); ++other) {
    counts.send.push_back(traffic[static_cast<std::size_t>(rank)][other]);
    counts.receive.push_back(traffic[other][static_cast<std::size_t>(rank)]);
  }
  return counts;
}

const std::vector<Traffic>& cases() {
  static const std::vector<Traffic> table{
      {{3}},
      {{1, 2}, {3, 0}},
      {{3, 0}, {3, 0}},  // all to one, the other idle
      {{0, 3}, {3, 0}},
      {{1, 0, 2}, {0, 0, 3}, {1, 1, 1}},
  };
  return table;
}

double sum_over(comm::Group& group, double value) {
  Tensor one = Tensor::full({1}, DType::F64, value);
  group.all_reduce_sum(one.view()).wait();
  return one.to_vector()[0];
}

TEST(AllToAll, BackwardIsTheDerivative) {
  for (const Traffic& traffic : cases()) {
    testing::run_ranks(static_cast<int>(traffic.size()), [&](comm::Group& group) {
      const Tensor x = random_tensor(format("x{}", group.rank()), {kRows, 2});
      GradcheckOptions options;
      options.rank = group.rank();
      options.ranks = group.size();
      options.sum = [&group](double value) { return sum_over(group, value); };
      const std::string disagreement = gradcheck(
          [&](std::span<const Variable> in) {
            const ops::RowCounts counts = counts_of(traffic, group.rank());
            const ops::RowExchange exchange = ops::start_all_to_all(in[0], counts, group);
            return std::vector{ops::finish_all_to_all(exchange)};
          },
          {&x, 1}, {}, options);
      EXPECT_EQ("", disagreement) << "rank " << group.rank() << " of " << group.size();
    });
  }
}

TEST(AllToAll, RowsArriveInRankOrder) {
  for (const Traffic& traffic : cases()) {
    testing::run_ranks(static_cast<int>(traffic.size()), [&](comm::Group& group) {
      std::vector<double> sent;
      for (std::int64_t row = 0; row < kRows; ++row) {
        sent.push_back(static_cast<double>(10 * group.rank() + row));
      }
      const Variable x(Tensor::from(sent, {kRows, 1}, DType::F32));
      const ops::RowCounts counts = counts_of(traffic, group.rank());
      const Variable y = ops::finish_all_to_all(ops::start_all_to_all(x, counts, group));
      std::vector<double> expected;
      for (std::size_t from = 0; from < traffic.size(); ++from) {
        std::int64_t first = 0;
        for (int to = 0; to < group.rank(); ++to)
          first += traffic[from][static_cast<std::size_t>(to)];
        for (std::int64_t row = 0; row < counts.receive[from]; ++row) {
          expected.push_back(
              static_cast<double>(10 * static_cast<std::int64_t>(from) + first + row));
        }
      }
      EXPECT_EQ(y.value().to_vector(), expected);
    });
  }
}

}  // namespace
}  // namespace moe
