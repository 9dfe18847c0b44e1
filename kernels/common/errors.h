/// Errors raised from kernels. Out of line, so that nothing heavy is inlined into ISA-specific code.
#pragma once

#include "tensor/view.h"

namespace moe::kernels {

/// @throws DTypeError `[kernel] argument: dtype f64 is not supported here`
[[noreturn]] void throw_dtype(const char* kernel, const char* argument, DType dtype);
/// @throws ShapeError `[kernel] condition (values)`
[[noreturn]] void throw_shape(const char* kernel, const char* expectation, const View& got);

}  // namespace moe::kernels
