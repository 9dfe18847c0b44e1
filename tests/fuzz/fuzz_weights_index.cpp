// model.safetensors.index.json from a stranger: refused with CheckpointError, or it names plain files
// and survives being written again.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "interop/contained_file.h"
#include "interop/weights_index.h"

namespace {

using moe::interop::WeightsIndex;

void check(const WeightsIndex& index) {
  for (const auto& [tensor, file] : index.file_of_tensor) {
    if (!moe::interop::is_plain_name(file)) std::abort();
  }
  const WeightsIndex again =
      moe::interop::parse_weights_index(moe::interop::weights_index_text(index), "again");
  if (again.file_of_tensor != index.file_of_tensor) std::abort();
  if (index.total_size && again.total_size != index.total_size) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    check(moe::interop::parse_weights_index({reinterpret_cast<const char*>(data), size}, "input"));
  } catch (const moe::CheckpointError&) {
    // The only way to refuse.
  }
  return 0;
}
