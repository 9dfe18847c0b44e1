#include "growth/expert_cosine.h"

#include "growth/computed_source.h"
#include "growth/sparsify.h"
#include "growth/tiny_models.h"
#include "support/tolerance.h"

namespace moe::growth {
namespace {

std::vector<double> expert_vector(const ModelSource& source, std::int64_t layer,
                                  std::int64_t expert) {
  std::vector<double> all;
  for (const char* part : {"experts.gate_up", "experts.down"}) {
    const auto values = testing::values_of(*source.weights, sparse_name(layer, part));
    const auto each = static_cast<std::ptrdiff_t>(values.size()) / source.config.num_experts;
    all.insert(all.end(), values.begin() + expert * each, values.begin() + (expert + 1) * each);
  }
  return all;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

TEST(ExpertCosine, IsTheMeanOverPairsAndLayers) {
  ModelConfig config = testing::tiny_sparse(5, 2);
  config.mlp_only_layers = {1};
  const ModelSource source = testing::random_source(config);
  double sum = 0;
  std::int64_t pairs = 0;
  for (const std::int64_t layer : {0, 2}) {
    for (std::int64_t a = 0; a < 5; ++a) {
      for (std::int64_t b = 0; b < a; ++b) {
        const auto x = expert_vector(source, layer, a);
        const auto y = expert_vector(source, layer, b);
        sum += dot(x, y) / std::sqrt(dot(x, x) * dot(y, y));
        ++pairs;
      }
    }
  }
  EXPECT_NEAR(mean_expert_cosine(source).value(), sum / static_cast<double>(pairs),
              testing::tolerance(DType::F64, 1000));
}

TEST(ExpertCosine, OfCopiesIsOneAndOfDroppedCopiesLess) {
  const ModelSource dense = testing::random_source(testing::tiny_dense());
  for (const char* method : {"copy", "drop"}) {
    const auto stage = make_sparsify({.method = method});
    const ModelSource sparse{stage->grow(dense.config), stage->apply(dense, {})};
    const double cosine = mean_expert_cosine(sparse).value();
    if (stage->method() == "copy") {
      EXPECT_NEAR(cosine, 1.0, testing::tolerance(DType::F64, 1000));
    } else {
      EXPECT_LT(cosine, 0.5);
    }
  }
}

TEST(ExpertCosine, ThereIsNoneWithoutTwoExperts) {
  EXPECT_EQ(mean_expert_cosine(testing::random_source(testing::tiny_dense())), std::nullopt);
  EXPECT_EQ(mean_expert_cosine(testing::random_source(testing::tiny_sparse(1, 1))), std::nullopt);
}

TEST(ExpertCosine, AnExpertOfZerosIsLikeNoOther) {
  const ModelSource source = testing::in_memory(
      testing::random_source(testing::tiny_sparse(2, 1)),
      [](const std::string& name, std::vector<double>& values) {
        if (name.find("experts") == std::string::npos) return;
        std::fill_n(values.begin(), values.size() / 2, 0.0);
      });
  EXPECT_NEAR(mean_expert_cosine(source).value(), 0.0, testing::tolerance(DType::F64, 1000));
}

}  // namespace
}  // namespace moe::growth
