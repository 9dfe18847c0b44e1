#include "kernels/common/binding.h"

#include "base/error.h"
#include "base/format.h"

namespace moe::kernels {

void throw_unbound(const char* kernel, const Stream& stream) {
  throw DeviceError(format("[{}] no version of this kernel for device {} in this build", kernel,
                           to_string(stream.device())));
}

}  // namespace moe::kernels
