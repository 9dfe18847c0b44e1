#include "growth/grown_source.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

#include "base/error.h"
#include "growth/slices.h"

namespace moe::growth {
namespace {

constexpr std::int64_t kRows = 1500;
constexpr std::int64_t kColumns = 1001;  // 1.5 million elements: several threads' worth, and no even division

/// Element i is i; reads are counted, and one that covers `bad` fails.
class Counting : public TensorRecipe {
 public:
  explicit Counting(std::int64_t bad = -1) : bad_(bad) {}
  void read(const checkpoint::TensorSource&, const checkpoint::TensorInfo&, const Slice& slice,
            const View& out) const override {
    ++reads;
    for_each_run(slice, [&](std::int64_t global, std::int64_t box, std::int64_t count) {
      for (std::int64_t i = 0; i < count; ++i) {
        if (global + i == bad_) throw CheckpointError("element " + std::to_string(bad_));
        out.as<float>()[box - slice.flat_begin + i] = static_cast<float>(global + i);
      }
    });
  }
  mutable std::atomic<int> reads = 0;

 private:
  std::int64_t bad_;
};

class GrownSourceTest : public ::testing::Test {
 protected:
  void grow(std::int64_t bad = -1) {
    recipe_ = std::make_shared<Counting>(bad);
    const auto nothing = std::make_shared<GrownSource>("nothing", nullptr);
    source_ = std::make_shared<GrownSource>("grown", nothing);
    source_->add("w", {.shape = {kRows, kColumns}, .dtype = DType::F32, .attributes = {}}, recipe_);
  }

  static Slice slice(std::int64_t begin, std::int64_t end) {
    Slice all;
    all.global = {kRows, kColumns};
    all.size = all.global;
    all.flat_begin = begin;
    all.flat_end = end;
    return all;
  }

  std::vector<float> read(std::int64_t begin, std::int64_t end) const {
    std::vector<float> values(static_cast<std::size_t>(end - begin), -1.0F);
    source_->read("w", slice(begin, end), checkpoint::flat_view(values.data(), DType::F32, end - begin));
    return values;
  }

  std::shared_ptr<Counting> recipe_;
  std::shared_ptr<GrownSource> source_;
};

TEST_F(GrownSourceTest, EveryElementOfALargeSliceIsReadOnce) {
  grow();
  for (const std::int64_t begin : {std::int64_t{0}, std::int64_t{7}}) {
    const std::vector<float> values = read(begin, kRows * kColumns - begin);
    for (std::size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(values[i], static_cast<float>(begin + static_cast<std::int64_t>(i))) << i;
    }
  }
}

TEST_F(GrownSourceTest, ASmallSliceIsOneRead) {
  grow();
  read(3, 1000);
  EXPECT_EQ(recipe_->reads, 1);
}

TEST_F(GrownSourceTest, AFailureInAnyPartIsThrownOnceAllHaveEnded) {
  for (const std::int64_t bad : {std::int64_t{0}, kRows * kColumns / 2, kRows * kColumns - 1}) {
    grow(bad);
    EXPECT_THROW(read(0, kRows * kColumns), CheckpointError) << bad;
    EXPECT_EQ(read(1, 5).front(), 1.0F) << "the source is as it was";
  }
}

TEST_F(GrownSourceTest, SourcesAboveSourcesDoNotPartAgain) {
  grow();
  const auto above = std::make_shared<GrownSource>("above", source_);
  above->add("w", source_->info("w"), same_as("w"));
  std::vector<float> values(static_cast<std::size_t>(kRows * kColumns));
  above->read("w", slice(0, kRows * kColumns), checkpoint::flat_view(values.data(), DType::F32, kRows * kColumns));
  EXPECT_EQ(values.back(), static_cast<float>(kRows * kColumns - 1));
  EXPECT_LE(recipe_->reads, 8) << "as many as one source's threads";
}

}  // namespace
}  // namespace moe::growth
