#include "interop/hf_config_writer.h"

#include <gmock/gmock.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/format.h"
#include "interop/model_facts.h"
#include "interop/random_models.h"
#include "interop/support.h"

namespace moe::interop {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::draw_model;
using testing::refusal;

constexpr std::uint64_t kDraws = 200;

std::vector<std::string> differences(const ModelConfig& a, const ModelConfig& b) {
  std::vector<std::string> all;
  for (const auto& [field, left, right] : compare_facts(a, b)) {
    all.push_back(format("{}: {} and {}", field, left, right));
  }
  return all;
}

class EveryArchitecture : public ::testing::TestWithParam<Architecture> {};

TEST_P(EveryArchitecture, ReaderUndoesTheWriterForRandomModels) {
  for (std::uint64_t seed = 0; seed < kDraws; ++seed) {
    const ModelConfig model = draw_model(GetParam(), seed);
    const std::string text = hugging_face_config_text(model, GetParam(), {.dtype = "bfloat16"});
    const HuggingFaceConfig read = parse_hugging_face_config(text, "config.json");
    EXPECT_EQ(read.architecture, GetParam());
    EXPECT_EQ(read.dtype, "bfloat16");
    EXPECT_THAT(read.notes, IsEmpty());
    ASSERT_THAT(differences(model, read.model), IsEmpty()) << "seed " << seed << "\n" << text;
    EXPECT_EQ(read.model.initializer_range, model.initializer_range);
    if (model.num_experts > 0) {
      EXPECT_DOUBLE_EQ(read.model.router_aux_loss_coef, model.router_aux_loss_coef);
    }
  }
}

TEST_P(EveryArchitecture, WritingWhatWasReadChangesNoByte) {
  for (std::uint64_t seed = 0; seed < kDraws; ++seed) {
    // The coefficient is divided and multiplied by the choices; powers of two lose nothing.
    ModelConfig model = draw_model(GetParam(), seed);
    model.router_aux_loss_coef = 0;
    const std::string text = hugging_face_config_text(model, GetParam());
    const ModelConfig read = parse_hugging_face_config(text, "config.json").model;
    ASSERT_EQ(hugging_face_config_text(read, GetParam()), text) << "seed " << seed;
  }
}

TEST_P(EveryArchitecture, IsChosenForItsOwnModelsWhenPreferred) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const ModelConfig model = draw_model(GetParam(), seed);
    EXPECT_EQ(choose_architecture(model, GetParam(), {}), GetParam());
    EXPECT_EQ(choose_architecture(model, {}, GetParam()), GetParam());
    EXPECT_THAT(obstacles(choose_architecture(model, {}, {}), model), IsEmpty());
  }
}

TEST_P(EveryArchitecture, SpellsRopeForOldAndNewReaders) {
  ModelConfig model = draw_model(GetParam(), 3);
  model.rope_theta = 5e5;
  model.rope_scaled = true;
  model.rope_scaling = {"linear", 4.0};
  const auto json = nlohmann::json::parse(hugging_face_config_text(model, GetParam()));
  EXPECT_EQ(json["rope_theta"], 5e5);
  EXPECT_EQ(json["rope_scaling"]["rope_type"], "linear");
  EXPECT_EQ(json["rope_scaling"]["type"], "linear");
  EXPECT_EQ(json["rope_scaling"]["factor"], 4.0);
  EXPECT_EQ(json["rope_parameters"]["rope_theta"], 5e5);
  EXPECT_EQ(json["rope_parameters"]["factor"], 4.0);
}

INSTANTIATE_TEST_SUITE_P(HfConfigWriter, EveryArchitecture, ::testing::ValuesIn(kArchitectures),
                         [](const auto& tested) { return std::string(model_type_of(tested.param)); });

struct Obstacle {
  Architecture architecture;
  std::function<void(ModelConfig&)> change;
  std::string field;
};

