#include "tensor/tensor.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/error.h"
#include "base/format.h"
#include "tensor/convert.h"

namespace moe {

Storage::Storage(Allocator& allocator, std::int64_t bytes, MemoryCategory category)
    : allocator_(allocator),
      data_(static_cast<std::byte*>(allocator.allocate(bytes, category))),
      bytes_(bytes),
      category_(category) {}

Storage::~Storage() { allocator_.release(data_, bytes_, category_); }

Tensor Tensor::empty(const Shape& shape, DType dtype, MemoryCategory category) {
  Tensor tensor;
  tensor.storage_ = std::make_shared<Storage>(current_context().allocator,
                                              shape.numel() * size_of(dtype), category);
  tensor.shape_ = shape;
  tensor.dtype_ = dtype;
  return tensor;
}

Tensor Tensor::zeros(const Shape& shape, DType dtype, MemoryCategory category) {
  Tensor tensor = empty(shape, dtype, category);
  std::memset(tensor.data(), 0, static_cast<std::size_t>(tensor.bytes()));
  return tensor;
}

Tensor Tensor::full(const Shape& shape, DType dtype, double value, MemoryCategory category) {
  Tensor tensor = empty(shape, dtype, category);
  tensor.fill(value);
  return tensor;
}

namespace {

template <class T>
Tensor copy_of(std::span<const T> values, const Shape& shape) {
  MOE_CHECK_EQ(static_cast<std::int64_t>(values.size()), shape.numel());
  Tensor tensor = Tensor::empty(shape, dtype_of<T>);
  if (!values.empty()) std::memcpy(tensor.data(), values.data(), values.size_bytes());
  return tensor;
}

}  // namespace

Tensor Tensor::from(std::span<const double> values, const Shape& shape, DType dtype) {
  return copy_of(values, shape).to(dtype);
}
Tensor Tensor::from(std::span<const float> values, const Shape& shape) {
  return copy_of(values, shape);
}
Tensor Tensor::from(std::span<const std::int32_t> values, const Shape& shape) {
  return copy_of(values, shape);
}
Tensor Tensor::from(std::span<const std::int64_t> values, const Shape& shape) {
  return copy_of(values, shape);
}

void* Tensor::data() const {
  return storage_ == nullptr ? nullptr : storage_->data() + offset_ * size_of(dtype_);
}

View Tensor::view() const {
  View view;
  view.data = data();
  view.dtype = dtype_;
  view.rank = shape_.rank();
  std::int64_t stride = 1;
  for (int i = view.rank - 1; i >= 0; --i) {
    view.dims[static_cast<std::size_t>(i)] = shape_[i];
    view.strides[static_cast<std::size_t>(i)] = stride;
    stride *= shape_[i];
  }
  return view;
}

Tensor Tensor::reshape(const Shape& shape) const {
  if (shape.numel() != numel()) {
    throw ShapeError(format("[reshape] expected {} elements, got shape {}", numel(), to_string(shape)));
  }
  Tensor result = *this;
  result.shape_ = shape;
  return result;
}

Tensor Tensor::narrow(std::int64_t begin, std::int64_t count) const {
  MOE_CHECK_GE(rank(), 1);
  MOE_CHECK_GE(begin, 0);
  MOE_CHECK_GE(count, 0);
  MOE_CHECK_LE(begin + count, dim(0));
  Tensor result = *this;
  const std::int64_t row = dim(0) == 0 ? 0 : numel() / dim(0);
  result.offset_ += begin * row;
  result.shape_.set(0, count);
  return result;
}

Tensor Tensor::window(std::int64_t offset, const Shape& shape) const {
  MOE_CHECK_GE(offset, 0);
  MOE_CHECK_LE(offset + shape.numel(), numel());
  Tensor result = *this;
  result.offset_ += offset;
  result.shape_ = shape;
  return result;
}

Tensor Tensor::clone(MemoryCategory category) const {
  Tensor result = empty(shape_, dtype_, category);
  result.copy_from(*this);
  return result;
}

void Tensor::copy_from(const Tensor& source) const {
  if (source.numel() != numel()) {
    throw ShapeError(format("[copy] expected {}, got {}", describe(*this), describe(source)));
  }
  convert_elements(source.view(), view());
}

void Tensor::fill(double value) const { fill_elements(view(), value); }

Tensor Tensor::to(DType dtype, MemoryCategory category) const {
  if (dtype == dtype_) return *this;
  Tensor result = empty(shape_, dtype, category);
  result.copy_from(*this);
  return result;
}

std::vector<double> Tensor::to_vector() const {
  if (!defined()) throw ShapeError("[to_vector] expected a tensor, got undefined");
  std::vector<double> values(static_cast<std::size_t>(numel()));
  View target = view();
  target.data = values.data();
  target.dtype = DType::F64;
  convert_elements(view(), target);
  return values;
}

double Tensor::item() const {
  if (!defined() || numel() != 1) {
    throw ShapeError(format("[item] expected one element, got {}", describe(*this)));
  }
  return to_vector().front();
}

void Tensor::require_dtype(DType wanted) const {
  if (dtype_ != wanted) {
    throw DTypeError(
        format("[span] expected {}, got {}", to_string(wanted), describe(*this)));
  }
}

std::string describe(const Tensor& tensor) {
  if (!tensor.defined()) return "undefined";
  return format("{} {}", to_string(tensor.shape()), to_string(tensor.dtype()));
}

void require(const char* op, const char* name, const Tensor& tensor,
             std::initializer_list<std::int64_t> dims, DType dtype) {
  bool matches = tensor.defined() && tensor.rank() == static_cast<int>(dims.size());
  int at = 0;
  std::string expected;
  for (const std::int64_t size : dims) {
    matches = matches && (size < 0 || tensor.dim(at) == size);
    expected += (at++ > 0 ? ", " : "") + (size < 0 ? std::string("*") : std::to_string(size));
  }
  if (!matches) {
    throw ShapeError(format("[{}] {}: expected [{}] {}, got {}", op, name, expected,
                            to_string(dtype), describe(tensor)));
  }
  if (tensor.dtype() != dtype) {
    throw DTypeError(format("[{}] {}: expected [{}] {}, got {}", op, name, expected,
                            to_string(dtype), describe(tensor)));
  }
}

}  // namespace moe
