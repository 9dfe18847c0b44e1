// Not a check but a measurement, run by hand:
//   checkpoint_test --gtest_also_run_disabled_tests --gtest_filter='Speed.*'
// MOE_SPEED_FOLDER names the disk (default: the temporary folder), MOE_SPEED_MB the size (default
// 1024).
#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

#include "base/clock.h"
#include "base/format.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/inspect.h"
#include "checkpoint/support.h"

namespace moe::checkpoint {
namespace {

std::string text_of(const char* variable, const std::string& otherwise) {
  const char* value = std::getenv(variable);
  return value != nullptr ? value : otherwise;
}

/// Wall and processor time: on a busy machine only the second says anything.
class Timer {
 public:
  void tell(const char* what, double bytes) {
    const double wall = watch_.seconds();
    const double busy = static_cast<double>(std::clock() - start_) / CLOCKS_PER_SEC;
    std::printf("%-20s %6.2f s %6.2f GB/s   processor %6.2f s %6.2f GB/s\n", what, wall,
                bytes * 1e-9 / wall, busy, bytes * 1e-9 / busy);
    watch_.restart();
    start_ = std::clock();
  }

 private:
  Stopwatch watch_;
  std::clock_t start_ = std::clock();
};

TEST(Speed, DISABLED_SaveVerifyLoad) {
  const Path folder = Path(text_of("MOE_SPEED_FOLDER", ::testing::TempDir())) / "moe-speed";
  const std::int64_t megabytes = std::stoll(text_of("MOE_SPEED_MB", "1024"));
  std::filesystem::remove_all(folder);
  constexpr std::int64_t kElements = 4 << 20;  // 16 MiB a tensor
  std::vector<std::vector<float>> memory;
  State state;
  for (std::int64_t i = 0; i < megabytes / 16; ++i) {
    memory.emplace_back(static_cast<std::size_t>(kElements));
    for (std::size_t j = 0; j < memory.back().size(); ++j) {
      memory.back()[j] = static_cast<float>(j * 2654435761U + static_cast<std::size_t>(i));
    }
    state.tensors.push_back({format("layers.{}.w", i), whole(Shape{4, 1024, 1024}),
                             flat_view(memory.back().data(), DType::F32, kElements)});
  }
  const double bytes = static_cast<double>(megabytes) * 1048576;
  const auto group = comm::make_self_group();
  Timer timer;
  Snapshot snapshot = take(state, Staging::Copy);
  timer.tell("take (copy)", bytes);
  for (int round = 0; round < 2; ++round) {
    state.header.step = round;
    write(take(state, Staging::Borrow), {.folder = folder}, *group);
    timer.tell("write (with fsync)", bytes);
  }
  const auto checkpoint = open_checkpoint(folder / "step_00000001");
  timer.tell("open and verify", bytes);
  for (std::size_t i = 0; i < state.tensors.size(); ++i) {
    checkpoint->read(state.tensors[i].name, state.tensors[i].data);
  }
  timer.tell("load", bytes);
  verify_contents(*checkpoint);
  timer.tell("verify contents", bytes);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace moe::checkpoint
