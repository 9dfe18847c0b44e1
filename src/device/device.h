/// Where memory lives and work runs.
#pragma once

#include <string>

namespace moe {

enum class DeviceType { Cpu, Cuda };

struct Device {
  DeviceType type = DeviceType::Cpu;
  int index = 0;
  friend bool operator==(const Device&, const Device&) = default;
};

/// "cpu", "cuda:0".
std::string to_string(const Device& device);

}  // namespace moe
