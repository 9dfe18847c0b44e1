// GoogleTest's main for programs under mpirun. All ranks run the same tests in step. Rank 0 prints;
// after each test it also prints what failed on other ranks, each message once. The first failed
// test ends the program: the ranks may be out of step after it.
#include "support/mpi_main.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/format.h"
#include "comm/mpi/mpi_world.h"

namespace moe::testing {
namespace {

comm::World* current_world = nullptr;

View bytes_view(void* data, std::size_t size) {
  View view;
  view.data = data;
  view.dtype = DType::U8;
  view.rank = 1;
  view.dims[0] = static_cast<std::int64_t>(size);
  view.strides[0] = 1;
  return view;
}

/// The texts of all ranks, on every rank.
std::vector<std::string> gather_texts(comm::Group& group, const std::string& text) {
  const auto ranks = static_cast<std::size_t>(group.size());
  std::vector<std::uint64_t> sizes(ranks);
  std::uint64_t size = text.size();
  group.all_gather(bytes_view(&size, sizeof size), bytes_view(sizes.data(), ranks * sizeof size))
      .wait();
  std::size_t longest = 0;
  for (const std::uint64_t each : sizes)
    longest = std::max(longest, static_cast<std::size_t>(each));
  std::string padded = text;
  padded.resize(longest);
  std::string all(longest * ranks, '\0');
  group.all_gather(bytes_view(padded.data(), longest), bytes_view(all.data(), all.size())).wait();
  std::vector<std::string> texts;
  for (std::size_t p = 0; p < ranks; ++p) {
    texts.push_back(all.substr(p * longest, static_cast<std::size_t>(sizes[p])));
  }
  return texts;
}

class TellOnce : public ::testing::EmptyTestEventListener {
 public:
  explicit TellOnce(comm::World& world) : report_(world.group().split(0, "test report")) {}

  bool failed() const { return failed_; }

 private:
  void OnTestPartResult(const ::testing::TestPartResult& result) override {
    if (!result.failed()) return;
    failures_ += format("{}:{}\n{}\n", result.file_name() ? result.file_name() : "?",
                        result.line_number(), result.message());
  }

  void OnTestEnd(const ::testing::TestInfo& info) override {
    const std::vector<std::string> texts = gather_texts(*report_, failures_);
    failures_.clear();
    std::set<std::string> told{texts[0], ""};
    for (std::size_t p = 0; p < texts.size(); ++p) {
      failed_ = failed_ || !texts[p].empty();
      if (report_->rank() != 0 || !told.insert(texts[p]).second) continue;
      std::printf("[rank %zu] %s.%s\n%s", p, info.test_suite_name(), info.name(), texts[p].c_str());
    }
    if (!failed_) return;
    if (report_->rank() == 0) {
      std::printf("[  FAILED  ] %s.%s on some rank; the tests after it did not run\n",
                  info.test_suite_name(), info.name());
    }
    std::fflush(stdout);
    report_->barrier().wait();
    std::_Exit(1);
  }

  std::unique_ptr<comm::Group> report_;
  std::string failures_;
  bool failed_ = false;
};

int run_all(comm::World& world) {
  auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
  if (world.rank() != 0) delete listeners.Release(listeners.default_result_printer());
  auto* tell = new TellOnce(world);  // owned by GoogleTest while it listens
  listeners.Append(tell);
  const int code = RUN_ALL_TESTS();
  delete listeners.Release(tell);  // its group must go before the world
  return code;
}

}  // namespace

comm::World& mpi_world() {
  return *current_world;
}

int mpi_ranks() {
  const char* text = std::getenv("OMPI_COMM_WORLD_SIZE");
  if (text == nullptr) text = std::getenv("SLURM_NTASKS");
  return text == nullptr ? 1 : std::atoi(text);
}

}  // namespace moe::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (::testing::GTEST_FLAG(list_tests)) return RUN_ALL_TESTS();
  moe::comm::MpiOptions options;
  options.timeout_seconds = 60;
  options.max_message_bytes = 100'000;  // so that tests cross it
  moe::comm::MpiWorld world(options);
  moe::testing::current_world = &world;
  return moe::testing::run_all(world);
}
