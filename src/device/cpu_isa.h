/// CPU instruction sets the kernels are compiled for, chosen when a program starts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace moe {

/// Ordered: each level includes the ones before it.
enum class CpuIsa { Avx2, Avx512, Avx512Bf16 };

/// "avx2", "avx512", "avx512_bf16".
std::string_view to_string(CpuIsa isa);
/// @throws ConfigError with the allowed names
CpuIsa parse_cpu_isa(std::string_view name);

/// The best level this CPU and operating system support.
/// @throws DeviceError when not even AVX2 with FMA is there
CpuIsa detect_cpu_isa();

/// The level to run: `MOE_CPU_ISA` if set, else the best.
/// @throws ConfigError if MOE_CPU_ISA asks for more than the CPU has
CpuIsa choose_cpu_isa();

/// Every level this CPU can run, lowest first; tests iterate it.
std::vector<CpuIsa> available_cpu_isas();

/// Brand string, for reports.
std::string cpu_model_name();

}  // namespace moe
