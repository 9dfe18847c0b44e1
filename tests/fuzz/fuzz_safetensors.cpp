// A file of weights from a stranger: any bytes are refused with CheckpointError or give tensors that can
// be read to their last element.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <vector>

#include "base/error.h"
#include "interop/contained_file.h"
#include "interop/safetensors.h"

namespace {

using moe::checkpoint::TensorInfo;
using moe::interop::ContainedFile;
using moe::interop::SafetensorsFile;

int file_in_memory(const std::uint8_t* data, std::size_t size) {
  const int descriptor = ::memfd_create("fuzz", MFD_CLOEXEC);
  for (std::size_t done = 0; done < size;) {
    const ssize_t written = ::write(descriptor, data + done, size - done);
    if (written <= 0) std::abort();
    done += static_cast<std::size_t>(written);
  }
  return descriptor;
}

/// All tensors cover the data, so that reading them touches every byte behind the header.
void read_all(const SafetensorsFile& file, std::size_t size) {
  std::size_t bytes = 0;
  for (const std::string& name : file.names()) {
    const TensorInfo& info = file.info(name);
    std::vector<std::byte> values(
        static_cast<std::size_t>(info.shape.numel() * moe::size_of(info.dtype)));
    bytes += values.size();
    if (bytes > size) std::abort();
    file.read(name, moe::checkpoint::flat_view(values.data(), info.dtype, info.shape.numel()));
    (void)file.place_of(name, 0);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const SafetensorsFile file(
        std::make_shared<const ContainedFile>("input", file_in_memory(data, size)));
    read_all(file, size);
  } catch (const moe::CheckpointError&) {
    // The only way to refuse.
  }
  return 0;
}
