#include "interop/hugging_face_source.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "base/format.h"
#include "checkpoint/memory_source.h"
#include "interop/load_weights.h"
#include "model/model.h"
#include "support/context_test.h"

namespace moe::interop {
namespace {

using checkpoint::MemorySource;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::int64_t kVocabulary = 10;
constexpr std::int64_t kWidth = 8;
constexpr std::int64_t kHidden = 6;
constexpr std::int64_t kExperts = 4;

HuggingFaceConfig config_of(Architecture architecture, bool tied = false) {
  HuggingFaceConfig config;
  config.architecture = architecture;
  config.model = {.vocab_size = kVocabulary,
                  .hidden_size = kWidth,
                  .num_hidden_layers = 1,
                  .num_attention_heads = 2,
                  .intermediate_size = kHidden,
                  .tie_word_embeddings = tied};
  if (architecture != Architecture::Llama) config.model.num_experts = kExperts;
  return config;
}

/// Element i of the tensor, exact in f16 and bf16; the tensor's name decides where it starts.
double value_of(const std::string& name, std::int64_t i) {
  return static_cast<double>((i * 7 + static_cast<std::int64_t>(hash_name(name) % 101)) % 127);
}

void add(MemorySource& source, const std::string& name, const Shape& shape,
         DType dtype = DType::F32) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < shape.numel(); ++i) values.push_back(value_of(name, i));
  source.add(name, shape, dtype, values);
}

void add_backbone(MemorySource& source, DType dtype, bool tied) {
  add(source, "model.embed_tokens.weight", {kVocabulary, kWidth}, dtype);
  add(source, "model.norm.weight", {kWidth}, dtype);
  if (!tied) add(source, "lm_head.weight", {kVocabulary, kWidth}, dtype);
  add(source, "model.layers.0.input_layernorm.weight", {kWidth}, dtype);
  add(source, "model.layers.0.post_attention_layernorm.weight", {kWidth}, dtype);
  for (const char* projection : {"q", "k", "v", "o"}) {
    add(source, format("model.layers.0.self_attn.{}_proj.weight", projection), {kWidth, kWidth},
        dtype);
  }
}

std::shared_ptr<MemorySource> llama(DType dtype = DType::F32, bool tied = false) {
  auto source = std::make_shared<MemorySource>("model folder");
  add_backbone(*source, dtype, tied);
  add(*source, "model.layers.0.mlp.gate_proj.weight", {kHidden, kWidth}, dtype);
  add(*source, "model.layers.0.mlp.up_proj.weight", {kHidden, kWidth}, dtype);
  add(*source, "model.layers.0.mlp.down_proj.weight", {kWidth, kHidden}, dtype);
  return source;
}

std::shared_ptr<MemorySource> olmoe(ExpertSpelling spelling) {
  auto source = std::make_shared<MemorySource>("model folder");
  add_backbone(*source, DType::F32, false);
  const std::string mlp = "model.layers.0.mlp.";
  add(*source, mlp + "gate.weight", {kExperts, kWidth});
  if (spelling == ExpertSpelling::Fused) {
    add(*source, mlp + "experts.gate_up_proj", {kExperts, 2 * kHidden, kWidth});
    add(*source, mlp + "experts.down_proj", {kExperts, kWidth, kHidden});
    return source;
  }
  for (std::int64_t e = 0; e < kExperts; ++e) {
    const std::string expert = format("{}experts.{}.", mlp, e);
    add(*source, expert + "gate_proj.weight", {kHidden, kWidth});
    add(*source, expert + "up_proj.weight", {kHidden, kWidth});
    add(*source, expert + "down_proj.weight", {kWidth, kHidden});
  }
  return source;
}

std::vector<double> read(const checkpoint::TensorSource& source, const std::string& name,
                         const Slice& slice) {
  std::vector<double> values(static_cast<std::size_t>(slice.numel()));
  source.read(name, slice, checkpoint::flat_view(values.data(), DType::F64, slice.numel()));
  return values;
}

std::vector<double> read(const checkpoint::TensorSource& source, const std::string& name) {
  return read(source, name, whole(source.info(name).shape));
}

/// Tensors one behind the other, as our parameter must read.
std::vector<double> joined(const std::vector<std::string>& names, std::int64_t elements) {
  std::vector<double> values;
  for (const std::string& name : names) {
    for (std::int64_t i = 0; i < elements; ++i) values.push_back(value_of(name, i));
  }
  return values;
}

TEST(HuggingFaceSource, ReadsADenseModelInOurShapes) {
  for (const DType dtype : {DType::F32, DType::BF16, DType::F16}) {
    const HuggingFaceSource source(config_of(Architecture::Llama), llama(dtype));
    EXPECT_EQ(source.names().size(), 11U);
    EXPECT_EQ(source.info("layers.0.mlp.gate_up.weight").shape, (Shape{2, kHidden, kWidth}));
    EXPECT_EQ(source.info("layers.0.mlp.gate_up.weight").dtype, dtype);
    EXPECT_EQ(source.info("layers.0.mlp.gate_up.weight").attributes.at("kind"), "mlp");
    EXPECT_EQ(read(source, "layers.0.mlp.gate_up.weight"),
              joined({"model.layers.0.mlp.gate_proj.weight", "model.layers.0.mlp.up_proj.weight"},
                     kHidden * kWidth));
    EXPECT_EQ(read(source, "head.weight"), joined({"lm_head.weight"}, kVocabulary * kWidth));
    EXPECT_EQ(source.find("lm_head.weight"), nullptr);
    EXPECT_THROW(source.info("layers.1.mlp.down.weight"), CheckpointError);
  }
}