TEST(HfConfigWriter, NamesTheFieldThatAnArchitectureCannotExpress) {
  const std::vector<Obstacle> table{
      {Architecture::Llama, [](auto& c) { c.qk_norm = "per_head"; }, "qk_norm"},
      {Architecture::Llama, [](auto& c) { c.attention_bias = !c.attention_output_bias; },
       "attention_output_bias"},
      {Architecture::Llama, [](auto& c) { c.sliding_window = 4; }, "sliding_window"},
      {Architecture::Llama, [](auto& c) { c.mlp_gated = false; }, "mlp_gated"},
      {Architecture::Llama, [](auto& c) { c.clip_qkv = 1.0; }, "clip_qkv"},
      {Architecture::Llama, [](auto& c) { c.num_experts = 4; }, "num_experts"},
      {Architecture::Mistral, [](auto& c) { c.attention_bias = true; }, "attention_bias"},
      {Architecture::Mistral,
       [](auto& c) {
         c.num_hidden_layers = 2;
         c.sliding_window = 4;
         c.layer_types = {"sliding_attention", "full_attention"};
       },
       "sliding_window"},
      {Architecture::Qwen2, [](auto& c) { c.attention_bias = false; }, "attention_bias"},
      {Architecture::Qwen3, [](auto& c) { c.qk_norm = "whole"; }, "qk_norm"},
      {Architecture::Mixtral, [](auto& c) { c.norm_topk_prob = false; }, "norm_topk_prob"},
      {Architecture::Mixtral, [](auto& c) { c.shared_expert_intermediate_size = 4; },
       "shared_expert_intermediate_size"},
      {Architecture::Mixtral,
       [](auto& c) {
         c.num_hidden_layers = 3;
         c.mlp_only_layers = {1};
       },
       "sparse_layers"},
      {Architecture::Mixtral, [](auto& c) { c.eval_capacity_factor = 1.5; },
       "eval_capacity_factor"},
      {Architecture::Mixtral, [](auto& c) { c.num_experts = 0; }, "num_experts"},
      {Architecture::Qwen2Moe, [](auto& c) { c.shared_expert_gate = false; },
       "shared_expert_gate"},
      {Architecture::Qwen2Moe,
       [](auto& c) {
         c.shared_expert_gate = false;
         c.shared_expert_intermediate_size = 0;
       },
       "shared_expert_intermediate_size"},
      {Architecture::Qwen3Moe, [](auto& c) { c.qk_norm = "none"; }, "qk_norm"},
      {Architecture::Olmoe, [](auto& c) { c.sliding_window = 8; }, "sliding_window"},
      {Architecture::Olmoe, [](auto& c) { c.qk_norm = "per_head"; }, "qk_norm"},
  };
  for (const Obstacle& row : table) {
    ModelConfig model = draw_model(row.architecture, 1);
    model.layer_types.clear();
    model.sliding_window.reset();
    row.change(model);
    const auto reasons = obstacles(row.architecture, model);
    EXPECT_THAT(reasons, ::testing::Contains(HasSubstr(row.field))) << to_string(row.architecture);
    const std::string message =
        refusal([&] { (void)hugging_face_config_text(model, row.architecture); });
    EXPECT_THAT(message, HasSubstr(row.field));
    EXPECT_THAT(message, HasSubstr(std::string(to_string(row.architecture))));
    EXPECT_THAT(refusal([&] { (void)choose_architecture(model, {}, row.architecture); }),
                HasSubstr(row.field));
  }
}

TEST(HfConfigWriter, ChoosesTheFirstArchitectureThatFits) {
  ModelConfig dense{.vocab_size = 10, .hidden_size = 8, .num_hidden_layers = 2,
                    .num_attention_heads = 2, .intermediate_size = 6};
  EXPECT_EQ(choose_architecture(dense, {}, {}), Architecture::Llama);
  EXPECT_EQ(choose_architecture(dense, Architecture::Mistral, {}), Architecture::Mistral);
  EXPECT_EQ(choose_architecture(dense, Architecture::Qwen3, {}), Architecture::Llama);
  dense.sliding_window = 3;
  EXPECT_EQ(choose_architecture(dense, {}, {}), Architecture::Mistral);
  ModelConfig sparse = dense;
  sparse.sliding_window.reset();
  sparse.num_experts = 4;
  EXPECT_EQ(choose_architecture(sparse, {}, {}), Architecture::Mixtral);
  sparse.qk_norm = "per_head";
  sparse.norm_topk_prob = false;
  EXPECT_EQ(choose_architecture(sparse, {}, {}), Architecture::Qwen3Moe);
  sparse.qk_norm = "whole";
  EXPECT_EQ(choose_architecture(sparse, {}, {}), Architecture::Olmoe);
}

