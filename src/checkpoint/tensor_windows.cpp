#include "checkpoint/tensor_source.h"

#include "base/error.h"
#include "base/format.h"
#include "tensor/finite.h"

namespace moe::checkpoint {
namespace {

/// The value as the source holds it: converting may be what made it infinite.
double stored_value(const TensorSource& source, const std::string& name, const Slice& slice,
                    std::int64_t at) {
  Slice one = slice;
  one.flat_begin = slice.flat_begin + at;
  one.flat_end = one.flat_begin + 1;
  double value = 0;
  source.read(name, one, flat_view(&value, DType::F64, 1));
  return value;
}

}  // namespace

DType written_dtype(const TensorInfo& info, const WindowOptions& options) {
  return options.dtype && is_floating(info.dtype) ? *options.dtype : info.dtype;
}

void require_finite(const TensorSource& source, const std::string& name, const Slice& slice,
                    const View& values) {
  const NonFinite found = find_non_finite(values);
  if (found.count == 0) return;
  const std::int64_t element = global_index(slice, slice.flat_begin + found.first);
  throw CheckpointError(
      format("{}: expected finite weights, found {} ({} of the {} elements around it are NaN or "
             "infinite{}). HINT: a model with such weights computes nothing; take an earlier checkpoint",
             source.place_of(name, element), stored_value(source, name, slice, found.first),
             found.count, values.numel(),
             values.dtype == source.info(name).dtype
                 ? ""
                 : format(", as {}", to_string(values.dtype))));
}

void read_window(const TensorSource& source, const std::string& name, const Slice& slice,
                 const View& out, const WindowOptions& options) {
  source.read(name, slice, out);
  if (options.require_finite) require_finite(source, name, slice, out);
}

}  // namespace moe::checkpoint
