#include "support/bad_directories.h"

#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>

namespace moe::testing {
namespace {

constexpr const char* kFile = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";
constexpr const char* kNorm = "model.norm.weight";
constexpr const char* kEmbedding = "model.embed_tokens.weight";

void put(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

std::string text_of(const Json& json) { return json.dump(); }

HandmadeModel backbone() {
  HandmadeModel model;
  model.config = {{"vocab_size", 10},        {"hidden_size", 8},
                  {"intermediate_size", 6},  {"num_hidden_layers", 1},
                  {"num_attention_heads", 2}, {"num_key_value_heads", 1},
                  {"max_position_embeddings", 32}, {"tie_word_embeddings", false},
                  {"torch_dtype", "float32"}};
  model.tensors = {ones(kEmbedding, {10, 8}), ones(kNorm, {8}), ones("lm_head.weight", {10, 8}),
                   ones("model.layers.0.input_layernorm.weight", {8}),
                   ones("model.layers.0.post_attention_layernorm.weight", {8}),
                   ones("model.layers.0.self_attn.q_proj.weight", {8, 8}),
                   ones("model.layers.0.self_attn.k_proj.weight", {4, 8}),
                   ones("model.layers.0.self_attn.v_proj.weight", {4, 8}),
                   ones("model.layers.0.self_attn.o_proj.weight", {8, 8})};
  return model;
}

}  // namespace

HandmadeTensor ones(const std::string& name, const std::vector<std::int64_t>& shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  const std::vector<float> values(static_cast<std::size_t>(count), 1.0F);
  return {name, "F32", shape,
          std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float))};
}

std::string safetensors_bytes(const std::string& header, const std::string& data) {
  const std::uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}

Json header_of(const std::vector<HandmadeTensor>& tensors) {
  Json header = Json::object();
  std::size_t at = 0;
  for (const HandmadeTensor& tensor : tensors) {
    header[tensor.name] = {{"dtype", tensor.dtype},
                           {"shape", tensor.shape},
                           {"data_offsets", {at, at + tensor.data.size()}}};
    at += tensor.data.size();
  }
  return header;
}

std::string data_of(const std::vector<HandmadeTensor>& tensors) {
  std::string data;
  for (const HandmadeTensor& tensor : tensors) data += tensor.data;
  return data;
}

std::string safetensors_of(const std::vector<HandmadeTensor>& tensors) {
  return safetensors_bytes(text_of(header_of(tensors)), data_of(tensors));
}

HandmadeTensor& HandmadeModel::tensor(const std::string& name) {
  return *std::ranges::find(tensors, name, &HandmadeTensor::name);
}

void HandmadeModel::remove(const std::string& name) {
  std::erase_if(tensors, [&](const HandmadeTensor& tensor) { return tensor.name == name; });
}

void HandmadeModel::use_shards() {
  const auto half = static_cast<std::ptrdiff_t>(tensors.size() / 2);
  const std::vector<HandmadeTensor> parts[] = {{tensors.begin(), tensors.begin() + half},
                                               {tensors.begin() + half, tensors.end()}};
  Json index{{"metadata", {{"total_size", data_of(tensors).size()}}}, {"weight_map", Json::object()}};
  for (const int part : {0, 1}) {
    const std::string file = part == 0 ? "model-00001-of-00002.safetensors"
                                       : "model-00002-of-00002.safetensors";
    files[file] = safetensors_of(parts[part]);
    for (const HandmadeTensor& tensor : parts[part]) index["weight_map"][tensor.name] = file;
  }
  files[kIndex] = text_of(index);
  removed.emplace_back(kFile);
}

void HandmadeModel::change_header(const std::function<void(Json&)>& change) {
  Json header = header_of(tensors);
  change(header);
  files[kFile] = safetensors_bytes(text_of(header), data_of(tensors));
}

