/// Weights out of nothing and a plain copy to set beside, for benchmarks of what reads and writes models.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/format.h"
#include "base/random.h"
#include "run/open_model.h"
#include "run/program.h"

namespace moe::bench {

inline constexpr std::size_t kBlock = std::size_t{8} << 20;

/// Weights of any model, made when they are read: bf16 that looks like weights.
class MadeUpWeights : public checkpoint::TensorSource {
 public:
  explicit MadeUpWeights(const ModelConfig& config)
      : shapes_(run::shapes_of(config, DType::BF16, "made up")) {}
  std::string description() const override { return "made up"; }
  const std::vector<std::string>& names() const override { return shapes_->names(); }
  const checkpoint::TensorInfo* find(const std::string& name) const override {
    return shapes_->find(name);
  }

 protected:
  void read_slice(const std::string& name, const checkpoint::TensorInfo&, const Slice& slice,
                  const View& out) const override {
    std::uint64_t state = hash_name(name) + static_cast<std::uint64_t>(slice.flat_begin);
    auto* values = out.as<std::uint16_t>();
    for (std::int64_t i = 0; i < out.numel(); ++i) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      const auto sign = static_cast<std::uint16_t>(state >> 63 << 15);
      values[i] = static_cast<std::uint16_t>(sign | (0x3c00U + (state >> 40 & 0x1ffU)));
    }
  }

 private:
  std::shared_ptr<const checkpoint::TensorSource> shapes_;
};


/// Read, write, fsync, of every file of a folder; nothing else.
inline std::int64_t copy_plainly(const Path& from, const Path& to) {
  std::vector<char> block(kBlock);
  std::int64_t bytes = 0;
  std::filesystem::create_directory(to);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(from)) {
    if (!entry.is_regular_file()) continue;
    const int in = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    const Path target = to / format("{}", bytes);
    const int out = ::open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    for (ssize_t got = 0; (got = ::read(in, block.data(), block.size())) > 0; bytes += got) {
      if (::write(out, block.data(), static_cast<std::size_t>(got)) != got) {
        throw DataError(target.string() + ": cannot write");
      }
    }
    if (in < 0 || out < 0 || ::fsync(out) != 0) throw DataError(target.string() + ": cannot copy");
    ::close(in);
    ::close(out);
  }
  return bytes;
}

inline double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

/// Of programs that take [MEGABYTES] [ROUNDS] [FOLDER]; the exit code.
inline int measure_models(int argc, char** argv, int (*measure)(std::int64_t megabytes, int rounds, const Path& folder)) {
  const std::int64_t megabytes = argc > 1 ? std::atoll(argv[1]) : 2000;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 3;
  const Path folder = argc > 3 ? Path(argv[3]) : std::filesystem::temp_directory_path();
  return run::guarded([&] { return measure(megabytes, std::max(1, rounds), folder); });
}

}  // namespace moe::bench
