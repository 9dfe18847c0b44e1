#include "model/block.h"

#include <cmath>

#include "autograd/tape.h"
#include "model/attention_ranges.h"
#include "model/models.h"
#include "support/expect_close.h"

namespace moe {
namespace {

namespace naive = testing::naive;
using testing::NamedConfig;
using testing::random_tensor;
using testing::small_configs;

class BlockTest : public testing::ContextTest {};

constexpr std::int64_t kTokens = 6;

nn::ForwardContext context_of(const ModelConfig& config, std::int64_t layer) {
  nn::ForwardContext context;
  context.position_T = default_positions(kTokens, 2, 0);
  const std::int64_t window = config.window_of(layer);
  context.range_of_window[window] = attention_range({}, kTokens, 2, 0, window);
  context.real_tokens = kTokens;
  return context;
}

ops::RopeTable table(const ModelConfig& config) {
  return nn::make_rope_table(config.rope_spec(), config.head_width(), 8, DType::F64);
}

TEST_F(BlockTest, EqualsThePlainLayer) {
  for (const NamedConfig& row : small_configs()) {
    Model model(row.config);
    testing::randomize(model);
    testing::NaiveModel plain(model);
    plain.set_sequences(kTokens / 2, {});
    for (std::int64_t layer = 0; layer < row.config.num_hidden_layers; ++layer) {
      SCOPED_TRACE(format("{}, layer {}", row.name, layer));
      Block& block = *model.blocks()[static_cast<std::size_t>(layer)];
      const Tensor x = random_tensor("x", {kTokens, row.config.hidden_size});
      const Block::Output output =
          block.forward(Variable(x), table(row.config), context_of(row.config, layer), false);
      EXPECT_TRUE(
          testing::close_to(output.x_TD.value(),
                            Tensor::from(plain.block(x.to_vector(), layer), x.shape(), DType::F64),
                            DType::F32, testing::reduction_of(row.config)));  // angles are f32
      EXPECT_EQ(output.term.has_value(), row.config.is_sparse(layer));
      EXPECT_EQ(block.sparse() != nullptr, row.config.is_sparse(layer));
      if (output.term) {
        EXPECT_EQ(output.term->layer, layer);
      }
    }
  }
}

TEST_F(BlockTest, RecomputedChangesNoBit) {
  for (const NamedConfig& row : small_configs()) {
    SCOPED_TRACE(row.name);
    std::vector<std::vector<double>> first;
    for (const bool recomputed : {false, true}) {
      Model model(row.config);
      testing::randomize(model, DType::F32);
      const std::int64_t layer = row.config.num_hidden_layers - 1;
      Block& block = *model.blocks().back();
      const Variable x =
          Variable::input(random_tensor("x", {kTokens, row.config.hidden_size}, DType::F32));
      Tape tape;
      std::vector<Variable> outputs;
      std::vector<Tensor> seeds{random_tensor("dy", {kTokens, row.config.hidden_size}, DType::F32)};
      std::vector<std::vector<double>> all;
      {
        const TapeScope scope(&tape);
        const ops::RopeTable rope =
            nn::make_rope_table(row.config.rope_spec(), row.config.head_width(), 8, DType::F32);
        const Block::Output output =
            block.forward(x, rope, context_of(row.config, layer), recomputed);
        outputs.push_back(output.x_TD);
        if (output.term) {
          outputs.push_back(output.term->probability_TE);
          outputs.push_back(output.term->logsumexp_T);
          seeds.push_back(random_tensor("dp", {kTokens, row.config.num_experts}, DType::F32));
          seeds.push_back(random_tensor("dz", {kTokens}, DType::F32));
          EXPECT_EQ(output.term->layer, layer);
          all.push_back(output.term->chosen_TK.to_vector());
          all.push_back(output.term->kept_TK.to_vector());
        }
      }
      for (const Variable& output : outputs) all.push_back(output.value().to_vector());
      tape.backward(outputs, seeds);
      all.push_back(x.gradient().to_vector());
      for (nn::Parameter* p : block.parameters()) {
        EXPECT_TRUE(p->written()) << p->name();
        all.push_back(p->gradient().to_vector());
      }
      if (first.empty()) first = all;
      EXPECT_EQ(all, first);
    }
  }
}

TEST_F(BlockTest, OutputProjectionsStartSmallerByTheDepthIfAsked) {
  for (const bool scaled : {false, true}) {
    for (NamedConfig row : small_configs()) {
      row.config.scaled_output_init = scaled;
      row.config.num_hidden_layers = 3;
      row.config.layer_types.resize(row.config.layer_types.empty() ? 0 : 3, "full_attention");
      for (std::int64_t layer = 0; layer < 3; ++layer) {
        Block block(row.config, layer);
        for (const nn::Parameter* p : block.parameters()) {
          if (p->spec().initializer.kind != nn::Initializer::Kind::Normal) continue;
          const bool output =
              p->name().ends_with(".o_proj.weight") || p->name().ends_with(".down.weight");
          const double expected = output && scaled ? 0.4 / std::sqrt(6.0) : 0.4;
          EXPECT_DOUBLE_EQ(p->spec().initializer.deviation, expected) << row.name << p->name();
        }
      }
    }
  }
}

TEST_F(BlockTest, ConfigReachesTheLayersParts) {
  ModelConfig config = testing::sparse_config();
  config.capacity_factor = 1.5;
  config.eval_capacity_factor = 2.5;
  config.drop_policy = "weight";
  config.hidden_act = "gelu";
  config.norm_topk_prob = false;
  config.shared_expert_intermediate_size = 7;
  config.shared_expert_gate = true;
  Block block(config, 1);
  const MoeLayerSpec& spec = block.sparse()->spec();
  EXPECT_EQ(spec.name, "layers.1.moe");
  EXPECT_EQ(spec.layer, 1);
  EXPECT_EQ(spec.capacity_factor, 1.5);
  EXPECT_EQ(spec.eval_capacity_factor, 2.5);
  EXPECT_TRUE(spec.drop_by_weight);
  EXPECT_EQ(spec.shared_hidden, 7);
  EXPECT_TRUE(spec.shared_gated);
  EXPECT_FALSE(spec.router.renormalize);
  EXPECT_EQ(spec.router.experts, 4);
  EXPECT_EQ(spec.router.choices, 2);
  EXPECT_EQ(spec.experts.hidden, 6);
  EXPECT_EQ(spec.experts.activation, ops::ActivationKind::GeluErf);
  config.drop_policy = "position";
  EXPECT_FALSE(Block(config, 0).sparse()->spec().drop_by_weight);
}

}  // namespace
}  // namespace moe
