/// A typed array on a device with shared storage. No gradients here (see autograd/).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "device/allocator.h"
#include "device/context.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"
#include "tensor/view.h"

namespace moe {

/// One allocation, returned to its allocator when the last Tensor on it goes.
class Storage {
 public:
  Storage(Allocator& allocator, std::int64_t bytes, MemoryCategory category);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  std::byte* data() const { return data_; }
  std::int64_t bytes() const { return bytes_; }

 private:
  Allocator& allocator_;
  std::byte* data_;
  std::int64_t bytes_;
  MemoryCategory category_;
};

/// @invariant always contiguous, row-major; `narrow` and `reshape` share storage
/// @thread the allocator's context must outlive the tensor
class Tensor {
 public:
  /// Undefined: no storage, rank 0.
  Tensor() = default;

  /// Uninitialised memory from the current context. @throws OutOfMemory
  static Tensor empty(const Shape& shape, DType dtype,
                      MemoryCategory category = MemoryCategory::Activations);
  static Tensor zeros(const Shape& shape, DType dtype,
                      MemoryCategory category = MemoryCategory::Activations);
  /// Every element set to `value`.
  static Tensor full(const Shape& shape, DType dtype, double value,
                     MemoryCategory category = MemoryCategory::Activations);
  /// A copy of host values, converted to `dtype`.
  static Tensor from(std::span<const double> values, const Shape& shape, DType dtype);
  static Tensor from(std::span<const float> values, const Shape& shape);
  static Tensor from(std::span<const std::int32_t> values, const Shape& shape);
  static Tensor from(std::span<const std::int64_t> values, const Shape& shape);

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  std::int64_t dim(int i) const { return shape_[i]; }
  int rank() const { return shape_.rank(); }
  std::int64_t numel() const { return shape_.numel(); }
  std::int64_t bytes() const { return numel() * size_of(dtype_); }
  DType dtype() const { return dtype_; }

  View view() const;
  void* data() const;
  /// The elements. @throws DTypeError if T is not the element type
  template <class T>
  std::span<T> span() const {
    require_dtype(dtype_of<T>);
    return {static_cast<T*>(data()), static_cast<std::size_t>(numel())};
  }

  /// Same elements, other shape. @throws ShapeError if the counts differ
  Tensor reshape(const Shape& shape) const;
  /// Rows [begin, begin + count) of dim 0; shares storage.
  Tensor narrow(std::int64_t begin, std::int64_t count) const;
  /// A window of `shape` starting `offset` elements into this one; shares storage.
  Tensor window(std::int64_t offset, const Shape& shape) const;
  Tensor clone(MemoryCategory category = MemoryCategory::Activations) const;
  void copy_from(const Tensor& source) const;  ///< same shape; converts dtype
  void fill(double value) const;
  Tensor to(DType dtype, MemoryCategory category = MemoryCategory::Activations) const;
  /// All elements as f64, in order.
  std::vector<double> to_vector() const;
  /// The only element. @throws ShapeError unless numel() == 1
  double item() const;

  /// True if no other Tensor shares the storage: it may be overwritten.
  bool unique() const { return storage_.use_count() == 1; }
  const std::shared_ptr<Storage>& storage() const { return storage_; }

 private:
  void require_dtype(DType wanted) const;

  std::shared_ptr<Storage> storage_;
  std::int64_t offset_ = 0;  // elements
  Shape shape_;
  DType dtype_ = DType::F32;
};

/// "[512, 2048] f32", for messages.
std::string describe(const Tensor& tensor);

/// @throws ShapeError `[op] name: expected ..., got ...` unless rank, dims (-1 = any) and dtype match
void require(const char* op, const char* name, const Tensor& tensor,
             std::initializer_list<std::int64_t> dims, DType dtype);

}  // namespace moe
