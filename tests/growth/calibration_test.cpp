// What is measured on experts, against the same sums formed token by token.
#include "growth/calibration.h"

#include "base/error.h"
#include "growth/computed_source.h"
#include "growth/tiny_models.h"
#include "support/tolerance.h"

namespace moe::growth {
namespace {

using testing::random_source;
using testing::random_tokens;
using testing::tiny_sparse;

class CalibrationTest : public testing::ContextTest {};

/// One expert's output for x, from the weights as they are stored.
std::vector<double> expert_output(const ModelSource& source, std::int64_t layer, std::int64_t e,
                                  std::span<const float> x) {
  const auto rows = testing::values_of(*source.weights, sparse_name(layer, "experts.gate_up"));
  const auto down = testing::values_of(*source.weights, sparse_name(layer, "experts.down"));
  const std::int64_t hidden = source.config.expert_width();
  const auto width = static_cast<std::int64_t>(x.size());
  std::vector<double> y(x.size(), 0.0);
  for (std::int64_t f = 0; f < hidden; ++f) {
    double gate = 0;
    double up = 0;
    for (std::int64_t d = 0; d < width; ++d) {
      const double value = x[static_cast<std::size_t>(d)];
      gate += rows[static_cast<std::size_t>(((e * 2) * hidden + f) * width + d)] * value;
      up += rows[static_cast<std::size_t>(((e * 2 + 1) * hidden + f) * width + d)] * value;
    }
    const double h = gate / (1 + std::exp(-gate)) * up;
    for (std::int64_t d = 0; d < width; ++d) {
      y[static_cast<std::size_t>(d)] +=
          down[static_cast<std::size_t>((e * width + d) * hidden + f)] * h;
    }
  }
  return y;
}

double norm(const std::vector<double>& y) {
  double squares = 0;
  for (const double v : y) squares += v * v;
  return std::sqrt(squares);
}

TEST_F(CalibrationTest, SumsAreThoseOfEveryToken) {
  for (const bool renormalise : {false, true}) {
    ModelConfig config = tiny_sparse(4, 2);
    config.norm_topk_prob = renormalise;
    config.mlp_only_layers = {1};
    const ModelSource source = random_source(config);
    const auto tokens = random_tokens(70, config.vocab_size);
    const auto measures = calibrate(source, tokens, {.mean_output = true});
    ASSERT_EQ(measures.size(), 2U);
    std::map<std::int64_t, LayerMeasure> expected;
    BlockwiseModel(source).observe(tokens, [&](const LayerRun& run) {
      LayerMeasure& m = expected[run.layer];
      for (auto* values : {&m.routed, &m.contribution, &m.saliency}) values->resize(4);
      m.mean_output.resize(4, std::vector<double>(12));
      m.output_norm.resize(4);
      const auto x = run.x_TD.span<float>();
      const auto p = run.term.probability_TE.value().span<float>();
      for (std::size_t t = 0; t < x.size() / 12; ++t) {
        std::vector<std::vector<double>> y;
        for (std::int64_t e = 0; e < 4; ++e) {
          y.push_back(expert_output(source, run.layer, e, x.subspan(t * 12, 12)));
          for (std::size_t d = 0; d < 12; ++d) {
            m.mean_output[static_cast<std::size_t>(e)][d] += y.back()[d] / 70;
          }
          m.output_norm[static_cast<std::size_t>(e)] += norm(y.back()) * norm(y.back()) / 70;
        }
        const auto chosen = run.term.chosen_TK.span<std::int32_t>().subspan(t * 2, 2);
        const auto score = [&](std::int32_t e) {
          return static_cast<double>(p[t * 4 + static_cast<std::size_t>(e)]);
        };
        const double total = score(chosen[0]) + score(chosen[1]);
        for (const std::int32_t e : chosen) {
          const auto at = static_cast<std::size_t>(e);
          m.routed[at] += 1;
          m.contribution[at] += norm(y[at]) * score(e) / (renormalise ? total : 1.0);
          m.saliency[at] += norm(y[at]) * score(e) / total;
        }
      }
    });
    for (const auto& [layer, measure] : measures) {
      const LayerMeasure& wanted = expected.at(layer);
      EXPECT_EQ(measure.routed, wanted.routed);
      for (std::size_t e = 0; e < 4; ++e) {
        const double allowed = testing::tolerance(DType::F32, 24 * 70);
        EXPECT_NEAR(measure.contribution[e], wanted.contribution[e],
                    allowed * wanted.contribution[e]);
        EXPECT_NEAR(measure.saliency[e], wanted.saliency[e], allowed * wanted.saliency[e]);
        EXPECT_NEAR(measure.output_norm[e], std::sqrt(wanted.output_norm[e]),
                    allowed * std::sqrt(wanted.output_norm[e]));
        for (std::size_t d = 0; d < 12; ++d) {
          EXPECT_NEAR(measure.mean_output[e][d], wanted.mean_output[e][d], allowed);
        }
      }
    }
  }
}

TEST_F(CalibrationTest, LogitProductsAreThoseOfTheRouter) {
  const ModelSource source = random_source(tiny_sparse(3, 2));
  const auto tokens = random_tokens(20, source.config.vocab_size);
  const auto measures = calibrate(source, tokens);
  BlockwiseModel(source).observe(tokens, [&](const LayerRun& run) {
    const auto rows = testing::values_of(*source.weights, sparse_name(run.layer, "router"));
    const auto x = run.x_TD.span<float>();
    std::vector<double> expected(9, 0.0);
    for (std::size_t t = 0; t < 20; ++t) {
      double z[3] = {};
      for (std::size_t i = 0; i < 36; ++i) {
        z[i / 12] += rows[i] * static_cast<double>(x[t * 12 + i % 12]);
      }
      for (std::size_t i = 0; i < 9; ++i) expected[i] += z[i / 3] * z[i % 3];
    }
    for (std::size_t i = 0; i < 9; ++i) {
      EXPECT_NEAR(measures.at(run.layer).logit_products[i], expected[i],
                  testing::tolerance(DType::F32, 20 * 12) * 20);
    }
  });
  EXPECT_TRUE(measures.at(0).mean_output.empty());
}

TEST(Calibration, BringsAContextWhereThereIsNone) {
  const ModelSource source = random_source(tiny_sparse(3, 2));
  const auto measures = calibrate(source, random_tokens(5, 37));
  EXPECT_EQ(measures.size(), 3U);
}

class FixedProbe : public TokenProbe {
 public:
  std::vector<std::int32_t> tokens(const CalibrationConfig& calibration) const override {
    return std::vector<std::int32_t>(static_cast<std::size_t>(calibration.tokens), 3);
  }
};

TEST(Calibration, TokensComeFromTheProbe) {
  const FixedProbe probe;
  const auto found = calibration_tokens({.text = "a.txt", .tokens = 4}, testing::tiny_dense(),
                                        {.probe = &probe});
  EXPECT_EQ(found, (std::vector<std::int32_t>{3, 3, 3, 3}));
}

TEST(Calibration, WithoutAProbeTokensAreRandomButNotATexts) {
  const ModelConfig config = testing::tiny_dense();
  const auto tokens = calibration_tokens({.tokens = 1000}, config, {});
  EXPECT_EQ(tokens.size(), 1000U);
  EXPECT_EQ(tokens, calibration_tokens({.tokens = 1000}, config, {}));
  std::vector<std::int64_t> counts(37, 0);
  for (const std::int32_t token : tokens) ++counts.at(static_cast<std::size_t>(token));
  EXPECT_GT(*std::ranges::min_element(counts), 0);
  EXPECT_THROW((void)calibration_tokens({.text = "a.txt"}, config, {}), ConfigError);
}

}  // namespace
}  // namespace moe::growth
