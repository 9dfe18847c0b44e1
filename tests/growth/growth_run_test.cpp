#include "growth/growth_run.h"
#include "growth/outline.h"

#include "growth/sparsify.h"
#include "growth/support.h"
#include "growth/tiny_models.h"

namespace moe::growth {
namespace {

/// Options that are made already.
template <class Config>
class Fixed : public StageOptions {
 public:
  Fixed(Config config, std::unique_ptr<Stage> (*factory)(const Config&))
      : config_(config), make_(factory) {}
  void fields(config::Fields& f) override { config_.fields(f); }
  std::unique_ptr<Stage> make() const override { return make_(config_); }

 private:
  Config config_;
  std::unique_ptr<Stage> (*make_)(const Config&);
};

PlannedStage widen_stage(const WidenConfig& to) {
  return {"widen", std::make_shared<Fixed<WidenConfig>>(to, &make_widen)};
}
PlannedStage deepen_stage(const std::string& method, std::int64_t layers) {
  return {"deepen", std::make_shared<Fixed<DeepenConfig>>(DeepenConfig{method, layers}, &make_deepen)};
}
PlannedStage sparsify_stage() {
  return {"sparsify", std::make_shared<Fixed<SparsifyConfig>>(SparsifyConfig{.num_experts = 4}, &make_sparsify)};
}

class GrowthRun : public GrowthTest {
 protected:
  GrownModel run(const Plan& plan, const ModelSource& source) {
    return run_plan(plan, source, {.tokens = tokens_});
  }
  std::vector<std::int32_t> tokens_ = testing::random_tokens(40, 29);
};

TEST_F(GrowthRun, ReportsWhatEveryStageDid) {
  Plan plan;
  plan.stages = {widen_stage({.hidden_size = 11, .intermediate_size = 12}), deepen_stage("stack", 5), sparsify_stage()};
  const ModelSource source = random_model(tiny_config());
  const GrownModel grown = run(plan, source);
  ASSERT_EQ(grown.reports.size(), 3U);
  EXPECT_FALSE(grown.failed);
  const StageReport& wide = grown.reports[0];
  EXPECT_EQ(wide.stage, "widen");
  EXPECT_EQ(wide.method, "lemon");
  EXPECT_LE(wide.max_logit_difference, kExact * wide.max_logit);
  EXPECT_NEAR(wide.loss_before, wide.loss_after, kExact * wide.loss_before);
  EXPECT_FALSE(wide.expert_cosine);
  const StageReport& deep = grown.reports[1];
  EXPECT_EQ(deep.loss_before, wide.loss_after);
  EXPECT_GT(deep.max_logit_difference, 1e-3);
  EXPECT_FALSE(deep.keeps_function);
  const StageReport& sparse = grown.reports[2];
  EXPECT_LE(sparse.max_logit_difference, kExact * sparse.max_logit);
  ASSERT_TRUE(sparse.expert_cosine);
  EXPECT_NEAR(*sparse.expert_cosine, 1.0, kExact);
  EXPECT_GT(sparse.parameters_total, sparse.parameters_active);
  EXPECT_EQ(grown.model.config.num_experts, 4);
  EXPECT_EQ(grown.model.config.num_hidden_layers, 5);
}

TEST_F(GrowthRun, StopsAtAStageThatIsNotExactEnough) {
  Plan plan;
  plan.stages = {widen_stage({.hidden_size = 16}), widen_stage({.method = "fpi", .hidden_size = 20}),
                 deepen_stage("identity", 4)};
  plan.verify_given = true;
  plan.verify.require_exact = 1e-9;
  const ModelSource source = random_model(tiny_config());
  const GrownModel grown = run(plan, source);
  EXPECT_EQ(grown.failed, 1U);
  EXPECT_EQ(grown.reports.size(), 2U);
  plan.verify.require_exact = 1e9;
  EXPECT_FALSE(run(plan, source).failed);
}

/// A model that computes NaN is not exact, whatever the tolerance.
TEST_F(GrowthRun, NothingIsExactAboutNaN) {
  Plan plan;
  plan.stages = {deepen_stage("identity", 4)};
  plan.verify_given = true;
  plan.verify.require_exact = 1e300;
  auto weights = random_weights(tiny_config());
  std::vector<double> gain(8, std::nan(""));
  weights->add("norm.weight", {8}, DType::F64, gain);
  EXPECT_EQ(run(plan, {tiny_config(), weights}).failed, 0U);
}

/// Moments stand where their weights went: a moment equal to its weight stays so through copies.
TEST_F(GrowthRun, MomentsGoWhereTheirWeightsGo) {
  Plan plan;
  plan.stages = {deepen_stage("interpolate", 5), sparsify_stage(), widen_stage({.method = "fpi", .intermediate_size = 13})};
  for (const auto& stage : make_stages(plan)) EXPECT_TRUE(stage->carries_moments());
  const ModelSource source = random_model(tiny_config());
  const ModelSource moments = carry_moments(plan, source, source, nullptr);
  const GrownModel grown = run(plan, source);
  EXPECT_EQ(moments.weights->names(), grown.model.weights->names());
  for (const char* name : {"layers.3.attention.q_proj.weight", "layers.2.moe.experts.gate_up.weight", "norm.weight"}) {
    EXPECT_EQ(values_of(*moments.weights, name), values_of(*grown.model.weights, name)) << name;
  }
  for (const double moment : values_of(*moments.weights, "layers.0.moe.router.weight")) EXPECT_EQ(moment, 0.0);
}

}  // namespace
}  // namespace moe::growth
