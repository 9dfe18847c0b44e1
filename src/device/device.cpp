#include "device/device.h"

namespace moe {

std::string to_string(const Device& device) {
  return device.type == DeviceType::Cpu ? "cpu" : "cuda:" + std::to_string(device.index);
}

}  // namespace moe