TEST(HfConfigWriter, TellsTheNearestArchitectureWhereNoneFits) {
  ModelConfig model{.vocab_size = 10, .hidden_size = 8, .num_hidden_layers = 2,
                    .num_attention_heads = 2, .intermediate_size = 6, .num_experts = 4};
  model.norm_topk_prob = false;
  const std::string message = refusal([&] { (void)choose_architecture(model, {}, {}); });
  EXPECT_THAT(message, HasSubstr("MixtralForCausalLM cannot express"));
  EXPECT_THAT(message, HasSubstr("norm_topk_prob: this model has false"));
}

TEST(HfConfigWriter, WritesIdsAsTheyAre) {
  const ModelConfig model = draw_model(Architecture::Llama, 1);
  const auto parse = [&](const HuggingFaceExtras& extras) {
    return nlohmann::json::parse(hugging_face_config_text(model, Architecture::Llama, extras));
  };
  EXPECT_TRUE(parse({})["bos_token_id"].is_null());
  EXPECT_TRUE(parse({})["eos_token_id"].is_null());
  EXPECT_FALSE(parse({}).contains("torch_dtype"));
  EXPECT_EQ(parse({.bos_token_id = 1, .eos_token_ids = {2}})["eos_token_id"], 2);
  EXPECT_EQ(parse({.eos_token_ids = {2, 3}})["eos_token_id"], nlohmann::json({2, 3}));
}

TEST(HfConfigWriter, KnowsArchitecturesByBothNames) {
  EXPECT_EQ(architecture_from("qwen3_moe"), Architecture::Qwen3Moe);
  EXPECT_EQ(architecture_from("OlmoeForCausalLM"), Architecture::Olmoe);
  EXPECT_THROW(architecture_from("gpt2"), ConfigError);
  EXPECT_THROW(architecture_from(""), ConfigError);
}

TEST(HfConfigWriter, NotesWhatOnlyTrainingKnows) {
  ModelConfig model = draw_model(Architecture::Mixtral, 1);
  EXPECT_THAT(export_notes(model, Architecture::Mixtral), IsEmpty());
  model.capacity_factor = 1.25;
  model.router_z_loss_coef = 1e-3;
  EXPECT_THAT(export_notes(model, Architecture::Mixtral),
              ElementsAre(HasSubstr("capacity_factor"), HasSubstr("router_z_loss_coef")));
}

TEST(ModelFacts, SeeThroughSpellings) {
  ModelConfig a{.hidden_size = 8, .num_hidden_layers = 3, .num_attention_heads = 2};
  ModelConfig b = a;
  b.num_key_value_heads = 2;
  b.head_dim = 4;
  b.hidden_act = "swish";
  b.rope_scaled = true;  // of type default
  EXPECT_THAT(compare_facts(a, b), IsEmpty());
  a.num_experts = b.num_experts = 2;
  a.sparse_layers = "after_dense";
  a.first_k_dense_replace = 1;
  b.sparse_layers = "list";
  b.sparse_layer_list = {1, 2};
  EXPECT_THAT(compare_facts(a, b), IsEmpty());
  b.sparse_layer_list = {2};
  EXPECT_THAT(differences(a, b), ElementsAre(HasSubstr("sparse_layers")));
}

TEST(ModelFacts, IgnoreWidthsThatNoLayerHas) {
  ModelConfig a{.num_experts = 4, .moe_intermediate_size = 7};
  ModelConfig b = a;
  b.intermediate_size = 99;
  EXPECT_THAT(compare_facts(a, b), IsEmpty());
  b.moe_intermediate_size = 8;
  EXPECT_THAT(differences(a, b), ElementsAre("moe_intermediate_size: 7 and 8"));
}

}  // namespace
}  // namespace moe::interop
