// Training from step 0 of a grown model: property 10 of growth.
#include <set>

#include "autograd/tape.h"
#include "growth/expand.h"
#include "growth/expert_cosine.h"
#include "growth/sparsify.h"
#include "growth/tiny_models.h"
#include "interop/load_weights.h"
#include "model/model.h"
#include "support/tolerance.h"

namespace moe::growth {
namespace {

using testing::random_source;
using testing::tiny_dense;

class TrainingHealthTest : public testing::ContextTest {};

ModelSource grown(const ModelSource& source, const SparsifyConfig& options) {
  const auto stage = make_sparsify(options);
  return {stage->grow(source.config), stage->apply(source, {.seed = 4, .index = 1})};
}

/// A model that takes plain gradient steps.
class Student {
 public:
  Student(const ModelSource& source, double balance_coefficient, double z_coefficient)
      : config_(with_coefficients(source.config, balance_coefficient, z_coefficient)),
        model_(config_) {
    model_.allocate(DType::F64);
    interop::load_parameters(model_, *source.weights);
  }

  /// Loss and gradients on `tokens`, each the target of the one before.
  ModelLoss backward(const std::vector<std::int32_t>& tokens) {
    const auto count = static_cast<std::int64_t>(tokens.size());
    std::vector<std::int32_t> target(tokens.begin() + 1, tokens.end());
    target.push_back(-1);
    model_.for_each_parameter([](nn::Parameter& p) { p.clear_written(); });
    Tape tape;
    ModelLoss loss;
    {
      const TapeScope scope(&tape);
      loss = model_.loss({.token_T = Tensor::from(std::span<const std::int32_t>(tokens), {count}),
                          .target_T = Tensor::from(std::span<const std::int32_t>(target), {count})},
                         {.per_target = 1.0 / static_cast<double>(count - 1),
                          .per_token = 1.0 / static_cast<double>(count)},
                         nn::Phase::Train);
    }
    tape.backward(loss.total);
    model_.for_each_parameter([](nn::Parameter& p) { p.zero_unless_written(); });
    for (const BalanceTerm& term : loss.terms) {
      for (const std::int32_t e : term.chosen_TK.span<std::int32_t>()) {
        received_.insert({term.layer, e});
      }
    }
    return loss;
  }

  void step(double rate) {
    model_.for_each_parameter([&](nn::Parameter& p) {
      auto value = p.master().span<double>();
      const auto gradient = p.gradient().span<double>();
      for (std::size_t i = 0; i < value.size(); ++i) value[i] -= rate * gradient[i];
      p.publish();
    });
  }

  /// Largest gradient of the parameters whose name ends so.
  double largest_gradient(const std::string& end) {
    double largest = 0;
    model_.for_each_parameter([&](nn::Parameter& p) {
      if (!p.name().ends_with(end)) return;
      for (const double g : p.gradient().span<double>()) largest = std::max(largest, std::abs(g));
    });
    return largest;
  }

  ModelSource weights() {
    auto source = std::make_shared<checkpoint::MemorySource>();
    model_.for_each_parameter([&](nn::Parameter& p) {
      source->add(p.name(), p.spec().shape, p.master().view());
    });
    return {config_, source};
  }
  /// (layer, expert) that some token chose.
  const std::set<std::pair<std::int64_t, std::int32_t>>& received() const { return received_; }

 private:
  static ModelConfig with_coefficients(ModelConfig config, double balance, double z) {
    config.router_aux_loss_coef = balance;
    config.router_z_loss_coef = z;
    return config;
  }

