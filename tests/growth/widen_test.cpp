// Properties 2 and 3 of model growth: exact widths, and what breaks twins.
#include "growth/widen.h"

#include "growth/axis_map.h"
#include "growth/support.h"

namespace moe::growth {
namespace {

struct WidenRow {
  std::string name;
  std::function<void(ModelConfig&)> source;
  WidenConfig to;
};

void PrintTo(const WidenRow& row, std::ostream* out) { *out << row.name; }

std::string row_name(const ::testing::TestParamInfo<WidenRow>& info) { return info.param.name; }

ModelSource source_of(const WidenRow& row, bool moe = false) {
  ModelConfig config = moe ? tiny_moe_config() : tiny_config();
  row.source(config);
  return random_model(config);
}

void plain(ModelConfig&) {}

/// What models do besides the plain case; none of it may matter to exactness.
std::vector<WidenRow> architectures() {
  const WidenConfig wide{.hidden_size = 16,
                         .intermediate_size = 17,
                         .moe_intermediate_size = {},
                         .shared_expert_intermediate_size = {},
                         .num_attention_heads = 6,
                         .num_key_value_heads = {}};
  WidenConfig groups = wide;
  groups.num_attention_heads = 8;
  groups.num_key_value_heads = 4;
  WidenConfig odd_groups = wide;
  odd_groups.num_key_value_heads = 3;
  WidenConfig only_neurons{.intermediate_size = 23};
  WidenConfig only_heads{.num_attention_heads = 10};
  WidenConfig only_hidden{.hidden_size = 24};
  return {
      {"Plain", plain, wide},
      {"NothingNamed", plain, {}},
      {"OnlyHidden", plain, only_hidden},
      {"OnlyHeads", plain, only_heads},
      {"OnlyNeurons", plain, only_neurons},
      {"Biases", [](auto& c) { c.attention_bias = c.attention_output_bias = true; }, wide},
      {"Tied", [](auto& c) { c.tie_word_embeddings = true; }, wide},
      {"TiedBiases", [](auto& c) { c.tie_word_embeddings = c.attention_bias = true; }, wide},
      {"KeyValueHeadsToo", [](auto& c) { c.attention_bias = true; }, groups},
      {"KeyValueHeadsByHalf", plain, odd_groups},
      {"MultiQuery", [](auto& c) { c.num_key_value_heads = 1; }, wide},
      {"MultiHead",
       [](auto& c) { c.num_key_value_heads.reset(); },
       {.hidden_size = 16, .num_attention_heads = 6, .num_key_value_heads = 6}},
      {"HeadDimDerived",
       [](auto& c) { c.head_dim.reset(); },
       {.hidden_size = 16, .num_attention_heads = 8}},
      {"HeadNorm", [](auto& c) { c.qk_norm = "per_head"; }, wide},
      {"HeadNormBiases", [](auto& c) { c.qk_norm = "per_head"; c.attention_bias = true; }, groups},
      {"WholeNorm", [](auto& c) { c.qk_norm = "whole"; }, wide},
      {"WholeNormGroups", [](auto& c) { c.qk_norm = "whole"; c.attention_bias = true; }, odd_groups},
      {"Clipped", [](auto& c) { c.clip_qkv = 0.3; }, wide},
      {"ClippedNorm", [](auto& c) { c.clip_qkv = 0.3; c.qk_norm = "whole"; }, groups},
      {"Ungated", [](auto& c) { c.mlp_gated = false; c.hidden_act = "relu2"; }, wide},
      {"Gelu", [](auto& c) { c.hidden_act = "gelu"; }, wide},
      {"Sliding",
       [](auto& c) {
         c.sliding_window = 3;
         c.layer_types = {"full_attention", "sliding_attention", "full_attention"};
       },
       wide},
      {"LongRope", [](auto& c) { c.rope_scaled = true; c.rope_scaling.rope_type = "linear"; c.rope_scaling.factor = 2; }, wide},
      {"OneLayer", [](auto& c) { c.num_hidden_layers = 1; }, wide},
      {"OneChannel", [](auto& c) { c.hidden_size = 1; }, wide},
  };
}

class ExactWidth : public testing::ContextTest, public ::testing::WithParamInterface<WidenRow> {
 protected:
  void expect_exact(const std::string& method, std::optional<std::int64_t> hidden, bool moe = false) {
    const ModelSource source = source_of(GetParam(), moe);
    WidenConfig to = GetParam().to;
    to.method = method;
    if (hidden && to.hidden_size) to.hidden_size = *hidden;
    if (moe) to.moe_intermediate_size = 11;
    if (moe && source.config.num_hidden_layers == 1) to.intermediate_size.reset();
    if (moe) to.shared_expert_intermediate_size = 8;
    EXPECT_TRUE(make_widen(to)->keeps_function(source.config));
    EXPECT_LE(logit_jump(source, widen(source, to)), kExact);
  }
};

TEST_P(ExactWidth, Property2FpiIsExactAtWholeRatios) { expect_exact("fpi", std::nullopt); }
TEST_P(ExactWidth, Property3ZeroChannelsAreExactAtWholeRatios) { expect_exact("exact", std::nullopt); }
TEST_P(ExactWidth, Property3ZeroChannelsAreExactAtAnyRatio) { expect_exact("exact", 21); }
TEST_P(ExactWidth, Property3LemonIsExactAtWholeRatios) { expect_exact("lemon", std::nullopt); }
TEST_P(ExactWidth, Property3LemonIsExactAtAnyRatio) { expect_exact("lemon", 11); }
TEST_P(ExactWidth, Property2And3WideExpertsAreExact) {
  expect_exact("fpi", std::nullopt, true);
  expect_exact("exact", 13, true);
  expect_exact("lemon", 27, true);
}

INSTANTIATE_TEST_SUITE_P(Architectures, ExactWidth, ::testing::ValuesIn(architectures()), row_name);

class Widen : public GrowthTest {};

TEST_F(Widen, Property3CircularCopiesJumpAtOddRatiosAndSaySo) {
  const ModelSource source = random_model(tiny_config());
  const WidenConfig to{.method = "fpi", .hidden_size = 12};
  EXPECT_FALSE(make_widen(to)->keeps_function(source.config));
  EXPECT_GT(logit_jump(source, widen(source, to)), 1e3 * kExact);
}

TEST_F(Widen, KnowledgeFromTheNextLayerChangesTheFunctionAndSaysSo) {
  const ModelSource source = random_model(tiny_config());
  for (const char* method : {"aki", "aki_pro"}) {
    const WidenConfig to{.method = method, .hidden_size = 16, .num_attention_heads = 6};
    EXPECT_FALSE(make_widen(to)->keeps_function(source.config));
    EXPECT_GT(logit_jump(source, widen(source, to)), 1e3 * kExact);
    EXPECT_TRUE(make_widen({.method = method})->keeps_function(source.config));
    EXPECT_LE(logit_jump(source, widen(source, {.method = method})), kExact);
  }
}

TEST_F(Widen, KnowledgeOfOneLayerIsFpi) {
  ModelConfig config = tiny_config();
  config.num_hidden_layers = 1;
  const ModelSource source = random_model(config);
  WidenConfig to{.method = "aki", .hidden_size = 16, .intermediate_size = 13, .num_attention_heads = 8};
  const ModelSource by_aki = widen(source, to);
  to.method = "fpi";
  const ModelSource by_fpi = widen(source, to);
  for (const std::string& name : by_fpi.weights->names()) {
    EXPECT_EQ(values_of(*by_aki.weights, name), values_of(*by_fpi.weights, name)) << name;
  }
}

/// The formula of AKI, element by element: U_l[o'][i] = W_{l or l+1}[g(o')][g(i)] / C[g(i)].
TEST_F(Widen, FreshRowsComeFromTheNextLayer) {
  const ModelSource source = random_model(tiny_config());
  const ModelSource wide = widen(source, {.method = "aki", .hidden_size = 12, .intermediate_size = 15});
  const AxisMap hidden = circular_map(8, 12);
  const AxisMap neurons = circular_map(10, 15);
  for (std::int64_t layer = 0; layer < 3; ++layer) {
    const std::string name = format("layers.{}.mlp.down.weight", layer);
    const std::string above = format("layers.{}.mlp.down.weight", std::min<std::int64_t>(layer + 1, 2));
    const auto got = values_of(*wide.weights, name);
    const auto own = values_of(*source.weights, name);
    const auto upper = values_of(*source.weights, above);
    for (std::size_t o = 0; o < 12; ++o) {
      for (std::size_t f = 0; f < 15; ++f) {
        const std::vector<double>& from = o >= 8 ? upper : own;
        const auto row = static_cast<std::size_t>(hidden.from[o]);
        const auto column = static_cast<std::size_t>(neurons.from[f]);
        EXPECT_EQ(got[o * 15 + f],
                  from[row * 10 + column] / static_cast<double>(neurons.copies[column]));
      }
    }
  }
}

TEST_F(Widen, NextLayerOfAnotherKindIsLeftAlone) {
  const ModelSource source = random_model(tiny_moe_config());  // sparse, dense, sparse
  const WidenConfig to{.method = "aki", .moe_intermediate_size = 9};
  EXPECT_LE(logit_jump(source, widen(source, to)), kExact);  // experts fall back to FPI
}

/// Sums the copies of every column, to compare with the column.
void expect_copies_sum(const std::vector<double>& wide, const std::vector<double>& narrow,
                       const AxisMap& columns, const AxisMap& rows, double ulp) {
  const auto width = static_cast<std::size_t>(columns.size());
  for (std::size_t o = 0; o < wide.size() / width; ++o) {
    std::vector<double> sum(static_cast<std::size_t>(columns.source), 0.0);
    for (std::size_t i = 0; i < width; ++i) {
      if (columns.from[i] != kNowhere) sum[static_cast<std::size_t>(columns.from[i])] += wide[o * width + i];
    }
    for (std::size_t a = 0; a < sum.size(); ++a) {
      const auto row = static_cast<std::size_t>(rows.from[o]);
      const double wanted = narrow[row * sum.size() + a];
      EXPECT_LE(std::abs(sum[a] - wanted),
                ulp * std::abs(wanted) * static_cast<double>(columns.copies[a]));
    }
  }
}

TEST_F(Widen, Property3ProjectedCopiesSumToTheirColumn) {
  for (const DType dtype : {DType::F64, DType::F32, DType::BF16}) {
    const ModelSource source = random_model(tiny_config(), dtype);
    const ModelSource wide = widen(source, {.hidden_size = 27, .intermediate_size = 31});
    const AxisMap hidden = whole_copies_map(8, 27);
    const AxisMap neurons = circular_map(10, 31);
    const std::string gate_up = "layers.1.mlp.gate_up.weight";
    const std::string down = "layers.1.mlp.down.weight";
    std::vector<std::int64_t> both;
    for (std::int64_t half = 0; half < 2; ++half) {
      for (const std::int64_t f : neurons.from) both.push_back(half * 10 + f);
    }
    expect_copies_sum(values_of(*wide.weights, gate_up), values_of(*source.weights, gate_up), hidden,
                      make_axis_map(20, both), epsilon_of(dtype));
    // Rows of the zero channels are zero and have no column to compare with.
    std::vector<double> written = values_of(*wide.weights, down);
    for (std::size_t i = 24 * 31; i < written.size(); ++i) EXPECT_EQ(written[i], 0.0);
    written.resize(24 * 31);
    expect_copies_sum(written, values_of(*source.weights, down), neurons, circular_map(8, 24),
                      epsilon_of(dtype));
  }
}

/// Are rows a and b, or columns a and b, of a [rows, columns] matrix equal bit for bit?
bool equal_columns(const std::vector<double>& w, std::size_t columns, std::size_t a, std::size_t b) {
  for (std::size_t r = 0; r < w.size() / columns; ++r) {
    if (w[r * columns + a] != w[r * columns + b]) return false;
  }
  return true;
}
bool equal_rows(const std::vector<double>& w, std::size_t columns, std::size_t a, std::size_t b) {
  return std::equal(w.begin() + static_cast<std::ptrdiff_t>(a * columns),
                    w.begin() + static_cast<std::ptrdiff_t>((a + 1) * columns),
                    w.begin() + static_cast<std::ptrdiff_t>(b * columns));
}

struct Twins {
  int equal = 0;
  int pairs = 0;
};

/// Twins after a step: channels (embedding columns), neurons (gate and up rows, down columns), heads (q rows).
Twins twins_after_a_step(const std::string& method) {
  ModelConfig config = tiny_config();
  const ModelSource source = random_model(config);
  const ModelSource wide = widen(source, {.method = method,
                                          .hidden_size = 16,
                                          .intermediate_size = 20,
                                          .num_attention_heads = 8});
  const auto stepped = after_a_step(wide);
  Twins twins;
  const auto count = [&](bool equal) {
    twins.equal += equal ? 1 : 0;
    ++twins.pairs;
  };
  const auto embedding = values_of(*stepped, "embedding.weight");
  for (std::size_t i = 0; i < 8; ++i) count(equal_columns(embedding, 16, i, i + 8));
  for (int layer = 0; layer < 3; ++layer) {
    const auto gate_up = values_of(*stepped, format("layers.{}.mlp.gate_up.weight", layer));
    const auto down = values_of(*stepped, format("layers.{}.mlp.down.weight", layer));
    const auto q = values_of(*stepped, format("layers.{}.attention.q_proj.weight", layer));
    for (std::size_t f = 0; f < 10; ++f) {
      count(equal_rows(gate_up, 16, f, f + 10));
      count(equal_columns(down, 20, f, f + 10));
    }
    for (std::size_t head : {0U, 4U}) {  // heads j and j + 2 of a group of four
      for (std::size_t c = 0; c < 12; ++c) count(equal_rows(q, 16, head * 6 + c, (head + 2) * 6 + c));
    }
  }
  return twins;
}

TEST_F(Widen, Property3FpiTwinsStayTwinsAfterAStep) {
  const Twins twins = twins_after_a_step("fpi");
  EXPECT_EQ(twins.equal, twins.pairs);
  const Twins whole = twins_after_a_step("exact");  // at a whole ratio it is FPI
  EXPECT_EQ(whole.equal, whole.pairs);
}

TEST_F(Widen, Property3LemonTwinsPartAtTheFirstStep) {
  const Twins twins = twins_after_a_step("lemon");
  EXPECT_EQ(twins.equal, 0) << "of " << twins.pairs;
}

/// The gradients themselves, not only the weights that started apart.
TEST_F(Widen, Property3LemonTwinsHaveDifferentGradients) {
  const ModelSource source = random_model(tiny_config());
  const ModelSource wide = widen(source, {.hidden_size = 16, .intermediate_size = 20});
  const auto before = values_of(*wide.weights, "embedding.weight");
  const auto after = values_of(*after_a_step(wide), "embedding.weight");
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_TRUE(equal_columns(before, 16, i, i + 8));
    EXPECT_FALSE(equal_columns(after, 16, i, i + 8));
  }
}

/// New blocks that an identity deepening made write zeros; widening must not leave their neurons twins.
TEST_F(Widen, LemonPartsTwinsBehindZeroWeights) {
  const ModelSource deep = deepen(random_model(tiny_config()), "identity", 4);
  const ModelSource wide = widen(deep, {.hidden_size = 16, .intermediate_size = 20});
  EXPECT_LE(logit_jump(deep, wide), kExact);
  const auto down = values_of(*wide.weights, "layers.3.mlp.down.weight");
  for (std::size_t f = 0; f < 10; ++f) EXPECT_FALSE(equal_columns(down, 20, f, f + 10));
}

TEST_F(Widen, NewChannelsLearn) {
  const ModelSource source = random_model(tiny_config());
  for (const char* method : {"exact", "lemon"}) {
    const ModelSource wide = widen(source, {.method = method, .hidden_size = 11});
    const auto stepped = values_of(*after_a_step(wide), "embedding.weight");
    for (std::size_t i = 8; i < 11; ++i) {
      double moved = 0.0;
      for (std::size_t v = 0; v < 29; ++v) moved += std::abs(stepped[v * 11 + i]);
      EXPECT_GT(moved, 0.0) << method << " channel " << i;
      if (i > 8) { EXPECT_FALSE(equal_columns(stepped, 11, i, 8)); }
    }
  }
}

TEST_F(Widen, ExpertsThatTieGoOnToTie) {
  ModelConfig config = tiny_moe_config();
  auto weights = random_weights(config);
  std::vector<double> router = values_of(*weights, "layers.0.moe.router.weight");
  for (std::size_t i = 0; i < 8; ++i) router[8 + i] = router[i];
  weights->add("layers.0.moe.router.weight", {4, 8}, DType::F64, router);
  const ModelSource wide = widen({config, weights}, {.hidden_size = 20});
  EXPECT_TRUE(equal_rows(values_of(*wide.weights, "layers.0.moe.router.weight"), 20, 0, 1));
  EXPECT_FALSE(equal_rows(values_of(*wide.weights, "layers.0.moe.router.weight"), 20, 0, 2));
}

TEST_F(Widen, DrawsAreKeyedBySeedAndPlace) {
  const ModelSource source = random_model(tiny_config());
  const auto stage = make_widen({.hidden_size = 16});
  const auto draw = [&](std::uint64_t seed, int index, const char* name) {
    return values_of(*grow(*stage, source, {.seed = seed, .index = index}).weights, name);
  };
  const char* name = "layers.0.mlp.gate_up.weight";
  EXPECT_EQ(draw(1, 0, name), draw(1, 0, name));
  EXPECT_NE(draw(1, 0, name), draw(2, 0, name));
  EXPECT_NE(draw(1, 0, name), draw(1, 1, name));
}

TEST_F(Widen, MomentsAreCopiedAndNothingElse) {
  const ModelSource source = random_model(tiny_config());
  const auto stage = make_widen({.hidden_size = 11, .intermediate_size = 12});
  const ModelSource moments = grow(*stage, source, {.moments_of = &source});
  const auto wide = values_of(*moments.weights, "layers.2.mlp.gate_up.weight");
  const auto narrow = values_of(*source.weights, "layers.2.mlp.gate_up.weight");
  for (std::size_t half = 0; half < 2; ++half) {
    for (std::size_t f = 0; f < 12; ++f) {
      for (std::size_t i = 0; i < 11; ++i) {
        const double expected = i < 8 ? narrow[(half * 10 + f % 10) * 8 + i] : 0.0;
        EXPECT_EQ(wide[(half * 12 + f) * 11 + i], expected);
      }
    }
  }
  EXPECT_EQ(values_of(*moments.weights, "norm.weight")[3], values_of(*source.weights, "norm.weight")[3]);
}

struct Refused {
  std::string name;
  std::function<void(ModelConfig&)> source;
  WidenConfig to;
  std::string option;
  std::vector<std::string> says;
};

void PrintTo(const Refused& row, std::ostream* out) { *out << row.name; }

class WidenRefuses : public ::testing::TestWithParam<Refused> {};

TEST_P(WidenRefuses, NamingOptionAndWhatIsPossible) {
  ModelConfig config = tiny_config();
  GetParam().source(config);
  const std::string message = refusal([&] { widened(config, GetParam().to); });
  EXPECT_TRUE(message.starts_with("widen." + GetParam().option + ": ")) << message;
  for (const std::string& part : GetParam().says) {
    EXPECT_NE(message.find(part), std::string::npos) << part << " in: " << message;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Requests, WidenRefuses,
    ::testing::Values(
        Refused{"Shrinking", plain, {.hidden_size = 7}, "hidden_size", {"got 7", "8 or more"}},
        Refused{"FewerNeurons", plain, {.intermediate_size = 1}, "intermediate_size", {"10 or more"}},
        Refused{"FewerHeads", plain, {.num_attention_heads = 2}, "num_attention_heads", {"4 or more"}},
        Refused{"FewerGroups", plain, {.num_key_value_heads = 1}, "num_key_value_heads", {"2 or more"}},
        Refused{"HeadsDoNotDivide", plain, {.num_attention_heads = 7}, "num_attention_heads",
                {"7 query heads", "2 groups", "6 or 8"}},
        Refused{"MultiHeadNeedsBoth", [](ModelConfig& c) { c.num_key_value_heads.reset(); },
                {.num_attention_heads = 6}, "num_attention_heads", {"num_key_value_heads: 6", "4 groups"}},
        Refused{"GroupsDoNotDivide", plain, {.num_key_value_heads = 3}, "num_key_value_heads",
                {"4 query heads", "3 groups", "6"}},
        Refused{"HeadsWouldBeLost", [](ModelConfig& c) { c.num_attention_heads = 8; },
                {.num_attention_heads = 9, .num_key_value_heads = 3}, "num_key_value_heads",
                {"num_attention_heads 12"}},
        Refused{"EqualGroups", plain,
                {.method = "aki_pro", .num_attention_heads = 8, .num_key_value_heads = 4},
                "num_key_value_heads", {"aki_pro", "2"}},
        Refused{"ExpertsOfADenseModel", plain, {.moe_intermediate_size = 20}, "moe_intermediate_size",
                {"intermediate_size"}},
        Refused{"SharedExpertOfADenseModel", plain, {.shared_expert_intermediate_size = 20},
                "shared_expert_intermediate_size", {"no shared expert"}},
        Refused{"NeuronsOfNoLayer",
                [](ModelConfig& c) { c.num_experts = 4; c.moe_intermediate_size = 6; },
                {.intermediate_size = 20}, "intermediate_size", {"moe_intermediate_size (now 6)"}}),
    [](const ::testing::TestParamInfo<Refused>& row) { return row.param.name; });

}  // namespace
}  // namespace moe::growth
