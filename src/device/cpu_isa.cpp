#include "device/cpu_isa.h"

#include <cstdlib>
#include <fstream>

#include "base/error.h"
#include "base/format.h"

namespace moe {

std::string_view to_string(CpuIsa isa) {
  switch (isa) {
    case CpuIsa::Avx2: return "avx2";
    case CpuIsa::Avx512: return "avx512";
    case CpuIsa::Avx512Bf16: return "avx512_bf16";
  }
  return "unknown";
}

CpuIsa parse_cpu_isa(std::string_view name) {
  for (const CpuIsa isa : {CpuIsa::Avx2, CpuIsa::Avx512, CpuIsa::Avx512Bf16}) {
    if (name == to_string(isa)) return isa;
  }
  throw ConfigError(format(
      "MOE_CPU_ISA: expected one of avx2, avx512, avx512_bf16, got '{}'. HINT: unset it to let the "
      "CPU decide",
      name));
}

CpuIsa detect_cpu_isa() {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
      !__builtin_cpu_supports("bmi2")) {
    throw DeviceError(format(
        "this CPU ({}) lacks AVX2, FMA or BMI2, which moe-train needs. HINT: x86-64-v3 or newer",
        cpu_model_name()));
  }
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  if (!avx512) return CpuIsa::Avx2;
  return __builtin_cpu_supports("avx512bf16") ? CpuIsa::Avx512Bf16 : CpuIsa::Avx512;
}

CpuIsa choose_cpu_isa() {
  const CpuIsa best = detect_cpu_isa();
  const char* wanted = std::getenv("MOE_CPU_ISA");
  if (wanted == nullptr || *wanted == '\0') return best;
  const CpuIsa isa = parse_cpu_isa(wanted);
  if (isa > best) {
    throw ConfigError(format("MOE_CPU_ISA: '{}' is not supported by this CPU ({}); the best is '{}'",
                             wanted, cpu_model_name(), to_string(best)));
  }
  return isa;
}

std::vector<CpuIsa> available_cpu_isas() {
  std::vector<CpuIsa> isas;
  const CpuIsa best = detect_cpu_isa();
  for (const CpuIsa isa : {CpuIsa::Avx2, CpuIsa::Avx512, CpuIsa::Avx512Bf16}) {
    if (isa <= best) isas.push_back(isa);
  }
  return isas;
}

std::string cpu_model_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.rfind("model name", 0) != 0) continue;
    const std::size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown CPU";
}

}  // namespace moe