  ModelConfig config_;
  Model model_;
  std::set<std::pair<std::int64_t, std::int32_t>> received_;
};

TEST_F(TrainingHealthTest, Property10FirstLossIsTheLossBeforeGrowth) {
  const ModelSource dense = random_source(tiny_dense(), DType::F64);
  const auto tokens = testing::random_tokens(60, 37);
  const double before = Student(dense, 0, 0).backward(tokens).cross_entropy;
  for (const char* method : {"copy", "granular"}) {
    SparsifyConfig options{.method = method, .num_experts = 4};
    if (options.method == "granular") options.granularity = 2;
    const double after = Student(grown(dense, options), 0, 0).backward(tokens).cross_entropy;
    EXPECT_NEAR(after, before, testing::kExactGrowthF64 * before) << method;
  }
}

TEST_F(TrainingHealthTest, Property10EqualExpertsGiveTheRouterNoGradientUnlessUnnormalised) {
  const ModelSource dense = random_source(tiny_dense(), DType::F64);
  const auto tokens = testing::random_tokens(60, 37);
  Student copies(grown(dense, {.num_experts = 4}), 0, 0);
  copies.backward(tokens);
  EXPECT_LE(copies.largest_gradient("router.weight"),
            testing::kExactGrowthF64 * copies.largest_gradient("experts.down.weight"));
  Student plain(grown(dense, {.num_experts = 4, .norm_topk_prob = false}), 0, 0);
  plain.backward(tokens);
  EXPECT_GT(plain.largest_gradient("router.weight"), testing::tolerance(DType::F32));
  Student noisy(grown(dense, {.num_experts = 4, .noise_std = 0.01}), 0, 0);
  noisy.backward(tokens);
  EXPECT_GT(noisy.largest_gradient("router.weight"), testing::tolerance(DType::F32));
  Student balanced(grown(dense, {.num_experts = 4}), 0.01, 0);
  balanced.backward(tokens);
  EXPECT_GT(balanced.largest_gradient("router.weight"), testing::tolerance(DType::F32));
}

TEST_F(TrainingHealthTest, Property10ExpandedCopiesGiveTheRouterAGradient) {
  const ModelSource source = random_source(testing::tiny_sparse(2, 1), DType::F64);
  const auto tokens = testing::random_tokens(60, 37);
  const auto rows_differ = [&](double noise) {
    const auto stage =
        make_expand({.num_experts = 4, .num_experts_per_tok = 2, .expert_noise = noise});
    Student student({stage->grow(source.config), stage->apply(source, {})}, 0, 0);
    student.backward(tokens);
    student.step(1.0);
    const auto rows = testing::values_of(*student.weights().weights, "layers.0.moe.router.weight");
    double apart = 0;
    for (std::size_t i = 0; i < 12; ++i) apart = std::max(apart, std::abs(rows[i] - rows[12 + i]));
    return apart;
  };
  EXPECT_LE(rows_differ(0.0), testing::kExactGrowthF64);
  EXPECT_GT(rows_differ(0.01), testing::tolerance(DType::F32));
}

/// Rows of zeros score all experts alike; large rows and equal tokens send all to the same K.
TEST_F(TrainingHealthTest, Property10BalanceLossAtItsTwoEnds) {
  const ModelSource dense = random_source(tiny_dense(), DType::F64);
  Student uniform(grown(dense, {.num_experts = 8, .router_std = 0.0}), 0.01, 0);
  EXPECT_NEAR(uniform.backward(testing::random_tokens(60, 37)).balance, 1.0,
              testing::tolerance(DType::F64, 60));
  Student crowded(grown(dense, {.num_experts = 8, .router_std = 1000.0}), 0.01, 0);
  const ModelLoss loss = crowded.backward(std::vector<std::int32_t>(60, 5));
  EXPECT_NEAR(loss.balance, 8.0 / 2.0, testing::tolerance(DType::F64, 60) * 4);
  EXPECT_NEAR(loss.total.value().item(), loss.cross_entropy + 0.01 * 4,
              testing::kExactGrowthF64 * loss.cross_entropy);
}

TEST_F(TrainingHealthTest, Property10ZLossIsTheMeanSquaredLogsumexp) {
  const ModelSource sparse = grown(random_source(tiny_dense(), DType::F64), {.num_experts = 8});
  Student student(sparse, 0, 0.5);
  const ModelLoss loss = student.backward(testing::random_tokens(60, 37));
  double sum = 0;
  for (const BalanceTerm& term : loss.terms) {
    for (const double z : term.logsumexp_T.value().to_vector()) sum += z * z;
  }
  const double mean = sum / static_cast<double>(60 * loss.terms.size());
  EXPECT_NEAR(loss.z, mean, testing::tolerance(DType::F64, 180) * mean);
  EXPECT_NEAR(loss.total.value().item(), loss.cross_entropy + 0.5 * mean,
              testing::kExactGrowthF64 * loss.cross_entropy);
}

TEST_F(TrainingHealthTest, Property10ExpertsPartAndAllOfThemGetTokens) {
  const ModelSource sparse = grown(random_source(tiny_dense(), DType::F64), {.num_experts = 4});
  EXPECT_NEAR(mean_expert_cosine(sparse).value(), 1.0, testing::tolerance(DType::F64, 1000));
  Student student(sparse, 0.01, 0);
  const auto tokens = testing::random_tokens(64, 37);
  const double first = student.backward(tokens).cross_entropy;
  double last = first;
  for (int step = 0; step < 8; ++step) {
    student.step(0.05);
    last = student.backward(tokens).cross_entropy;
  }
  EXPECT_LT(last, first);
  EXPECT_LT(mean_expert_cosine(student.weights()).value(), 1 - testing::tolerance(DType::F32));
  EXPECT_EQ(student.received().size(), 3U * 4U);
}

}  // namespace
}  // namespace moe::growth
