#include "checkpoint/tensor_source.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "checkpoint/memory_source.h"

namespace moe::checkpoint {
namespace {

MemorySource source() {
  MemorySource result("a test");
  result.add("w", Shape{2, 3}, DType::F32, std::vector<double>{0, 1, 2, 3, 4, 5});
  result.add("steps", Shape{1}, DType::I64, std::vector<double>{7});
  return result;
}

template <class F>
std::string message(F&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(TensorSource, ReadsAnySliceConvertedToTheWantedDType) {
  const MemorySource memory = source();
  Slice column = whole(Shape{2, 3});
  column.begin[1] = 1;
  column.size.set(1, 2);
  column.flat_begin = 1;
  column.flat_end = 4;
  std::vector<double> out(3);
  memory.read("w", column, flat_view(out.data(), DType::F64, 3));
  EXPECT_EQ(out, (std::vector<double>{2, 4, 5}));
  BFloat16 all[6];
  memory.read("w", flat_view(all, DType::BF16, 6));
  EXPECT_EQ(static_cast<float>(all[5]), 5.0F);
}

TEST(TensorSource, RefusesWrongRequestsWithTheTensorsName) {
  const MemorySource memory = source();
  double out[6];
  const auto read = [&](const char* name, const Shape& global, DType dtype, std::int64_t count) {
    return message([&] { memory.read(name, whole(global), flat_view(out, dtype, count)); });
  };
  EXPECT_EQ(read("step", Shape{1}, DType::I64, 1), "a test: holds no tensor step (nearest: steps)");
  EXPECT_NE(read("w", Shape{3, 2}, DType::F32, 6).find("[read] w"), std::string::npos);
  EXPECT_NE(read("w", Shape{2, 3}, DType::F32, 5).find("expected 6"), std::string::npos);
  EXPECT_NE(read("steps", Shape{1}, DType::F32, 1).find("does not convert"), std::string::npos);
  EXPECT_NE(read("w", Shape{2, 3}, DType::I32, 6).find("does not convert"), std::string::npos);
}

TEST(RequireTensors, AcceptsTheExactSet) {
  const std::vector<ExpectedTensor> expected{{"w", Shape{2, 3}, {}},
                                             {"steps", Shape{1}, DType::I64}};
  EXPECT_NO_THROW(require_tensors(source(), expected));
}

TEST(RequireTensors, NamesEveryDifferenceAtOnce) {
  const std::vector<ExpectedTensor> expected{{"w", Shape{3, 2}, DType::BF16},
                                             {"weight", Shape{4}, {}}};
  const std::string text = message([&] { require_tensors(source(), expected); });
  for (const char* part :
       {"shape of w: expected [3, 2], found [2, 3]", "dtype of w: expected bf16, found f32",
        "missing: weight [4]", "unexpected: steps"}) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }
}

TEST(RequireTensors, WantsAFloatWhereNoDTypeIsGiven) {
  const std::vector<ExpectedTensor> expected{{"w", Shape{2, 3}, {}}, {"steps", Shape{1}, {}}};
  EXPECT_NE(message([&] { require_tensors(source(), expected); }).find("dtype of steps"),
            std::string::npos);
}

}  // namespace
}  // namespace moe::checkpoint