TEST(HuggingFaceSource, ReadsExpertsOneByOneAndFused) {
  const std::string mlp = "model.layers.0.mlp.experts.";
  const HuggingFaceSource single(config_of(Architecture::Olmoe), olmoe(ExpertSpelling::PerExpert));
  std::vector<std::string> halves;
  std::vector<std::string> downs;
  for (std::int64_t e = 0; e < kExperts; ++e) {
    halves.push_back(format("{}{}.gate_proj.weight", mlp, e));
    halves.push_back(format("{}{}.up_proj.weight", mlp, e));
    downs.push_back(format("{}{}.down_proj.weight", mlp, e));
  }
  EXPECT_EQ(read(single, "layers.0.moe.experts.gate_up.weight"), joined(halves, kHidden * kWidth));
  EXPECT_EQ(read(single, "layers.0.moe.experts.down.weight"), joined(downs, kHidden * kWidth));

  const HuggingFaceSource fused(config_of(Architecture::Olmoe), olmoe(ExpertSpelling::Fused));
  EXPECT_EQ(read(fused, "layers.0.moe.experts.gate_up.weight"),
            joined({mlp + "gate_up_proj"}, kExperts * 2 * kHidden * kWidth));
  EXPECT_EQ(read(fused, "layers.0.moe.experts.down.weight"),
            joined({mlp + "down_proj"}, kExperts * kWidth * kHidden));
}

/// Every cut that a parallel plan makes: experts, hidden columns, and flat shards of the box.
TEST(HuggingFaceSource, EverySliceReadsItsOwnElements) {
  Placement placement;
  placement.split(0, Role::Expert).split(2, Role::Hidden);
  for (const ExpertSpelling spelling : {ExpertSpelling::PerExpert, ExpertSpelling::Fused}) {
    const HuggingFaceSource source(config_of(Architecture::Olmoe), olmoe(spelling));
    for (const char* name :
         {"layers.0.moe.experts.gate_up.weight", "layers.0.moe.experts.down.weight"}) {
      const Shape shape = source.info(name).shape;
      const std::vector<double> all = read(source, name);
      for (std::int64_t expert = 0; expert < 2; ++expert) {
        for (std::int64_t hidden = 0; hidden < 3; ++hidden) {
          RoleShares shares;
          shares[Role::Expert] = {2, expert};
          shares[Role::Hidden] = {3, hidden};
          const Slice box = place(name, shape, placement, shares);
          for (std::int64_t part = 0; part < 5; ++part) {
            const Slice slice = shard(box, 5, part);
            const std::vector<double> values = read(source, name, slice);
            for (std::int64_t i = 0; i < slice.numel(); ++i) {
              ASSERT_EQ(values[static_cast<std::size_t>(i)],
                        all[static_cast<std::size_t>(global_index(slice, slice.flat_begin + i))])
                  << name << " " << to_string(slice) << " at " << i;
            }
          }
        }
      }
    }
  }
}