void HandmadeModel::write(const std::filesystem::path& folder) const {
  const std::filesystem::path outside = folder.string() + "-outside";
  std::filesystem::create_directories(folder);
  std::filesystem::create_directories(outside);
  put(folder / "config.json", config.dump(2));
  put(folder / kFile, safetensors_of(tensors));
  for (const auto& [name, bytes] : files) put(folder / name, bytes);
  for (const std::string& name : removed) std::filesystem::remove(folder / name);
  for (const std::string& name : folders) {
    std::filesystem::remove(folder / name);
    std::filesystem::create_directory(folder / name);
  }
  for (const std::string& name : pipes) {
    std::filesystem::remove(folder / name);
    (void)::mkfifo((folder / name).c_str(), 0600);
  }
  for (const auto& [name, target] : links) {
    // What the link points to is what stood here, or something harmless.
    if (std::filesystem::exists(folder / name)) {
      std::filesystem::rename(folder / name, outside / name);
    } else {
      put(outside / name, "{}");
    }
    std::filesystem::create_symlink(target == "OUTSIDE" ? outside / name : std::filesystem::path(target),
                                    folder / name);
  }
}

HandmadeModel tiny_llama() {
  HandmadeModel model = backbone();
  model.config["architectures"] = {"LlamaForCausalLM"};
  model.config["model_type"] = "llama";
  model.tensors.push_back(ones("model.layers.0.mlp.gate_proj.weight", {6, 8}));
  model.tensors.push_back(ones("model.layers.0.mlp.up_proj.weight", {6, 8}));
  model.tensors.push_back(ones("model.layers.0.mlp.down_proj.weight", {8, 6}));
  return model;
}

HandmadeModel tiny_mixtral() {
  HandmadeModel model = backbone();
  model.config["architectures"] = {"MixtralForCausalLM"};
  model.config["model_type"] = "mixtral";
  model.config["num_local_experts"] = 2;
  model.config["num_experts_per_tok"] = 1;
  const std::string moe = "model.layers.0.block_sparse_moe.";
  model.tensors.push_back(ones(moe + "gate.weight", {2, 8}));
  for (const char* expert : {"0", "1"}) {
    model.tensors.push_back(ones(moe + "experts." + expert + ".w1.weight", {6, 8}));
    model.tensors.push_back(ones(moe + "experts." + expert + ".w2.weight", {8, 6}));
    model.tensors.push_back(ones(moe + "experts." + expert + ".w3.weight", {6, 8}));
  }
  return model;
}

namespace {

using Change = std::function<void(HandmadeModel&)>;

std::function<HandmadeModel()> llama(const Change& change) {
  return [change] {
    HandmadeModel model = tiny_llama();
    change(model);
    return model;
  };
}

std::function<HandmadeModel()> mixtral(const Change& change) {
  return [change] {
    HandmadeModel model = tiny_mixtral();
    change(model);
    return model;
  };
}

std::function<HandmadeModel()> sharded(const Change& change) {
  return [change] {
    HandmadeModel model = tiny_llama();
    model.use_shards();
    change(model);
    return model;
  };
}

/// The whole file of weights in place of a right one.
std::function<HandmadeModel()> file_of_weights(const std::string& bytes) {
  return llama([bytes](HandmadeModel& model) { model.files[kFile] = bytes; });
}

/// A file with this text as its header and nothing behind it.
std::function<HandmadeModel()> header_text(const std::string& header) {
  return file_of_weights(safetensors_bytes(header, ""));
}

/// The entry of the final norm in the header changed.
std::function<HandmadeModel()> norm_entry(const std::function<void(Json&)>& change) {
  return llama([change](HandmadeModel& model) {
    model.change_header([&](Json& header) { change(header[kNorm]); });
  });
}

std::function<HandmadeModel()> config(const std::function<void(Json&)>& change) {
  return llama([change](HandmadeModel& model) { change(model.config); });
}

std::function<HandmadeModel()> index(const std::function<void(Json&)>& change) {
  return sharded([change](HandmadeModel& model) {
    Json json = Json::parse(model.files[kIndex]);
    change(json);
    model.files[kIndex] = text_of(json);
  });
}

std::string with_length(std::uint64_t length, const std::string& rest) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + rest;
}

void poison(HandmadeTensor& tensor, float value, std::size_t element) {
  std::memcpy(tensor.data.data() + element * sizeof(float), &value, sizeof value);
}

