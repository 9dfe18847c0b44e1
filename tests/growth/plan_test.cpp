#include "growth/plan.h"

#include <gmock/gmock.h>

#include <fstream>
#include <set>
#include <sstream>

#include "growth/outline.h"
#include "interop/hf_config.h"
#include "growth/support.h"
#include "support/temporary_folder.h"

namespace moe::growth {
namespace {

using ::testing::HasSubstr;

Plan plan_from(const std::string& text, const std::vector<std::string>& overrides = {}) {
  const testing::TemporaryFolder folder;
  std::ofstream(folder / "plan.yaml") << text;
  return load_plan(folder / "plan.yaml", overrides);
}

const char* const kPlan =
    "source: a\n"
    "output: b\n"
    "seed: 7\n"
    "stages:\n"
    "  - widen: {method: aki_pro, hidden_size: 16, num_attention_heads: 6}\n"
    "  - deepen: {num_hidden_layers: 5}\n"
    "  - sparsify: {num_experts: 4}\n"
    "verify: {text: t.txt, tokens: 100, require_exact: 1.0e-4}\n";

TEST(Plan, ReadsStagesInOrder) {
  const Plan plan = plan_from(kPlan, {"output=c", "verify.tokens=50"});
  EXPECT_EQ(plan.source, "a");
  EXPECT_EQ(plan.output, "c");
  EXPECT_EQ(plan.seed, 7);
  EXPECT_EQ(plan.optimizer_state, "reset");
  ASSERT_EQ(plan.stages.size(), 3U);
  EXPECT_EQ(plan.stages[0].name, "widen");
  EXPECT_EQ(plan.stages[1].name, "deepen");
  EXPECT_EQ(plan.stages[2].name, "sparsify");
  EXPECT_EQ(make_stages(plan)[0]->method(), "aki_pro");
  EXPECT_EQ(make_stages(plan)[1]->method(), "identity");
  EXPECT_EQ(plan.verify.tokens, 50);
  EXPECT_EQ(plan.verify.require_exact, 1e-4);
}

TEST(Plan, WithoutASectionVerifiesOnAShortProbe) {
  const Plan plan = plan_from("source: a\noutput: b\nstages: [{deepen: {num_hidden_layers: 4}}]\n");
  EXPECT_EQ(plan.verified_on().text, "");
  EXPECT_EQ(plan.verified_on().tokens, 256);
  EXPECT_EQ(plan_from("source: a\noutput: b\nstages: [{deepen: {num_hidden_layers: 4}}]\nverify: {}\n")
                .verified_on()
                .tokens,
            4096);
}

TEST(Plan, PrintsAPlanThatReadsAlike) {
  const Plan plan = plan_from(kPlan);
  const std::string text = print_plan(plan);
  EXPECT_EQ(print_plan(plan_from(text)), text);
  EXPECT_THAT(text, HasSubstr("  - widen:\n      method: aki_pro\n      hidden_size: 16\n"));
}

TEST(Plan, ExplainsMistakes) {
  struct Mistake {
    const char* text;
    std::vector<const char*> says;
  };
  for (const Mistake& row : {
           Mistake{"stages: []\n", {"source: must be given", "output: must be given", "stages: expected at least one"}},
           Mistake{"source: a\noutput: b\nstages: [{wident: {}}]\n", {"stages[0].wident", "did you mean widen?"}},
           Mistake{"source: a\noutput: b\nstages: [{widen: {method: lemmon}}]\n", {"stages[0].widen.method", "did you mean lemon?"}},
           Mistake{"source: a\noutput: b\nstages: [{widen: {hidden: 3}}]\n", {"stages[0].widen.hidden"}},
           Mistake{"source: a\noutput: b\nstages: [{deepen: {}}]\n", {"num_hidden_layers: must be given"}},
           Mistake{"source: a\noutput: b\nstages: [{deepen: {num_hidden_layers: 0}}]\n", {"num_hidden_layers: out of range"}},
           Mistake{"source: a\noutput: b\nstages: [{deepen: {num_hidden_layers: 4}}]\noutput_format: onnx\n", {"output_format", "native, hf"}},
           Mistake{"source: a\noutput: b\nstages: [{deepen: {num_hidden_layers: 4}}]\noutput_format: hf\noptimizer_state: tile\n", {"optimizer_state", "no moments"}},
           Mistake{"source: a\noutput: b\nstages: [{deepen: {num_hidden_layers: 4}}]\nverify: {require_exact: -1}\n", {"verify.require_exact"}},
           Mistake{"source: a\noutput: b\nseed: -1\nstages: [{deepen: {num_hidden_layers: 4}}]\n", {"seed"}},
       }) {
    const std::string message = refusal([&] { plan_from(row.text); });
    for (const char* part : row.says) EXPECT_THAT(message, HasSubstr(part)) << row.text;
  }
}

TEST(Outline, FollowsTheConfigThroughTheStages) {
  const Plan plan = plan_from(kPlan);
  const std::vector<StageOutline> stages = outline(plan, tiny_config());
  ASSERT_EQ(stages.size(), 3U);
  EXPECT_EQ(stages[0].config.hidden_size, 16);
  EXPECT_FALSE(stages[0].keeps_function);
  EXPECT_EQ(stages[1].config.num_hidden_layers, 5);
  EXPECT_EQ(stages[1].config.hidden_size, 16);
  EXPECT_TRUE(stages[1].keeps_function);
  EXPECT_EQ(stages[1].depth_map, (std::vector<std::int64_t>{0, 1, 1, 2, 2}));
  EXPECT_EQ(stages[2].config.num_experts, 4);
}

TEST(Outline, NamesTheStageThatCannotBe) {
  const Plan plan = plan_from("source: a\noutput: b\nstages: [{deepen: {num_hidden_layers: 5}}, {widen: {hidden_size: 2}}]\n");
  EXPECT_THAT(refusal([&] { outline(plan, tiny_config()); }), HasSubstr("stages[1].widen.hidden_size: got 2"));
  const Plan vast = plan_from(
      "source: a\noutput: b\nstages:\n"
      "  - widen: {hidden_size: 16777216, intermediate_size: 16777216}\n"
      "  - sparsify: {num_experts: 1000000000}\n");
  EXPECT_THAT(refusal([&] { outline(vast, tiny_config()); }), HasSubstr("stages[1]"));
}

/// The AquilaMoE shape, from the files that the project ships.
TEST(Outline, Property8AquilaMoeHas104BillionParameters) {
  const Path root(MOE_SOURCE_DIR);
  const Plan plan = load_plan(root / "configs/upcycle/aquilamoe-8x16b.yaml", {});
  const ModelConfig source =
      interop::read_hugging_face_config(root / plan.source / "config.json").model;
  const std::vector<StageOutline> stages = outline(plan, source);
  ASSERT_EQ(stages.size(), 3U);
  EXPECT_EQ(human_count(static_cast<double>(count_parameters(source).total)), "8.22 B");
  const ParameterCount dense = count_parameters(stages[1].config);
  EXPECT_EQ(dense.total, 16'655'150'080);
  EXPECT_EQ(dense.active, dense.total);
  const ParameterCount moe = count_parameters(stages[2].config);
  EXPECT_EQ(human_count(static_cast<double>(moe.total)), "104.74 B");
  EXPECT_EQ(human_count(static_cast<double>(moe.active)), "29.24 B");
  EXPECT_EQ(moe.total, 104'737'172'480);
  EXPECT_EQ(stages[1].depth_map->size(), 40U);
}

TEST(Plan, ReferenceIsFresh) {
  const std::string text = read_file(Path(MOE_SOURCE_DIR) / "docs/upcycle-plan.md");
  EXPECT_THAT(text, ::testing::EndsWith(plan_reference()))
      << "regenerate: build/release/bin/moe-upcycle --print-reference > docs/upcycle-plan.md";
}

/// docs/growth.md promises tests by name; those of this program must exist.
TEST(Documentation, NamesTestsThatExist) {
  std::set<std::string> existing;
  const ::testing::UnitTest& all = *::testing::UnitTest::GetInstance();
  for (int i = 0; i < all.total_test_suite_count(); ++i) {
    const ::testing::TestSuite& suite = *all.GetTestSuite(i);
    for (int j = 0; j < suite.total_test_count(); ++j) {
      const std::string name = std::string(suite.name()) + "." + suite.GetTestInfo(j)->name();
      const std::size_t slash = suite.GetTestInfo(j)->type_param() == nullptr ? name.find('/') : name.npos;
      existing.insert(name);
      // "Prefix/Suite.Test/Row" is known as "Suite.Test".
      if (slash != name.npos) existing.insert(name.substr(slash + 1, name.rfind('/') - slash - 1));
    }
  }
  const std::string text = read_file(Path(MOE_SOURCE_DIR) / "docs/growth.md");
  int found = 0;
  std::istringstream quoted(text);  // every second piece between back quotes is code
  for (std::string prose, name; std::getline(quoted, prose, '`') && std::getline(quoted, name, '`');) {
    if (name.find(".Property") == std::string::npos) continue;
    ++found;
    if (name.starts_with("Upcycle.")) continue;  // of run_test
    EXPECT_TRUE(existing.contains(name)) << name;
  }
  EXPECT_GE(found, 40);
}

}  // namespace
}  // namespace moe::growth
