// Exact growth of models nobody chose by hand: sizes, features and chains of stages are drawn.
#include "growth/support.h"

namespace moe::growth {
namespace {

/// A stream of small decisions.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed, "dice") {}
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(
                     random_.below(static_cast<std::uint64_t>(high - low + 1), next_++));
  }
  bool coin() { return between(0, 1) == 1; }
  template <class T>
  T one_of(std::initializer_list<T> values) {
    return values.begin()[between(0, static_cast<std::int64_t>(values.size()) - 1)];
  }

 private:
  Random random_;
  std::uint64_t next_ = 0;
};

void draw_experts(Dice& dice, ModelConfig& config) {
  config.num_experts = dice.between(1, 5);
  config.num_experts_per_tok = dice.between(1, config.num_experts);
  config.norm_topk_prob = dice.coin();
  if (dice.coin()) config.moe_intermediate_size = dice.between(1, 9);
  if (dice.coin()) config.shared_expert_intermediate_size = dice.between(1, 6);
  config.shared_expert_gate = config.shared_expert_intermediate_size > 0 && dice.coin();
  config.sparse_layers = dice.one_of<const char*>({"all", "step", "after_dense", "list"});
  config.decoder_sparse_step = dice.between(1, config.num_hidden_layers);
  config.first_k_dense_replace = dice.between(0, config.num_hidden_layers - 1);
  config.sparse_layer_list = {dice.between(0, config.num_hidden_layers - 1)};
}

ModelConfig draw_config(Dice& dice) {
  ModelConfig config = tiny_config();
  config.hidden_size = dice.between(1, 12);
  config.num_hidden_layers = dice.between(1, 4);
  config.num_key_value_heads = dice.between(1, 3);
  config.num_attention_heads = *config.num_key_value_heads * dice.between(1, 3);
  config.head_dim = 2 * dice.between(1, 4);
  config.intermediate_size = dice.between(1, 12);
  config.attention_bias = dice.coin();
  config.attention_output_bias = dice.coin();
  config.tie_word_embeddings = dice.coin();
  config.mlp_gated = dice.coin();
  config.qk_norm = dice.one_of<const char*>({"none", "per_head", "whole"});
  config.hidden_act = dice.one_of<const char*>({"silu", "gelu", "gelu_pytorch_tanh", "relu2"});
  if (dice.between(0, 3) == 0) config.clip_qkv = 0.5;
  if (dice.between(0, 3) == 0) config.sliding_window = dice.between(1, 5);
  if (dice.coin()) draw_experts(dice, config);
  return config;
}

std::unique_ptr<Stage> draw_widen(Dice& dice, const ModelConfig& config) {
  WidenConfig to{.method = dice.one_of<const char*>({"fpi", "exact", "lemon"})};
  const std::int64_t hidden = config.hidden_size;
  to.hidden_size = to.method == "fpi" ? hidden * dice.between(1, 3) : hidden + dice.between(0, 15);
  if (config.num_experts == 0) to.intermediate_size = config.intermediate_size + dice.between(0, 20);
  if (config.num_experts > 0) to.moe_intermediate_size = config.expert_width() + dice.between(0, 9);
  const std::int64_t groups = config.key_value_heads();
  const std::int64_t group = config.num_attention_heads / groups;
  to.num_key_value_heads = groups + dice.between(0, 4);
  const std::int64_t copies = *to.num_key_value_heads / groups;
  const std::int64_t least = (group + copies - 1) / copies;  // no head may be lost
  std::int64_t heads = *to.num_key_value_heads * (least + dice.between(0, 2));
  while (heads < config.num_attention_heads) heads += *to.num_key_value_heads;
  to.num_attention_heads = heads;
  return make_widen(to);
}

std::string describe(const ModelConfig& c) {
  return format("D {} L {} H {} K {} hd {} F {} E {}/{} bias {}{} tied {} gated {} norm {}", c.hidden_size,
                c.num_hidden_layers, c.num_attention_heads, c.key_value_heads(), c.head_width(),
                c.intermediate_size, c.num_experts, c.num_experts_per_tok, c.attention_bias,
                c.attention_output_bias, c.tie_word_embeddings, c.mlp_gated, c.qk_norm);
}

class RandomGrowth : public GrowthTest {};

TEST_F(RandomGrowth, ChainsOfExactStagesKeepTheFunction) {
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    Dice dice(seed);
    const ModelSource source = random_model(draw_config(dice));
    ModelSource model = source;
    const std::int64_t stages = dice.between(1, 3);
    for (int index = 0; index < stages; ++index) {
      const std::unique_ptr<Stage> stage =
          dice.between(0, 3) > 0
              ? draw_widen(dice, model.config)
              : make_deepen({"identity", model.config.num_hidden_layers + dice.between(0, 5)});
      EXPECT_TRUE(stage->keeps_function(model.config));
      model = grow(*stage, model, {.seed = seed, .index = index});
    }
    EXPECT_LE(logit_jump(source, model), static_cast<double>(stages) * kExact)
        << seed << ": " << describe(source.config) << "\n -> " << describe(model.config);
  }
}

}  // namespace
}  // namespace moe::growth