std::vector<BadDirectory> bad_files() {
  constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();
  return {
      {"EmptyFile", file_of_weights(""), {kFile, "too few"}},
      {"SevenBytes", file_of_weights("1234567"), {kFile, "7 bytes are too few"}},
      {"HeaderLongerThanTheFile", file_of_weights(with_length(1000, "{}")), {kFile, "1000"}},
      {"HeaderLengthNearTwoToThe64", file_of_weights(with_length(kHuge, "{}")), {kFile, "limit"}},
      {"HeaderBeyondTheLimit", file_of_weights(with_length(100'000'001, "{}")), {"100000001"}},
      {"HeaderOfNoBytes", header_text(""), {"begin with '{'"}},
      {"HeaderThatIsNotJson", header_text("{\"a\": }"), {kFile, "not valid JSON"}},
      {"HeaderThatIsAnArray", header_text("[]"), {"begin with '{'"}},
      {"HeaderAfterASpace", header_text(" {}"), {"begin with '{'"}},
      {"HeaderFollowedByText", header_text("{}x"), {"end with '}'"}},
      {"HeaderFollowedByALine", header_text("{}\n"), {"end with '}'"}},
      {"HeaderOfBrokenUtf8", header_text("{\"\xff\": 1}"), {kFile}},
      {"HeaderCutInTheMiddle", header_text("{\"a\": {\"dtype\": \"F32\"}"), {kFile}},
      {"HeaderNestedDeeply", header_text("{\"a\":" + std::string(5000, '[') + "}"), {"expected"}},
      {"MetadataThatIsNoObject", header_text("{\"__metadata__\": 3}"), {"__metadata__"}},
      {"MetadataThatIsNoText", header_text("{\"__metadata__\": {\"a\": 1}}"), {"__metadata__"}},
      {"MetadataTwice", header_text("{\"__metadata__\": {}, \"__metadata__\": {}}"), {"stands twice"}},
      {"TensorThatIsNoObject", header_text("{\"a\": 1}"), {"tensor 'a'"}},
      {"TensorTwice",
       llama([](HandmadeModel& model) {
         std::string header = text_of(header_of(model.tensors));
         header.back() = ',';
         header += "\"model.norm.weight\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}";
         model.files[kFile] = safetensors_bytes(header, data_of(model.tensors));
       }),
       {kNorm, "stands twice"}},
      {"NameWithAControlByte", header_text("{\"a\\u0007\": {}}"), {"control bytes"}},
      {"NameOfFiveThousandBytes", header_text("{\"" + std::string(5000, 'a') + "\": {}}"), {"4096"}},
      {"FileWithBytesBehindTheData",
       llama([](HandmadeModel& model) { model.files[kFile] = safetensors_of(model.tensors) + "x"; }),
       {kFile, "the file holds"}},
      {"FileCutShort",
       llama([](HandmadeModel& model) {
         model.files[kFile] = safetensors_of(model.tensors);
         model.files[kFile].pop_back();
       }),
       {kFile, "the file holds"}},
      {"FileThatIsAFolder", llama([](HandmadeModel& m) { m.folders = {kFile}; }),
       {kFile, "regular file"}},
      {"FileThatIsAPipe", llama([](HandmadeModel& m) { m.pipes = {kFile}; }), {kFile, "regular file"}},
  };
}

