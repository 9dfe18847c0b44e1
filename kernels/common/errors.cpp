#include "kernels/common/errors.h"

#include "base/error.h"
#include "base/format.h"

namespace moe::kernels {

void throw_dtype(const char* kernel, const char* argument, DType dtype) {
  throw DTypeError(format("[{}] {}: dtype {} is not supported", kernel, argument, to_string(dtype)));
}

void throw_shape(const char* kernel, const char* expectation, const View& got) {
  throw ShapeError(format("[{}] expected {}, got {} {}", kernel, expectation,
                          format_shape({got.dims.data(), static_cast<std::size_t>(got.rank)}),
                          to_string(got.dtype)));
}

}  // namespace moe::kernels
