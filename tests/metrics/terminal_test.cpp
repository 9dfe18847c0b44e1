#include "metrics/terminal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>

namespace moe::metrics {
namespace {

constexpr int kAbsent = 255;

/// What standard_output_terminal() finds, as an exit code: the columns, or kAbsent.
int found() {
  const Terminal terminal = standard_output_terminal();
  return terminal.present ? terminal.columns : kAbsent;
}

/// Runs `body` in a child process and returns its exit code.
int in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// A screen 77 columns wide.
class Screen {
 public:
  Screen() {
    winsize size{};
    size.ws_col = 77;
    EXPECT_EQ(::openpty(&outer_, &inner_, nullptr, nullptr, &size), 0);
  }
  ~Screen() {
    ::close(outer_);
    ::close(inner_);
  }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
  void become_standard_output() const { ::dup2(inner_, STDOUT_FILENO); }

 private:
  int outer_ = -1;
  int inner_ = -1;
};

void standard_output_to_null() {
  const int null = ::open("/dev/null", O_WRONLY);
  ::dup2(null, STDOUT_FILENO);
}

void set_environment(const char* launcher_size, const char* kind) {
  ::unsetenv("PMIX_RANK");
  ::unsetenv("OMPI_COMM_WORLD_SIZE");
  if (launcher_size != nullptr) ::setenv("OMPI_COMM_WORLD_SIZE", launcher_size, 1);
  ::setenv("TERM", kind, 1);
}

TEST(Terminal, AScreenIsSeenWithItsWidth) {
  const Screen screen;
  EXPECT_EQ(in_child([&] {
              set_environment(nullptr, "xterm");
              screen.become_standard_output();
              return found();
            }),
            77);
}

TEST(Terminal, AFileOrADumbTerminalIsNone) {
  const Screen screen;
  EXPECT_EQ(in_child([] {
              set_environment(nullptr, "xterm");
              standard_output_to_null();
              return found();
            }),
            kAbsent);
  EXPECT_EQ(in_child([&] {
              set_environment(nullptr, "dumb");
              screen.become_standard_output();
              return found();
            }),
            kAbsent);
}

TEST(Terminal, UnderALauncherTheLauncherDecides) {
  const Screen screen;
  // The launcher writes to the screen, the rank to a pipe or the like.
  EXPECT_EQ(in_child([&] {
              set_environment("2", "xterm");
              screen.become_standard_output();
              return in_child([] {
                standard_output_to_null();
                return found();
              });
            }),
            77);
  // The launcher writes to a file, the rank to a pseudo-terminal that the launcher made.
  EXPECT_EQ(in_child([&] {
              set_environment("2", "xterm");
              standard_output_to_null();
              return in_child([&] {
                screen.become_standard_output();
                return found();
              });
            }),
            kAbsent);
}

}  // namespace
}  // namespace moe::metrics
