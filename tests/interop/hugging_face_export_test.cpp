#include "interop/hugging_face_export.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/format.h"
#include "base/random.h"
#include "checkpoint/memory_source.h"
#include "interop/hf_config_writer.h"
#include "interop/hugging_face_source.h"
#include "interop/random_models.h"
#include "interop/safetensors_writer.h"
#include "interop/support.h"
#include "model/model.h"

namespace moe::interop {
namespace {

using checkpoint::flat_view;
using checkpoint::MemorySource;
using checkpoint::TensorSource;
using ::testing::HasSubstr;
using testing::draw_model;
using testing::put;
using testing::refusal;
using testing::TemporaryFolder;

constexpr std::uint64_t kDraws = 6;

/// Every parameter of the model with bits that any dtype may have, drawn by name and place.
std::shared_ptr<MemorySource> random_weights(const ModelConfig& config, DType dtype) {
  auto source = std::make_shared<MemorySource>("weights");
  Model model(config);
  model.for_each_parameter([&](const nn::Parameter& parameter) {
    std::vector<double> values;
    testing::Dice dice(hash_name(parameter.name()));
    for (std::int64_t i = 0; i < parameter.spec().shape.numel(); ++i) {
      values.push_back(static_cast<double>(dice.between(-1000, 1000)) / 777.0);
    }
    source->add(parameter.name(), parameter.spec().shape, dtype, values);
  });
  return source;
}

std::vector<std::byte> bytes_of(const TensorSource& source, const std::string& name) {
  const auto& info = source.info(name);
  std::vector<std::byte> bytes(
      static_cast<std::size_t>(info.shape.numel() * size_of(info.dtype)));
  source.read(name, flat_view(bytes.data(), info.dtype, info.shape.numel()));
  return bytes;
}

void export_to(const Path& folder, Architecture architecture, const ModelConfig& config,
               std::shared_ptr<const TensorSource> weights, const ExportOptions& options = {}) {
  write_hugging_face_weights(HuggingFaceExport(architecture, std::move(weights)), folder, options);
  put(folder / "config.json", hugging_face_config_text(config, architecture));
}

using Case = std::tuple<Architecture, DType>;
class RoundTrip : public ::testing::TestWithParam<Case> {};

TEST_P(RoundTrip, GivesEveryBitBack) {
  const auto [architecture, dtype] = GetParam();
  for (std::uint64_t seed = 0; seed < kDraws; ++seed) {
    const ModelConfig config = draw_model(architecture, seed);
    const auto weights = random_weights(config, dtype);
    const TemporaryFolder folder(true);
    export_to(folder.path() / "hf", architecture, config, weights,
              {.shard_bytes = seed % 2 == 0 ? 5'000'000'000 : 300});
    const auto back = open_hugging_face(folder.path() / "hf");
    ASSERT_EQ(back->names(), weights->names());
    for (const std::string& name : weights->names()) {
      ASSERT_EQ(back->info(name).dtype, dtype);
      ASSERT_EQ(bytes_of(*back, name), bytes_of(*weights, name)) << name << ", seed " << seed;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    HuggingFaceExport, RoundTrip,
    ::testing::Combine(::testing::ValuesIn(kArchitectures),
                       ::testing::Values(DType::F32, DType::BF16, DType::F16)),
    [](const auto& tested) {
      return format("{}_{}", model_type_of(std::get<0>(tested.param)),
                    to_string(std::get<1>(tested.param)));
    });

TEST(HuggingFaceExport, WritesOneTensorAnExpert) {
  const ModelConfig config{.vocab_size = 10, .hidden_size = 8, .num_hidden_layers = 1,
                           .num_attention_heads = 2, .intermediate_size = 6, .num_experts = 2,
                           .num_experts_per_tok = 1};
  const HuggingFaceExport mixtral(Architecture::Mixtral, random_weights(config, DType::F32));
  EXPECT_EQ(mixtral.info("model.layers.0.block_sparse_moe.experts.1.w2.weight").shape,
            (Shape{8, 6}));
  EXPECT_EQ(mixtral.info("model.layers.0.block_sparse_moe.experts.0.w3.weight").shape,
            (Shape{6, 8}));
  EXPECT_EQ(mixtral.names().size(), 9U + 1U + 2U * 3U);
  EXPECT_FALSE(mixtral.contains("layers.0.moe.experts.down.weight"));
}

TEST(HuggingFaceExport, ReadsAnyWindowOfAPart) {
  const ModelConfig config{.vocab_size = 10, .hidden_size = 8, .num_hidden_layers = 1,
                           .num_attention_heads = 2, .intermediate_size = 6, .num_experts = 3,
                           .num_experts_per_tok = 1};
  const HuggingFaceExport exported(Architecture::Mixtral, random_weights(config, DType::F32));
  const std::string name = "model.layers.0.block_sparse_moe.experts.2.w3.weight";
  std::vector<float> all(48);
  exported.read(name, flat_view(all.data(), DType::F32, 48));
  Slice box = whole(Shape{6, 8});
  box.begin = {2, 3};
  box.size = Shape{3, 4};
  box.flat_begin = 5;
  box.flat_end = 11;
  std::vector<float> part(6);
  exported.read(name, box, flat_view(part.data(), DType::F32, 6));
  for (std::int64_t i = 0; i < 6; ++i) {
    EXPECT_EQ(part[static_cast<std::size_t>(i)],
              all[static_cast<std::size_t>(global_index(box, 5 + i))]);
  }
}

TEST(HuggingFaceExport, RefusesAParameterWithoutATensor) {
  auto weights = random_weights(draw_model(Architecture::Llama, 1), DType::F32);
  weights->add("layers.0.moe.router.weight", Shape{2, 2}, DType::F32, std::vector<double>(4));
  EXPECT_THAT(refusal([&] { HuggingFaceExport(Architecture::Llama, weights); }),
              HasSubstr("LlamaForCausalLM has no tensor for layers.0.moe.router.weight"));
}

TEST(HuggingFaceExport, ConvertsWhenAsked) {
  const ModelConfig config = draw_model(Architecture::Qwen3, 2);
  const auto weights = random_weights(config, DType::F32);
  const TemporaryFolder folder(true);
  export_to(folder.path() / "hf", Architecture::Qwen3, config, weights, {.dtype = DType::BF16});
  const auto back = open_hugging_face(folder.path() / "hf");
  for (const std::string& name : weights->names()) {
    const std::int64_t count = weights->info(name).shape.numel();
    std::vector<std::uint16_t> wanted(static_cast<std::size_t>(count));
    weights->read(name, flat_view(wanted.data(), DType::BF16, count));
    ASSERT_EQ(back->info(name).dtype, DType::BF16);
    EXPECT_EQ(0, std::memcmp(bytes_of(*back, name).data(), wanted.data(), wanted.size() * 2));
  }
}

TEST(HuggingFaceExport, RefusesNumbersThatAreNone) {
  const ModelConfig config = draw_model(Architecture::Mixtral, 1);
  for (const double bad : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    auto weights = random_weights(config, DType::F32);
    const std::string name = "layers.0.moe.experts.down.weight";
    const Shape shape = weights->info(name).shape;
    std::vector<double> values(static_cast<std::size_t>(shape.numel()), 1.0);
    values.back() = bad;
    weights->add(name, shape, DType::F32, values);
    const TemporaryFolder folder(true);
    const std::string message = refusal([&] {
      export_to(folder.path() / "hf", Architecture::Mixtral, config, weights,
                {.require_finite = true});
    });
    EXPECT_THAT(message, HasSubstr(name));
    EXPECT_THAT(message, HasSubstr(format("element {}", shape.numel() - 1)));
    EXPECT_TRUE(std::filesystem::is_empty(folder.path() / "hf"));
  }
}

TEST(HuggingFaceExport, RefusesWhatConvertingMakesInfinite) {
  const ModelConfig config = draw_model(Architecture::Llama, 1);
  auto weights = random_weights(config, DType::F32);
  const Shape shape = weights->info("norm.weight").shape;
  weights->add("norm.weight", shape, DType::F32,
               std::vector<double>(static_cast<std::size_t>(shape.numel()), 3.4e38));
  const TemporaryFolder folder(true);
  export_to(folder.path() / "f32", Architecture::Llama, config, weights, {.require_finite = true});
  EXPECT_THAT(refusal([&] {
                export_to(folder.path() / "bf16", Architecture::Llama, config, weights,
                          {.dtype = DType::BF16, .require_finite = true});
              }),
              HasSubstr("norm.weight"));
}

}  // namespace
}  // namespace moe::interop
