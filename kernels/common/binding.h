/// Run-time choice of a kernel's version; used by the generated binding files only.
#pragma once

#include "device/activity.h"

namespace moe::kernels {

/// @throws DeviceError naming the kernel and the device that has no version of it
[[noreturn]] void throw_unbound(const char* kernel, const Stream& stream);

template <class Args>
using Kernel = void(Stream&, const Args&);

template <class Args>
void bind_cpu(const char* family, const char* name, Stream& stream, const Args& args, Kernel<Args>* avx2,
              Kernel<Args>* avx512, Kernel<Args>* avx512_bf16) {
  if (stream.device().type != DeviceType::Cpu) throw_unbound(name, stream);
  const ActivitySpan span(stream, family, name);
  switch (stream.isa()) {
    case CpuIsa::Avx2: return avx2(stream, args);
    case CpuIsa::Avx512: return avx512(stream, args);
    case CpuIsa::Avx512Bf16: return avx512_bf16(stream, args);
  }
}

}  // namespace moe::kernels