std::vector<BadDirectory> bad_entries() {
  const auto set = [](const char* key, const Json& value) {
    return norm_entry([=](Json& entry) { entry[key] = value; });
  };
  const std::uint64_t two_to_32 = std::uint64_t{1} << 32;
  return {
      {"DTypeMissing", norm_entry([](Json& entry) { entry.erase("dtype"); }), {kNorm, "dtype"}},
      {"ShapeMissing", norm_entry([](Json& entry) { entry.erase("shape"); }), {kNorm, "shape"}},
      {"OffsetsMissing", norm_entry([](Json& e) { e.erase("data_offsets"); }), {kNorm, "data_offsets"}},
      {"UnknownField", set("strides", Json::array({1})), {kNorm, "unknown field 'strides'"}},
      {"DTypeThatIsANumber", set("dtype", 32), {kNorm, "a text as dtype"}},
      {"DTypeUnheardOf", set("dtype", "F33"), {kNorm, "unknown dtype 'F33'"}},
      {"DTypeThatWeCannotHold", set("dtype", "U32"), {kNorm, "U32", "cannot hold"}},
      {"ShapeThatIsAText", set("shape", "8"), {kNorm, "an array as shape"}},
      {"ShapeBelowZero", set("shape", {-8}), {kNorm, "integer >= 0"}},
      {"ShapeWithAFraction", set("shape", {8.0}), {kNorm, "integer >= 0"}},
      {"ShapeBeyond64Bits", set("shape", {1e30}), {kNorm, "integer >= 0"}},
      {"ShapeWhoseProductIsZeroModulo64Bits", set("shape", {two_to_32, two_to_32}),
       {kNorm, "overflows"}},
      {"ShapeThatHidesBehindAZero", set("shape", {0, two_to_32, two_to_32}), {kNorm, "overflows"}},
      {"ShapeOfTooManyDims", set("shape", {1, 1, 1, 1, 1, 1, 1, 1, 8}), {kNorm, "more than"}},
      {"ShapeThatDoesNotFitItsBytes", set("shape", {9}), {kNorm, "36", "32"}},
      {"OffsetsOfThreeNumbers", set("data_offsets", {0, 1, 2}), {kNorm, "more than 2"}},
      {"OffsetsOfOneNumber", set("data_offsets", {0}), {kNorm, "two data_offsets"}},
      {"OffsetsBelowZero", set("data_offsets", {-1, 31}), {kNorm, "integer >= 0"}},
      {"OffsetsBackwards", set("data_offsets", {352, 320}), {kNorm}},
      {"OffsetsThatLeaveAHole", set("data_offsets", {321, 353}), {kNorm, "a hole"}},
      {"OffsetsThatOverlap", set("data_offsets", {319, 351}), {kNorm, "an overlap"}},
      {"OffsetsNearTwoToThe64",
       set("data_offsets", {18446744073709551583ULL, 18446744073709551615ULL}), {kFile, "a hole"}},
      {"HalfAByte",
       llama([](HandmadeModel& model) {
         model.tensors.push_back({"odd", "F4", {3}, "ab"});
       }),
       {"odd", "do not end on a byte"}},
      {"IntegersForWeights",
       llama([](HandmadeModel& model) { model.tensor(kNorm).dtype = "I32"; }),
       {kNorm, "expected a floating type", "i32"}},
  };
}

