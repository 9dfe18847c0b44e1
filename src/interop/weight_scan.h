/// The format checks no values; whoever imports weights from elsewhere should.
#pragma once

#include <cstdint>
#include <string>

#include "checkpoint/tensor_source.h"

namespace moe::interop {

/// How many elements of a tensor are NaN or infinite; 0 for integers. Streams in bounded memory.
std::int64_t count_non_finite(const checkpoint::TensorSource& source, const std::string& name);

}  // namespace moe::interop
