#include "tensor/tensor.h"

#include <gtest/gtest.h>

#include <functional>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace moe {
namespace {

class TensorTest : public ::testing::Test {
 protected:
  /// 0, 1, 2, ... in f32.
  static Tensor counting(const Shape& shape) {
    std::vector<float> values(static_cast<std::size_t>(shape.numel()));
    std::iota(values.begin(), values.end(), 0.0F);
    return Tensor::from(values, shape);
  }
  static std::vector<double> values(std::initializer_list<double> list) { return list; }

  DeviceContext context_{1, CpuIsa::Avx2};
  ContextScope scope_{context_};
};

template <class Error>
std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no such error";
}

TEST_F(TensorTest, FactoriesFillWhatTheySay) {
  EXPECT_EQ(Tensor::zeros({2, 2}, DType::BF16).to_vector(), values({0, 0, 0, 0}));
  EXPECT_EQ(Tensor::full({3}, DType::I64, -2).to_vector(), values({-2, -2, -2}));
  EXPECT_EQ(Tensor::from(values({1.5, 2.5}), {2}, DType::F16).to_vector(), values({1.5, 2.5}));
  EXPECT_EQ(Tensor::from(values({1, 2}), {1, 2}, DType::I32).dtype(), DType::I32);
  EXPECT_EQ(Tensor::full({}, DType::F64, 7).item(), 7);
  EXPECT_EQ(Tensor::empty({0, 5}, DType::F32).to_vector(), values({}));
  EXPECT_THROW(Tensor::from(values({1, 2}), {3}, DType::F64), InternalError);
}

TEST_F(TensorTest, BytesAreChargedToTheCategoryUntilTheLastOwnerGoes) {
  const Allocator& allocator = context_.allocator;
  {
    const Tensor tensor = Tensor::zeros({10, 10}, DType::BF16, MemoryCategory::Gradients);
    const Tensor row = tensor.narrow(3, 1);
    EXPECT_EQ(tensor.bytes(), 200);
    EXPECT_EQ(allocator.account(MemoryCategory::Gradients).bytes, 200);
    EXPECT_FALSE(tensor.unique());
    const Tensor copy = row.clone(MemoryCategory::Workspace);
    EXPECT_EQ(allocator.account(MemoryCategory::Workspace).bytes, 20);
    EXPECT_TRUE(copy.unique());
  }
  EXPECT_EQ(allocator.total().bytes, 0);
  EXPECT_EQ(allocator.total().peak_bytes, 220);
}

