#include "comm/launcher.h"

#include <cstdlib>

namespace moe::comm {
namespace {

int number(const char* variable, int otherwise) {
  const char* text = std::getenv(variable);
  if (text == nullptr || *text == '\0') return otherwise;
  return std::atoi(text);
}

}  // namespace

LaunchedAs launched_as() {
  if (std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr) {
    return {number("OMPI_COMM_WORLD_RANK", 0), number("OMPI_COMM_WORLD_SIZE", 1)};
  }
  if (std::getenv("PMIX_RANK") != nullptr && std::getenv("SLURM_NTASKS") != nullptr) {
    return {number("PMIX_RANK", 0), number("SLURM_NTASKS", 1)};
  }
  return {};
}

}  // namespace moe::comm
