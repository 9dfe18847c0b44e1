#include "comm/local_reduce.h"

#include <gtest/gtest.h>

#include <limits>

#include "comm/buffers.h"

namespace moe {
namespace {

TEST(LocalReduce, AddsFromLeftToRightAcrossBlocks) {
  for (const std::int64_t count : {0, 1, 15, 16, 17, 1023, 1024, 1025, 5000}) {
    std::vector<std::vector<float>> inputs;
    std::vector<const std::byte*> pointers;
    for (int rank = 0; rank < 5; ++rank) inputs.push_back(testing::values<float>(rank, count));
    for (const auto& input : inputs) {
      pointers.push_back(reinterpret_cast<const std::byte*>(input.data()));
    }
    // In place onto the third input, as the rank that owns it does.
    comm::reduce_in_order(comm::Reduction::Sum, DType::F32, pointers,
                          reinterpret_cast<std::byte*>(inputs[2].data()), count);
    EXPECT_TRUE(testing::same_bits(inputs[2], testing::serial_sum<float>(5, count))) << count;
  }
}

TEST(LocalReduce, IntegersWrap) {
  const std::int32_t most = std::numeric_limits<std::int32_t>::max();
  const std::int32_t one = 1;
  std::int32_t sum = 0;
  const std::vector<const std::byte*> inputs{reinterpret_cast<const std::byte*>(&most),
                                             reinterpret_cast<const std::byte*>(&one)};
  comm::reduce_in_order(comm::Reduction::Sum, DType::I32, inputs,
                        reinterpret_cast<std::byte*>(&sum), 1);
  EXPECT_EQ(sum, std::numeric_limits<std::int32_t>::min());
}

}  // namespace
}  // namespace moe
