#include "run/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "base/error.h"

namespace moe::run {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

struct Row {
  const char* name;
  std::vector<float> logits;
  SamplingOptions options;
  std::set<std::int32_t> expected;  ///< exactly the tokens that are drawn over many positions
};

void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

class Sampler : public ::testing::TestWithParam<Row> {};

TEST_P(Sampler, DrawsExactlyTheAllowedTokens) {
  std::set<std::int32_t> drawn;
  for (std::int64_t position = 0; position < 400; ++position) {
    drawn.insert(sample(GetParam().logits, GetParam().options, position));
  }
  EXPECT_EQ(drawn, GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, Sampler,
    ::testing::Values(
        Row{"OneToken", {-3.0f}, {}, {0}}, Row{"Greedy", {0, 2, 1}, {.temperature = 0}, {1}},
        Row{"GreedyTieGoesToTheLowerId", {0, 2, 2}, {.temperature = 0}, {1}},
        Row{"GreedyIgnoresTopP", {0, 1, 2}, {.temperature = 0, .top_p = 1e-9}, {2}},
        Row{"TopOne", {0, 2, 1}, {.top_k = 1}, {1}},
        Row{"TopOneTieGoesToTheLowerId", {5, 5, 5}, {.top_k = 1}, {0}},
        Row{"TopTwo", {1, 0, 1, 0}, {.top_k = 2}, {0, 2}},
        Row{"TopKBeyondTheVocabulary", {0, 0}, {.top_k = 99}, {0, 1}},
        Row{"TopPOfNothingKeepsTheBest", {0, 1, 0}, {.top_p = 0}, {1}},
        Row{"TinyTopP", {0, 1, 0}, {.top_p = 1e-12}, {1}},
        Row{"TopPKeepsTheFewestThatReachIt", {0, 0, 0, 0}, {.top_p = 0.5}, {0, 1}},
        Row{"TopPJustAbove", {0, 0, 0, 0}, {.top_p = 0.51}, {0, 1, 2}},
        Row{"TopPAfterTopK", {0, 0, 0, 0}, {.top_k = 2, .top_p = 0.5}, {0}},
        Row{"AllEqual", {7, 7, 7}, {}, {0, 1, 2}},
        Row{"MinusInfinityIsNeverDrawn", {-kInf, 0, -kInf, 0}, {}, {1, 3}},
        Row{"MinusInfinityInsideTopK", {-kInf, 0, -kInf}, {.top_k = 3}, {1}},
        Row{"HugeLogitsDoNotOverflow", {3e38f, -3e38f, 3e38f}, {}, {0, 2}},
        Row{"VeryColdIsGreedy", {0, 1, 0.5}, {.temperature = 1e-6}, {1}},
        Row{"VeryHotIsUniform", {0, 9, -9}, {.temperature = 1e9}, {0, 1, 2}}),
    [](const auto& row) { return row.param.name; });

TEST(SamplerErrors, RefusesWhatIsNoDistribution) {
  for (const double temperature : {0.0, 1.0}) {
    const SamplingOptions options{.temperature = temperature};
    for (const std::vector<float>& logits :
         {std::vector<float>{0, kNaN}, {kNaN}, {0, kInf}, {-kInf, -kInf}, {}}) {
      EXPECT_THROW(sample(logits, options, 0), NumericalError);
    }
  }
}

TEST(SamplerErrors, NamesTheLogit) {
  try {
    sample(std::vector<float>{0, 0, kNaN}, {}, 0);
    FAIL();
  } catch (const NumericalError& error) {
    EXPECT_NE(std::string(error.what()).find("logit 2"), std::string::npos) << error.what();
  }
}

TEST(SamplerDistribution, FollowsTheSoftmaxAtAnyTemperature) {
  const std::vector<float> logits{0.0f, 1.0f, -1.0f, 2.0f};
  constexpr int kDraws = 20000;
  for (const double temperature : {0.5, 1.0, 2.0}) {
    std::vector<double> wanted;
    double total = 0;
    for (const float logit : logits) {
      wanted.push_back(std::exp(static_cast<double>(logit) / temperature));
      total += wanted.back();
    }
    std::vector<int> counts(logits.size());
    for (int i = 0; i < kDraws; ++i) {
      ++counts[static_cast<std::size_t>(sample(logits, {.temperature = temperature, .seed = 9}, i))];
    }
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const double p = wanted[i] / total;
      // Five standard deviations of a binomial share: 6e-7 of honest samplers fail.
      const double bound = 5 * std::sqrt(p * (1 - p) / kDraws);
      EXPECT_NEAR(counts[i] / double(kDraws), p, bound) << i << " at " << temperature;
    }
  }
}

TEST(SamplerDistribution, IsAFunctionOfSeedAndPosition) {
  const std::vector<float> logits(50, 0.0f);
  int same_seed = 0;
  int other_seed = 0;
  for (std::int64_t i = 0; i < 200; ++i) {
    const std::int32_t drawn = sample(logits, {.seed = 1}, i);
    same_seed += drawn == sample(logits, {.seed = 1}, i) ? 1 : 0;
    other_seed += drawn == sample(logits, {.seed = 2}, i) ? 1 : 0;
  }
  EXPECT_EQ(same_seed, 200);
  EXPECT_LT(other_seed, 40) << "1 in 50 by chance";
}

}  // namespace
}  // namespace moe::run