std::string refusal(const HuggingFaceConfig& config, std::shared_ptr<MemorySource> weights) {
  try {
    const HuggingFaceSource source(config, std::move(weights));
  } catch (const CheckpointError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(HuggingFaceSource, OldBuffersAreIgnored) {
  const auto weights = llama();
  add(*weights, "model.layers.0.self_attn.rotary_emb.inv_freq", {2});
  EXPECT_EQ(refusal(config_of(Architecture::Llama), weights), "accepted");
}

TEST(HuggingFaceSource, MissingUnexpectedAndIllShapedTensorsAreNamedTogether) {
  const auto weights = llama();
  weights->remove("model.layers.0.mlp.up_proj.weight");
  weights->remove("lm_head.weight");
  add(*weights, "model.layers.0.self_attn.q_proj.bias", {kWidth});
  add(*weights, "model.norm.weight", {kWidth + 1});
  weights->remove("model.embed_tokens.weight");
  add(*weights, "model.embed_tokens.weight", {kVocabulary, kWidth}, DType::I32);
  const std::string message = refusal(config_of(Architecture::Llama), weights);
  EXPECT_THAT(message, HasSubstr("model folder"));
  EXPECT_THAT(message, HasSubstr("missing: model.layers.0.mlp.up_proj.weight [6, 8]"));
  EXPECT_THAT(message, HasSubstr("missing: lm_head.weight [10, 8]"));
  EXPECT_THAT(message, HasSubstr("unexpected: model.layers.0.self_attn.q_proj.bias"));
  EXPECT_THAT(message, HasSubstr("model.norm.weight: expected [8], found [9]"));
  EXPECT_THAT(message, HasSubstr("dtype of model.embed_tokens.weight"));
}

TEST(HuggingFaceSource, AMissingExpertIsNamed) {
  const auto weights = olmoe(ExpertSpelling::PerExpert);
  weights->remove("model.layers.0.mlp.experts.2.down_proj.weight");
  EXPECT_THAT(refusal(config_of(Architecture::Olmoe), weights),
              HasSubstr("missing: model.layers.0.mlp.experts.2.down_proj.weight"));
  const auto extra = olmoe(ExpertSpelling::PerExpert);
  add(*extra, "model.layers.0.mlp.experts.4.down_proj.weight", {kWidth, kHidden});
  EXPECT_THAT(refusal(config_of(Architecture::Olmoe), extra),
              HasSubstr("unexpected: model.layers.0.mlp.experts.4.down_proj.weight"));
}

TEST(HuggingFaceSource, BothSpellingsOfOneExpertAreTooMany) {
  const auto weights = olmoe(ExpertSpelling::PerExpert);
  add(*weights, "model.layers.0.mlp.experts.down_proj", {kExperts, kWidth, kHidden});
  EXPECT_THAT(refusal(config_of(Architecture::Olmoe), weights),
              HasSubstr("unexpected: model.layers.0.mlp.experts.down_proj"));
}

TEST(HuggingFaceSource, ATiedModelMayRepeatItsEmbeddingAsHead) {
  const HuggingFaceConfig tied = config_of(Architecture::Llama, true);
  EXPECT_EQ(refusal(tied, llama(DType::F32, true)), "accepted");
  const auto repeated = llama(DType::F32, true);
  repeated->add("lm_head.weight", {kVocabulary, kWidth}, DType::F32,
                joined({"model.embed_tokens.weight"}, kVocabulary * kWidth));
  EXPECT_EQ(refusal(tied, repeated), "accepted");
  const auto other = llama(DType::F32, false);
  EXPECT_THAT(refusal(tied, other), HasSubstr("tie_word_embeddings"));
}

TEST(HuggingFaceSource, OpensAFolder) {
  const Path fixtures = Path(MOE_SOURCE_DIR) / "tests" / "parity" / "fixtures";
  const auto source = open_hugging_face(fixtures / "qwen2_moe-mixed");
  EXPECT_EQ(source->config().architecture, Architecture::Qwen2Moe);
  EXPECT_EQ(source->info("layers.1.moe.experts.gate_up.weight").shape, (Shape{5, 2, 12, 16}));
  EXPECT_EQ(source->map_of("layers.1.moe.experts.gate_up.weight").parts.size(), 10U);
  EXPECT_THROW(open_hugging_face(fixtures), CheckpointError);
}

class LoadParameters : public moe::testing::ContextTest {};

TEST_F(LoadParameters, FillsMastersAndComputeCopies) {
  const HuggingFaceSource source(config_of(Architecture::Olmoe), olmoe(ExpertSpelling::PerExpert));
  for (const DType dtype : {DType::F32, DType::BF16, DType::F64}) {
    Model model(source.config().model);
    model.allocate(dtype);
    load_parameters(model, source);
    model.for_each_parameter([&](const nn::Parameter& parameter) {
      EXPECT_EQ(parameter.master().to_vector(), read(source, parameter.name())) << parameter.name();
      EXPECT_EQ(parameter.value().to_vector(), parameter.master().to_vector()) << "exact in bf16";
    });
  }
}

TEST_F(LoadParameters, ARankReadsItsExpertsOnly) {
  const HuggingFaceSource source(config_of(Architecture::Olmoe), olmoe(ExpertSpelling::Fused));
  for (std::int64_t rank = 0; rank < 2; ++rank) {
    Model model(source.config().model);
    RoleShares shares;
    shares[Role::Expert] = {2, rank};
    model.for_each_parameter([&](nn::Parameter& parameter) { parameter.place(shares); });
    model.allocate(DType::F32);
    load_parameters(model, source);
    model.for_each_parameter([&](const nn::Parameter& parameter) {
      EXPECT_EQ(parameter.master().to_vector(),
                read(source, parameter.name(), parameter.slice()))
          << parameter.name();
    });
  }
}

TEST_F(LoadParameters, WritesNothingUnlessEverythingFits) {
  const HuggingFaceSource source(config_of(Architecture::Olmoe), olmoe(ExpertSpelling::Fused));
  ModelConfig other = source.config().model;
  other.attention_bias = true;
  other.vocab_size = kVocabulary + 1;
  Model model(other);
  model.materialize(DType::F32, 1);
  const std::vector<double> before = model.parameters().front()->master().to_vector();
  try {
    load_parameters(model, source);
    FAIL() << "accepted";
  } catch (const CheckpointError& error) {
    EXPECT_THAT(error.what(), HasSubstr("missing: layers.0.attention.q_proj.bias"));
    EXPECT_THAT(error.what(), HasSubstr("embedding.weight"));
    EXPECT_THAT(error.what(), Not(HasSubstr("layers.0.moe.router.weight")));
  }
  EXPECT_EQ(model.parameters().front()->master().to_vector(), before);
}

}  // namespace
}  // namespace moe::interop
