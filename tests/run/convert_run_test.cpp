#include "run/convert_run.h"

#include <gmock/gmock.h>

#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/format.h"
#include "checkpoint/layout_digest.h"
#include "checkpoint/memory_source.h"
#include "interop/random_models.h"
#include "model/model.h"
#include "run/loaded_model.h"
#include "support/bad_directories.h"
#include "support/temporary_folder.h"

namespace moe::run {
namespace {

using checkpoint::layout_digest;
using checkpoint::MemorySource;
using checkpoint::TensorSource;
using interop::Architecture;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::UnorderedElementsAre;
using testing::TemporaryFolder;

std::shared_ptr<const TensorSource> weights_of(const ModelConfig& config, DType dtype) {
  auto source = std::make_shared<MemorySource>("weights");
  const auto shapes = shapes_of(config, dtype, "");
  for (const std::string& name : shapes->names()) {
    std::vector<double> values;
    interop::testing::Dice dice(name.size());
    for (std::int64_t i = 0; i < shapes->info(name).shape.numel(); ++i) {
      values.push_back(static_cast<double>(dice.between(-999, 999)) / 333.0);
    }
    source->add(name, shapes->info(name).shape, dtype, values);
  }
  return source;
}

ModelToWrite model_of(Architecture architecture, std::uint64_t seed, DType dtype = DType::F32) {
  ModelToWrite model;
  model.model.config = interop::testing::draw_model(architecture, seed);
  model.model.weights = weights_of(model.model.config, dtype);
  return model;
}

WriteModelOptions to(const Path& output, ModelFormat format) {
  WriteModelOptions options;
  options.output = output;
  options.format = format;
  options.progress = false;
  return options;
}

void convert(const Path& source, const Path& output, ModelFormat format,
             std::optional<DType> dtype = {}) {
  ConvertOptions options;
  options.source = source;
  options.write = to(output, format);
  options.write.dtype = dtype;
  (void)convert_model(options);
}

void expect_same_weights(const TensorSource& a, const TensorSource& b) {
  ASSERT_EQ(a.names(), b.names());
  for (const std::string& name : a.names()) {
    ASSERT_EQ(a.info(name).shape, b.info(name).shape);
    ASSERT_EQ(a.info(name).dtype, b.info(name).dtype);
    ASSERT_EQ(layout_digest(a, name), layout_digest(b, name)) << name;
  }
}

std::vector<std::string> names_in(const Path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

template <class Thrown = CheckpointError>
std::string refusal(const std::function<void()>& body) {
  try {
    body();
  } catch (const Thrown& error) {
    return error.what();
  }
  return "";
}

class Convert : public ::testing::TestWithParam<Architecture> {};

TEST_P(Convert, NativeToHuggingFaceToNativeGivesEveryBitBack) {
  for (const DType dtype : {DType::F32, DType::BF16, DType::F16}) {
    const TemporaryFolder folder(true);
    ModelToWrite model = model_of(GetParam(), 7, dtype);
    model.architecture = GetParam();
    write_model(model, to(folder / "a", ModelFormat::Native));
    convert(folder / "a", folder / "b", ModelFormat::HuggingFace);
    convert(folder / "b", folder / "c", ModelFormat::Native);
    convert(folder / "c", folder / "d", ModelFormat::HuggingFace);
    const StoredModel first = open_model(folder / "a");
    const StoredModel last = open_model(folder / "c");
    expect_same_weights(*model.model.weights, *first.model.weights);
    expect_same_weights(*model.model.weights, *last.model.weights);
    EXPECT_EQ(read_file(folder / "b/config.json"), read_file(folder / "d/config.json"));
    EXPECT_EQ(read_file(folder / "b/model.safetensors"), read_file(folder / "d/model.safetensors"));
    const auto json = nlohmann::json::parse(read_file(folder / "b/config.json"));
    EXPECT_EQ(json["torch_dtype"], dtype == DType::F32    ? "float32"
                                   : dtype == DType::BF16 ? "bfloat16"
                                                          : "float16");
  }
}

TEST_P(Convert, RemembersWhereAModelCameFrom) {
  const TemporaryFolder folder(true);
  ModelToWrite model = model_of(GetParam(), 3);
  model.architecture = GetParam();
  write_model(model, to(folder / "hf", ModelFormat::HuggingFace));
  convert(folder / "hf", folder / "native", ModelFormat::Native);
  EXPECT_EQ(open_model(folder / "native").architecture, GetParam());
  // Through a second checkpoint too.
  convert(folder / "native", folder / "again", ModelFormat::Native);
  EXPECT_EQ(open_model(folder / "again").architecture, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Every, Convert, ::testing::ValuesIn(interop::kArchitectures),
                         [](const auto& tested) { return std::string(model_type_of(tested.param)); });

TEST(ConvertRun, ChangesTheDTypeOfAnyFormatToAny) {
  const TemporaryFolder folder(true);
  const ModelToWrite model = model_of(Architecture::Llama, 1, DType::F32);
  write_model(model, to(folder / "n32", ModelFormat::Native));
  convert(folder / "n32", folder / "n16", ModelFormat::Native, DType::BF16);
  convert(folder / "n32", folder / "h16", ModelFormat::HuggingFace, DType::BF16);
  convert(folder / "h16", folder / "h32", ModelFormat::HuggingFace, DType::F32);
  convert(folder / "h32", folder / "h16again", ModelFormat::HuggingFace, DType::BF16);
  expect_same_weights(*open_model(folder / "n16").model.weights,
                      *open_model(folder / "h16").model.weights);
  EXPECT_EQ(dominant_dtype(*open_model(folder / "h32").model.weights), DType::F32);
  EXPECT_EQ(read_file(folder / "h16/model.safetensors"),
            read_file(folder / "h16again/model.safetensors"));
}

TEST(ConvertRun, CutsShardsAndNamesThemInTheIndex) {
  const TemporaryFolder folder(true);
  const ModelToWrite model = model_of(Architecture::Mixtral, 2);
  WriteModelOptions options = to(folder / "hf", ModelFormat::HuggingFace);
  options.shard_bytes = 700;
  const WrittenModel written = write_model(model, options);
  EXPECT_TRUE(std::filesystem::exists(folder / "hf/model.safetensors.index.json"));
  const auto index =
      nlohmann::json::parse(read_file(folder / "hf/model.safetensors.index.json"));
  EXPECT_EQ(index["metadata"]["total_size"], written.bytes);
  EXPECT_EQ(static_cast<std::int64_t>(index["weight_map"].size()), written.tensors);
  expect_same_weights(*model.model.weights, *open_model(folder / "hf").model.weights);
}

TEST(ConvertRun, CarriesTokenizerFilesBothWays) {
  const TemporaryFolder folder(true);
  auto made = testing::tiny_llama();
  made.config["eos_token_id"] = {7, 8};
  made.config["bos_token_id"] = 3;
  made.files["tokenizer_config.json"] = "{\"a\": 1}";
  made.files["special_tokens_map.json"] = "{}";
  made.files["README.md"] = "stays behind";
  made.write(folder / "hf");
  convert(folder / "hf", folder / "native", ModelFormat::Native);
  convert(folder / "native", folder / "back", ModelFormat::HuggingFace);
  EXPECT_THAT(names_in(folder / "back"),
              UnorderedElementsAre("config.json", "generation_config.json", "model.safetensors",
                                   "special_tokens_map.json", "tokenizer_config.json"));
  EXPECT_EQ(read_file(folder / "back/tokenizer_config.json"), "{\"a\": 1}");
  const auto config = nlohmann::json::parse(read_file(folder / "back/config.json"));
  EXPECT_EQ(config["eos_token_id"], nlohmann::json({7, 8}));
  EXPECT_EQ(config["bos_token_id"], 3);
}

TEST(ConvertRun, KeepsAGenerationConfigAsItIs) {
  const TemporaryFolder folder(true);
  auto made = testing::tiny_llama();
  made.config["eos_token_id"] = 9;
  made.files["generation_config.json"] = "{\"eos_token_id\": 5, \"temperature\": 0.6}";
  made.write(folder / "hf");
  convert(folder / "hf", folder / "native", ModelFormat::Native);
  convert(folder / "native", folder / "back", ModelFormat::HuggingFace);
  EXPECT_EQ(read_file(folder / "back/generation_config.json"),
            "{\"eos_token_id\": 5, \"temperature\": 0.6}");
  EXPECT_EQ(nlohmann::json::parse(read_file(folder / "back/config.json"))["eos_token_id"], 5);
}

TEST(ConvertRun, BytesOfACheckpointNeedNoTokenizerFile) {
  const TemporaryFolder folder(true);
  ModelToWrite model = model_of(Architecture::Llama, 1);
  model.files = {{"tokenizer.name", "bytes\n"}};
  write_model(model, to(folder / "native", ModelFormat::Native));
  EXPECT_THAT(open_model(folder / "native").files, ElementsAre(Key("tokenizer.name")));
  convert(folder / "native", folder / "hf", ModelFormat::HuggingFace);
  EXPECT_FALSE(std::filesystem::exists(folder / "hf/tokenizer.name"));
  const auto generation = nlohmann::json::parse(read_file(folder / "hf/generation_config.json"));
  EXPECT_EQ(generation["eos_token_id"], 256);
  const auto tokenizer = nlohmann::json::parse(read_file(folder / "hf/tokenizer.json"));
  EXPECT_EQ(tokenizer["model"]["vocab"].size(), 256U);
  EXPECT_EQ(tokenizer["model"]["vocab"]["a"], 97);
  EXPECT_EQ(tokenizer["model"]["vocab"]["\u0120"], 32);  // as byte-level tokenizers spell the space
  EXPECT_EQ(tokenizer["added_tokens"][0]["id"], 256);
}

TEST(ConvertRun, ATokenizerThatWeCannotReadIsCarriedAlong) {
  const TemporaryFolder folder(true);
  auto made = testing::tiny_llama();
  made.files["tokenizer.model"] = "not a model";
  made.write(folder / "hf");
  convert(folder / "hf", folder / "native", ModelFormat::Native);
  const StoredModel stored = open_model(folder / "native");  // a warning said why
  EXPECT_EQ(stored.files.at("tokenizer.model"), "not a model");
  EXPECT_FALSE(stored.files.contains("tokenizer.name"));
}

TEST(ConvertRun, ACheckpointOpensAsEveryKindOfFolder) {
  const TemporaryFolder folder(true);
  const ModelToWrite model = model_of(Architecture::Qwen3Moe, 4);
  write_model(model, to(folder / "out", ModelFormat::Native));
  for (const char* path : {"out", "out/checkpoints", "out/checkpoints/step_00000000"}) {
    expect_same_weights(*open_model(folder / path).model.weights, *model.model.weights);
  }
  const StoredModel stored = open_model(folder / "out");
  EXPECT_EQ(stored.run->name, "out");
  EXPECT_EQ(print_run_config(*stored.run),
            print_run_config(parse_run_config(print_run_config(*stored.run), "again")));
}

TEST(ConvertRun, KeepsTheRunsConfigStatesAndReports) {
  const TemporaryFolder folder(true);
  ModelToWrite model = model_of(Architecture::Llama, 4);
  model.run = RunConfig{};
  model.run->data.train = {"somewhere"};
  model.run->training.steps = 17;
  model.run->training.sequence_length = 1 << 20;
  model.states = {{"growth", R"({"stages":[]})"}};
  model.reports = {{"growth.json", "{}\n"}};
  write_model(model, to(folder / "out", ModelFormat::Native));
  const StoredModel stored = open_model(folder / "out");
  EXPECT_THAT(stored.run->data.train, ElementsAre("somewhere"));
  EXPECT_EQ(stored.run->training.steps, 17);
  EXPECT_EQ(stored.run->training.sequence_length, model.model.config.max_position_embeddings);
  EXPECT_EQ(stored.model.weights->metadata("growth"), R"({"stages":[]})");
  EXPECT_EQ(read_file(folder / "out/growth.json"), "{}\n");
}

TEST(ConvertRun, AFolderWithOnlyAConfigHasShapes) {
  const TemporaryFolder folder(true);
  auto made = testing::tiny_mixtral();
  made.removed = {"model.safetensors"};
  made.write(folder / "hf");
  const StoredModel stored = open_model(folder / "hf");
  EXPECT_FALSE(stored.has_weights);
  EXPECT_EQ(stored.model.weights->info("layers.0.moe.experts.gate_up.weight").shape,
            (Shape{2, 2, 6, 8}));
  std::vector<float> values(8);
  EXPECT_THAT(refusal([&] {
                stored.model.weights->read("norm.weight",
                                           checkpoint::flat_view(values.data(), DType::F32, 8));
              }),
              HasSubstr("only shapes"));
  EXPECT_EQ(digest_of(stored).size(), 32U);
}

TEST(ConvertRun, DigestsChangeWithTheWeights) {
  const TemporaryFolder folder(true);
  auto made = testing::tiny_llama();
  made.write(folder / "a");
  made.write(folder / "b");
  made.tensor("model.norm.weight").data[1] = 'x';
  made.write(folder / "c");
  const std::string digest = digest_of(open_model(folder / "a"));
  EXPECT_EQ(digest, digest_of(open_model(folder / "b")));
  EXPECT_NE(digest, digest_of(open_model(folder / "c")));
  convert(folder / "a", folder / "na", ModelFormat::Native);
  convert(folder / "c", folder / "nc", ModelFormat::Native);
  EXPECT_NE(digest_of(open_model(folder / "na")), digest_of(open_model(folder / "nc")));
}

TEST(ConvertRun, RefusesWhatNoArchitectureExpressesBeforeWriting) {
  const TemporaryFolder folder(true);
  ModelToWrite model = model_of(Architecture::Mixtral, 2);
  model.model.config.norm_topk_prob = false;
  EXPECT_THAT(refusal([&] { write_model(model, to(folder / "hf", ModelFormat::HuggingFace)); }),
              HasSubstr("norm_topk_prob"));
  EXPECT_THAT(names_in(folder.path()), IsEmpty());
}

TEST(ConvertRun, RefusesAnOutputThatExists) {
  const TemporaryFolder folder(true);
  testing::tiny_llama().write(folder / "hf");
  std::filesystem::create_directories(folder / "out/kept");
  EXPECT_THAT(refusal([&] { convert(folder / "hf", folder / "out", ModelFormat::Native); }),
              HasSubstr("exists already"));
  EXPECT_THAT(refusal([&] { convert(folder / "hf", folder / "hf", ModelFormat::Native); }),
              HasSubstr("exists already"));
}

TEST(ConvertRun, StopsAtASignalAndLeavesNothing) {
  const TemporaryFolder folder(true);
  const ModelToWrite model = model_of(Architecture::Llama, 1);
  const std::atomic<bool> stop{true};
  for (const ModelFormat format : {ModelFormat::Native, ModelFormat::HuggingFace}) {
    WriteModelOptions options = to(folder / "out", format);
    options.stop = &stop;
    try {
      write_model(model, options);
      ADD_FAILURE() << "was written";
    } catch (const Interrupted& error) {
      EXPECT_EQ(error.exit_code(), 128 + SIGTERM);
    }
    EXPECT_THAT(names_in(folder.path()), IsEmpty());
  }
}

TEST(ConvertRun, SaysWhatIsWrongWithAPath) {
  const TemporaryFolder folder(true);
  std::ofstream(folder / "file") << "x";
  std::filesystem::create_directory(folder / "empty");
  EXPECT_THAT(refusal([&] { open_model(folder / "nothing"); }), HasSubstr("no such folder"));
  EXPECT_THAT(refusal([&] { open_model(folder / "file"); }), HasSubstr("is not a folder"));
  EXPECT_THAT(refusal([&] { open_model(folder / "empty"); }), HasSubstr("config.json"));
}

TEST(ConvertRun, FusedExpertsAreTakenAndWrittenOneByOne) {
  const TemporaryFolder folder(true);
  auto classic = testing::tiny_mixtral();
  auto fused = classic;
  std::string gate_up;
  std::string down;
  const std::string moe = "model.layers.0.block_sparse_moe.";
  float next = 1;
  for (const char* expert : {"0", "1"}) {
    for (const char* part : {"w1", "w3", "w2"}) {
      const std::string name = moe + "experts." + expert + "." + part + ".weight";
      testing::HandmadeTensor& tensor = classic.tensor(name);
      for (std::size_t i = 0; i < tensor.data.size(); i += sizeof(float), next += 1) {
        std::memcpy(tensor.data.data() + i, &next, sizeof next);
      }
      (std::string(part) == "w2" ? down : gate_up) += tensor.data;
      fused.remove(name);
    }
  }
  auto router = fused.tensor(moe + "gate.weight");
  fused.remove(router.name);
  router.name = "model.layers.0.mlp.gate.weight";
  fused.tensors.push_back(router);
  fused.tensors.push_back({"model.layers.0.mlp.experts.gate_up_proj", "F32", {2, 12, 8}, gate_up});
  fused.tensors.push_back({"model.layers.0.mlp.experts.down_proj", "F32", {2, 8, 6}, down});
  classic.write(folder / "classic");
  fused.write(folder / "fused");
  convert(folder / "fused", folder / "out", ModelFormat::HuggingFace);
  expect_same_weights(*open_model(folder / "classic").model.weights,
                      *open_model(folder / "out").model.weights);
  EXPECT_THAT(read_file(folder / "out/model.safetensors"), HasSubstr(moe + "experts.1.w3.weight"));
}

TEST(ConvertRun, ReadsSizes) {
  const std::pair<const char*, std::int64_t> good[] = {
      {"5GB", 5'000'000'000}, {"500MiB", 500LL << 20}, {"1000000", 1'000'000},
      {"1.5 KB", 1500},       {"1B", 1},               {"2TiB", 2LL << 40}};
  for (const auto& [text, bytes] : good) EXPECT_EQ(parse_size(text), bytes) << text;
  for (const char* text : {"", "GB", "0", "-1", "5 G B", "5gb", "1e30", "nan", "5XB", "0.1"}) {
    EXPECT_THAT(refusal<ConfigError>([&] { (void)parse_size(text); }), HasSubstr("expected a size"))
        << text;
  }
}

}  // namespace
}  // namespace moe::run
