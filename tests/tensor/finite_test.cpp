#include "tensor/finite.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tensor/convert.h"

namespace moe {
namespace {

View view_of(void* data, DType dtype, std::int64_t count) {
  View view;
  view.data = data;
  view.dtype = dtype;
  view.rank = 1;
  view.dims[0] = count;
  view.strides[0] = 1;
  return view;
}

/// The values in `dtype`, looked through.
NonFinite look(std::vector<double> values, DType dtype) {
  const auto count = static_cast<std::int64_t>(values.size());
  std::vector<std::byte> bytes(values.size() * 8);
  const View view = view_of(bytes.data(), dtype, count);
  convert_elements(view_of(values.data(), DType::F64, count), view);
  return find_non_finite(view);
}

TEST(Finite, FindsEveryKindInEveryFloat) {
  const double inf = std::numeric_limits<double>::infinity();
  for (const DType dtype : {DType::F32, DType::BF16, DType::F16, DType::F64}) {
    EXPECT_EQ(look({}, dtype).count, 0);
    EXPECT_EQ(look({1, -0.0, 65504, 6e-8}, dtype).count, 0) << to_string(dtype);
    EXPECT_EQ(look({1, -0.0}, dtype).first, -1);
    for (const double bad : {std::nan(""), -std::nan(""), inf, -inf}) {
      const NonFinite found = look({0, 1, bad, 2, bad}, dtype);
      EXPECT_EQ(found.count, 2) << to_string(dtype);
      EXPECT_EQ(found.first, 2);
      EXPECT_EQ(look({bad}, dtype).first, 0);
    }
  }
}

TEST(Finite, LargestFiniteValueIsFinite) {
  EXPECT_EQ(look({std::numeric_limits<float>::max()}, DType::F32).count, 0);
  EXPECT_EQ(look({std::numeric_limits<float>::max()}, DType::BF16).count, 1);  // rounds up
  EXPECT_EQ(look({65504}, DType::F16).count, 0);
  EXPECT_EQ(look({65520}, DType::F16).count, 1);
}

TEST(Finite, IntegersAlwaysAre) {
  std::vector<std::uint32_t> bits{0x7f800000U, 0xffffffffU};
  EXPECT_EQ(find_non_finite(view_of(bits.data(), DType::I32, 2)).count, 0);
}

}  // namespace
}  // namespace moe
