#include "comm/group.h"

namespace moe::comm {
namespace {

View view_of(std::span<double> numbers) {
  return {numbers.data(), DType::F64, 1, {static_cast<std::int64_t>(numbers.size())}, {1}};
}

}  // namespace

void sum_over(Group& group, std::span<double> numbers) {
  group.all_reduce_sum(view_of(numbers)).wait();
}

double max_over(Group& group, double number) {
  group.all_reduce_max(view_of({&number, 1})).wait();
  return number;
}

}  // namespace moe::comm