std::vector<BadDirectory> bad_configs() {
  const auto set = [](const char* key, const Json& value) {
    return config([=](Json& json) { json[key] = value; });
  };
  const auto text = [](const std::string& bytes) {
    return llama([bytes](HandmadeModel& model) { model.files["config.json"] = bytes; });
  };
  return {
      {"NoConfig", llama([](HandmadeModel& m) { m.removed = {"config.json"}; }), {"NAME", "config.json"}},
      {"ConfigThatIsEmpty", text(""), {"config.json", "not valid JSON"}},
      {"ConfigThatIsAnArray", text("[1]"), {"config.json", "expected a JSON object"}},
      {"ConfigWithAKeyTwice", text("{\"vocab_size\": 1, \"vocab_size\": 2}"), {"stands twice"}},
      {"ConfigNestedDeeply", text("{\"a\":" + std::string(200, '[') + std::string(200, ']') + "}"),
       {"nested deeper"}},
      {"ArchitectureUnheardOf", set("architectures", {"GPT2LMHeadModel"}),
       {"architectures", "GPT2LMHeadModel", "LlamaForCausalLM"}},
      {"ArchitectureAndTypeDisagree", set("model_type", "mistral"), {"model_type", "mistral"}},
      {"NoArchitecture",
       config([](Json& json) {
         json.erase("architectures");
         json.erase("model_type");
       }),
       {"architectures"}},
      {"SizeMissing", config([](Json& json) { json.erase("hidden_size"); }), {"hidden_size"}},
      {"SizeThatIsAText", set("hidden_size", "8"), {"hidden_size", "an integer"}},
      {"SizeWithAPoint", set("hidden_size", 8.0), {"hidden_size", "an integer"}},
      {"SizeOfZero", set("vocab_size", 0), {"vocab_size"}},
      {"SizeBelowZero", set("intermediate_size", -6), {"intermediate_size"}},
      {"SizeBeyondMemory", set("vocab_size", std::int64_t{1} << 60), {"vocab_size"}},
      {"LayersBeyondReason", set("num_hidden_layers", 1'000'000), {"num_hidden_layers"}},
      {"NoHeads", set("num_attention_heads", 0), {"num_attention_heads"}},
      {"HeadsThatDoNotDivide", set("num_key_value_heads", 3), {"num_key_value_heads"}},
      {"ActivationUnheardOf", set("hidden_act", "snake"), {"hidden_act", "snake"}},
      {"BiasInTheMlp", set("mlp_bias", true), {"mlp_bias"}},
      {"QuantisedWeights", set("quantization_config", {{"bits", 4}}), {"quantization_config"}},
      {"RopeThatWeDoNotHave", set("rope_scaling", {{"rope_type", "yarn"}, {"factor", 2.0}}), {"rope_type"}},
      {"RopeTwiceAndDifferent",
       config([](Json& json) {
         json["rope_theta"] = 1e4;
         json["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 1e6}};
       }),
       {"rope_theta"}},
      {"DTypeOfNoKind", set("torch_dtype", "int3"), {"torch_dtype", "int3"}},
      {"ExpertsCountedTwice", mixtral([](HandmadeModel& m) { m.config["num_experts"] = 4; }),
       {"num_local_experts"}},
      {"MoreChoicesThanExperts", mixtral([](HandmadeModel& m) { m.config["num_experts_per_tok"] = 3; }),
       {"num_experts_per_tok"}},
  };
}

std::vector<BadDirectory> bad_tensors() {
  const std::string up = "model.layers.0.mlp.up_proj.weight";
  const std::string expert = "model.layers.0.block_sparse_moe.experts.1.w2.weight";
  const auto value = [](const char* name, float number) {
    return llama([=](HandmadeModel& model) { poison(model.tensor(name), number, 5); });
  };
  return {
      {"TensorMissing", llama([=](HandmadeModel& m) { m.remove(up); }), {"missing: " + up, "[6, 8]"}},
      {"HeadMissing", llama([](HandmadeModel& m) { m.remove("lm_head.weight"); }),
       {"missing: lm_head.weight"}},
      {"TensorExtra", llama([](HandmadeModel& m) { m.tensors.push_back(ones("model.extra", {1})); }),
       {"unexpected: model.extra"}},
      {"LayerExtra",
       llama([](HandmadeModel& m) {
         m.tensors.push_back(ones("model.layers.1.input_layernorm.weight", {8}));
       }),
       {"unexpected: model.layers.1.input_layernorm.weight"}},
      {"TensorTransposed", llama([=](HandmadeModel& m) { m.tensor(up).shape = {8, 6}; }),
       {up, "expected [6, 8], found [8, 6]"}},
      {"TensorOfAnotherRank", llama([=](HandmadeModel& m) { m.tensor(up).shape = {48}; }),
       {up, "expected [6, 8], found [48]"}},
      {"HeadOfATiedModelThatDiffers",
       llama([](HandmadeModel& m) {
         m.config["tie_word_embeddings"] = true;
         poison(m.tensor("lm_head.weight"), 2.0F, 7);
       }),
       {"lm_head.weight", "tie_word_embeddings"}},
      {"ExpertMissing", mixtral([=](HandmadeModel& m) { m.remove(expert); }), {"missing: " + expert}},
      {"ExpertOfAnotherWidth",
       mixtral([=](HandmadeModel& m) { m.tensor(expert) = ones(expert, {8, 7}); }),
       {expert, "expected [8, 6], found [8, 7]"}},
      {"ExpertBeyondTheCount",
       mixtral([](HandmadeModel& m) {
         m.tensors.push_back(ones("model.layers.0.block_sparse_moe.experts.2.w2.weight", {8, 6}));
       }),
       {"unexpected: model.layers.0.block_sparse_moe.experts.2.w2.weight"}},
      {"NotANumber", value(kNorm, std::nanf("")), {kFile, kNorm, "element 5", "nan"}},
      {"Infinite", value(kEmbedding, HUGE_VALF), {kFile, kEmbedding, "element 5", "inf"}},
      {"InfiniteInAnExpert", mixtral([=](HandmadeModel& m) { poison(m.tensor(expert), -HUGE_VALF, 3); }),
       {kFile, expert, "element", "-inf"}},
      {"NoWeights", llama([](HandmadeModel& m) { m.removed = {kFile}; }), {"NAME", kFile}},
      {"WeightsOfAnotherFormat",
       llama([](HandmadeModel& m) {
         m.removed = {kFile};
         m.files["pytorch_model.bin"] = "PK";
       }),
       {"NAME", "other formats"}},
  };
}

std::vector<BadDirectory> bad_shards() {
  const auto map = [](const char* name, const Json& file) {
    return index([=](Json& json) { json["weight_map"][name] = file; });
  };
  const auto text = [](const std::string& bytes) {
    return sharded([bytes](HandmadeModel& model) { model.files[kIndex] = bytes; });
  };
  const std::string first = "model-00001-of-00002.safetensors";
  return {
      {"IndexThatIsNotJson", text("{"), {kIndex, "not valid JSON"}},
      {"IndexThatIsAnArray", text("[]"), {kIndex, "an object"}},
      {"IndexWithoutAMap", index([](Json& json) { json.erase("weight_map"); }), {kIndex, "weight_map"}},
      {"IndexWithAnUnknownField", index([](Json& json) { json["shards"] = 2; }), {kIndex, "shards"}},
      {"IndexWithAKeyTwice", text("{\"weight_map\": {\"a\": \"x\", \"a\": \"y\"}}"), {"stands twice"}},
      {"IndexThatMapsToANumber", map(kNorm, 1), {kIndex, kNorm}},
      {"ShardUpwards", map(kNorm, "../model.safetensors"), {kIndex, kNorm, "plain file name"}},
      {"ShardAbsolute", map(kNorm, "/etc/passwd"), {kIndex, kNorm, "plain file name"}},
      {"ShardWithABackslash", map(kNorm, "a\\b"), {kIndex, kNorm, "plain file name"}},
      {"ShardThatIsTheFolder", map(kNorm, "."), {kIndex, kNorm, "plain file name"}},
      {"ShardThatIsNotThere", map(kNorm, "model-00003-of-00002.safetensors"), {"model-00003-of-00002"}},
      {"TensorMappedToTheWrongShard", map("lm_head.weight", "model-00002-of-00002.safetensors"),
       {"lm_head.weight", "the index puts"}},
      {"TensorOfAShardThatIsNotMapped", index([](Json& json) { json["weight_map"].erase(kNorm); }),
       {kNorm, "nowhere"}},
      {"TensorOfTheMapThatIsInNoShard", map("model.extra", first), {first, "lacks tensor 'model.extra'"}},
      {"TotalThatIsWrong", index([](Json& json) { json["metadata"]["total_size"] = 7; }),
       {kIndex, "total_size is 7"}},
      {"TotalThatIsAText", index([](Json& json) { json["metadata"]["total_size"] = "7"; }),
       {kIndex, "total_size"}},
      {"ShardCutShort", sharded([=](HandmadeModel& m) { m.files[first].resize(100); }), {first}},
      {"ShardBehindALink", sharded([=](HandmadeModel& m) { m.links[first] = "OUTSIDE"; }),
       {first, "leads out of its folder", "--follow-links"}},
      {"WeightsBehindALink", llama([](HandmadeModel& m) { m.links[kFile] = "OUTSIDE"; }),
       {kFile, "leads out of its folder", "--follow-links"}},
      {"ConfigBehindALink", llama([](HandmadeModel& m) { m.links["config.json"] = "OUTSIDE"; }),
       {"config.json", "leads out of its folder", "--follow-links"}},
      {"IndexBehindALink", sharded([](HandmadeModel& m) { m.links[kIndex] = "OUTSIDE"; }),
       {kIndex, "leads out of its folder"}},
      {"TokenizerBehindALink", llama([](HandmadeModel& m) { m.links["tokenizer.json"] = "OUTSIDE"; }),
       {"tokenizer.json", "leads out of its folder"}},
      {"LinkToTheWholeMachine", llama([](HandmadeModel& m) { m.links[kFile] = "/dev/zero"; }), {kFile}},
      {"LinkInACircle", llama([](HandmadeModel& m) { m.links[kFile] = kFile; }), {kFile}},
  };
}

}  // namespace

const std::vector<BadDirectory>& bad_directories() {
  static const std::vector<BadDirectory> all = [] {
    std::vector<BadDirectory> rows;
    for (const auto& part : {bad_files(), bad_entries(), bad_configs(), bad_tensors(), bad_shards()}) {
      rows.insert(rows.end(), part.begin(), part.end());
    }
    return rows;
  }();
  return all;
}

}  // namespace moe::testing