TEST_F(TensorTest, NarrowIsAWindowOnRows) {
  const Tensor tensor = counting({4, 3});
  const Tensor middle = tensor.narrow(1, 2);
  EXPECT_EQ(middle.shape(), (Shape{2, 3}));
  EXPECT_EQ(middle.to_vector(), values({3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(middle.narrow(1, 1).to_vector(), values({6, 7, 8}));
  EXPECT_EQ(tensor.narrow(4, 0).numel(), 0);
  middle.fill(-1);
  EXPECT_EQ(tensor.to_vector(), values({0, 1, 2, -1, -1, -1, -1, -1, -1, 9, 10, 11}));
  EXPECT_THROW(tensor.narrow(3, 2), InternalError);
  EXPECT_THROW(tensor.narrow(-1, 1), InternalError);
  EXPECT_THROW(tensor.narrow(0, -1), InternalError);
  EXPECT_THROW(Tensor::zeros({}, DType::F32).narrow(0, 0), InternalError);
  EXPECT_EQ(Tensor::zeros({0, 3}, DType::F32).narrow(0, 0).numel(), 0);
}

TEST_F(TensorTest, WindowTakesAnyShapeFromAnyOffset) {
  const Tensor tensor = counting({12});
  const Tensor window = tensor.window(5, {2, 3});
  EXPECT_EQ(window.to_vector(), values({5, 6, 7, 8, 9, 10}));
  EXPECT_EQ(window.narrow(1, 1).window(1, {2}).to_vector(), values({9, 10}));
  EXPECT_EQ(tensor.window(12, {0}).numel(), 0);
  EXPECT_THROW(tensor.window(7, {2, 3}), InternalError);
  EXPECT_THROW(tensor.window(-1, {1}), InternalError);
}

TEST_F(TensorTest, ReshapeSharesStorageAndKeepsTheCount) {
  const Tensor tensor = counting({2, 6});
  const Tensor reshaped = tensor.reshape({3, 4});
  EXPECT_EQ(reshaped.data(), tensor.data());
  EXPECT_EQ(reshaped.to_vector(), tensor.to_vector());
  EXPECT_EQ(tensor.narrow(1, 1).reshape({2, 3}).to_vector(), values({6, 7, 8, 9, 10, 11}));
  EXPECT_NE(message_of<ShapeError>([&] { tensor.reshape({5, 2}); })
                .find("expected 12 elements, got shape [5, 2]"),
            std::string::npos);
}

TEST_F(TensorTest, CloneAndCopyAreIndependentOfTheirSource) {
  const Tensor tensor = counting({3});
  const Tensor clone = tensor.clone();
  tensor.fill(9);
  EXPECT_EQ(clone.to_vector(), values({0, 1, 2}));
  const Tensor target = Tensor::zeros({3}, DType::BF16);
  target.copy_from(clone);
  EXPECT_EQ(target.to_vector(), values({0, 1, 2}));
  EXPECT_NE(message_of<ShapeError>([&] { target.copy_from(counting({4})); })
                .find("[copy] expected [3] bf16, got [4] f32"),
            std::string::npos);
}

TEST_F(TensorTest, ToKeepsOrConverts) {
  const Tensor tensor = counting({3});
  EXPECT_EQ(tensor.to(DType::F32).data(), tensor.data());
  const Tensor doubled = tensor.to(DType::F64);
  EXPECT_EQ(doubled.dtype(), DType::F64);
  EXPECT_EQ(doubled.to_vector(), values({0, 1, 2}));
}

TEST_F(TensorTest, SpanChecksTheElementType) {
  const Tensor tensor = counting({3});
  tensor.span<float>()[1] = 5;
  EXPECT_EQ(tensor.span<const float>()[1], 5);
  EXPECT_NE(message_of<DTypeError>([&] { tensor.span<double>(); }).find("expected f64, got [3] f32"),
            std::string::npos);
  EXPECT_THROW(tensor.span<const double>(), DTypeError);
  EXPECT_THROW(tensor.span<std::int32_t>(), DTypeError);
}

TEST_F(TensorTest, ViewIsContiguousAndRowMajor) {
  const View view = counting({2, 3, 4}).view();
  EXPECT_EQ(view.rank, 3);
  EXPECT_EQ(view.stride(0), 12);
  EXPECT_EQ(view.stride(-1), 1);
  EXPECT_EQ(view.dim(-2), 3);
  EXPECT_EQ(view.numel(), 24);
  EXPECT_EQ(view.bytes(), 96);
  EXPECT_TRUE(view.is_contiguous());
  View transposed = view;
  std::swap(transposed.dims[0], transposed.dims[2]);
  std::swap(transposed.strides[0], transposed.strides[2]);
  EXPECT_FALSE(transposed.is_contiguous());
  EXPECT_FALSE(View{});
  EXPECT_TRUE(view);
}

TEST_F(TensorTest, AnUndefinedTensorIsRefusedNotRead) {
  const Tensor tensor;
  EXPECT_FALSE(tensor.defined());
  EXPECT_FALSE(tensor.view());
  EXPECT_EQ(tensor.data(), nullptr);
  EXPECT_EQ(describe(tensor), "undefined");
  EXPECT_THROW(tensor.item(), ShapeError);
  EXPECT_THROW(tensor.to_vector(), ShapeError);
  EXPECT_THROW(counting({2}).item(), ShapeError);
}

TEST_F(TensorTest, RequireNamesOpTensorExpectationAndFinding) {
  const Tensor x = Tensor::zeros({512, 64}, DType::F32);
  require("norm", "x_TD", x, {512, 64}, DType::F32);
  require("norm", "x_TD", x, {-1, 64}, DType::F32);
  require("norm", "x_TD", x, {-1, -1}, DType::F32);
  EXPECT_EQ(message_of<ShapeError>([&] { require("norm", "x_TD", x, {-1, 32}, DType::F32); }),
            "[norm] x_TD: expected [*, 32] f32, got [512, 64] f32");
  EXPECT_EQ(message_of<ShapeError>([&] { require("norm", "x_TD", x, {512}, DType::F32); }),
            "[norm] x_TD: expected [512] f32, got [512, 64] f32");
  EXPECT_EQ(message_of<ShapeError>([&] { require("norm", "x_TD", x, {512, 64, 1}, DType::F32); }),
            "[norm] x_TD: expected [512, 64, 1] f32, got [512, 64] f32");
  EXPECT_EQ(message_of<DTypeError>([&] { require("norm", "x_TD", x, {512, 64}, DType::BF16); }),
            "[norm] x_TD: expected [512, 64] bf16, got [512, 64] f32");
  EXPECT_EQ(message_of<ShapeError>([&] { require("norm", "x_TD", {}, {}, DType::F32); }),
            "[norm] x_TD: expected [] f32, got undefined");
}

TEST_F(TensorTest, TooLargeIsOutOfMemoryWithAHint) {
  EXPECT_NE(message_of<OutOfMemory>([] {
              Tensor::empty({std::int64_t{1} << 30, 1 << 20}, DType::F64);
            }).find("HINT"),
            std::string::npos);
}

}  // namespace
}  // namespace moe
