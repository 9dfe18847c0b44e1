/// Where tensors come from: a checkpoint, a Hugging Face folder, memory, or a stage that computes
/// its tensors from another source. Reads go slice by slice, so a source larger than memory
/// streams.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tensor/dtype.h"
#include "tensor/shape.h"
#include "tensor/slice.h"
#include "tensor/view.h"

namespace moe::checkpoint {

/// What a source says of one tensor without reading it.
struct TensorInfo {
  Shape shape;                                    ///< global
  DType dtype = DType::F32;                       ///< as stored; reads may convert
  std::map<std::string, std::string> attributes;  ///< for example {"kind", "expert"}
  friend bool operator==(const TensorInfo&, const TensorInfo&) = default;
};

/// @invariant names, shapes and dtypes never change while the source lives
/// @thread const members may be called from several threads at once
class TensorSource {
 public:
  virtual ~TensorSource() = default;

  /// How messages name this source, usually a path.
  virtual std::string description() const = 0;
  /// Sorted, unique.
  virtual const std::vector<std::string>& names() const = 0;
  /// Null if there is no such tensor.
  virtual const TensorInfo* find(const std::string& name) const = 0;
  /// How messages name an element: the file that holds it, the tensor's name and the index there.
  virtual std::string place_of(const std::string& name, std::int64_t element) const;
  /// A named value that is not a tensor; checkpoints give their states as JSON text.
  virtual std::optional<std::string> metadata(const std::string& key) const;

  bool contains(const std::string& name) const { return find(name) != nullptr; }
  /// @throws CheckpointError naming the source and the nearest name
  const TensorInfo& info(const std::string& name) const;

  /// Fills `out` with the elements of `slice`, in the order of its box, converted to out's dtype.
  /// @shape slice.global equals the tensor's shape; out contiguous host memory, slice.numel()
  /// elements
  /// @throws CheckpointError (absent, unreadable), ShapeError, DTypeError (only floats convert)
  void read(const std::string& name, const Slice& slice, const View& out) const;
  /// The whole tensor.
  void read(const std::string& name, const View& out) const;

 protected:
  /// What implementations provide: arguments are already checked, slice.numel() > 0.
  virtual void read_slice(const std::string& name, const TensorInfo& info, const Slice& slice,
                          const View& out) const = 0;
};

/// A tensor that a loader needs.
struct ExpectedTensor {
  std::string name;
  Shape shape;
  std::optional<DType> dtype;  ///< none: any floating type will do
};

/// Strict loading: the source holds the expected tensors, with these shapes and dtypes, and no
/// others.
/// @throws CheckpointError listing every missing, unexpected, reshaped or retyped tensor by name
void require_tensors(const TensorSource& source, std::span<const ExpectedTensor> expected);

/// How a source is read for writing.
struct WindowOptions {
  std::optional<DType> dtype;  ///< floating tensors become this; none: as they are
  bool require_finite = false;
};

/// The dtype a tensor is written in.
DType written_dtype(const TensorInfo& info, const WindowOptions& options);

/// Fills `out`, of the written dtype, with the elements of `slice`.
/// @throws as TensorSource::read; with `require_finite` CheckpointError naming tensor, file and element
///   of a value that is NaN or infinite, in the source or after the conversion
void read_window(const TensorSource& source, const std::string& name, const Slice& slice,
                 const View& out, const WindowOptions& options);

/// @throws CheckpointError as read_window, for values that were read already. @shape slice.numel()
void require_finite(const TensorSource& source, const std::string& name, const Slice& slice,
                    const View& values);

/// Contiguous host memory as a view of one dim.
View flat_view(void* data, DType dtype, std::int64_t count);
/// The same of memory that is only read from.
View flat_view(const void* data, DType dtype, std::int64_t count);
/// `count` elements of a contiguous view, from element `begin`.
View flat_part(const View& view, std::int64_t begin, std::int64_t count);
constexpr bool is_floating(DType dtype) {
  return dtype == DType::F32 || dtype == DType::BF16 || dtype == DType::F64 || dtype == DType::F16;
}
/// The inverse of to_string(DType).
std::optional<DType> dtype_from(std::string_view name);

}  // namespace moe::checkpoint
