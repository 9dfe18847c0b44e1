#include "metrics/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "base/format.h"

namespace moe::metrics {
namespace {

Terminal inspect(int descriptor) {
  Terminal terminal;
  terminal.present = ::isatty(descriptor) == 1;
  winsize size{};
  if (terminal.present && ::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    terminal.columns = size.ws_col;
  }
  return terminal;
}

bool under_a_launcher() {
  return std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr || std::getenv("PMIX_RANK") != nullptr;
}

Terminal inspect_parent() {
  std::error_code error;
  const auto target =
      std::filesystem::read_symlink(format("/proc/{}/fd/1", ::getppid()), error).string();
  // Only a screen may be opened: opening a pipe or a file could have effects.
  if (error || (!target.starts_with("/dev/pts/") && !target.starts_with("/dev/tty"))) return {};
  const int descriptor = ::open(target.c_str(), O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0) return {};
  const Terminal terminal = inspect(descriptor);
  ::close(descriptor);
  return terminal;
}

}  // namespace

Terminal standard_output_terminal() {
  const char* kind = std::getenv("TERM");
  if (kind != nullptr && std::string(kind) == "dumb") return {};
  return under_a_launcher() ? inspect_parent() : inspect(STDOUT_FILENO);
}

}  // namespace moe::metrics
