// moe-convert as a person runs it, and training from what it made.
#include <cmath>

#include "programs/programs.h"
#include "support/bad_directories.h"
#include "support/tolerance.h"

namespace moe::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// A config without a model section that starts from `source`.
std::string config_from(const std::string& source, const std::string& name) {
  const std::string small = small_config(4);
  const std::size_t begin = small.find("model:");
  std::size_t end = begin;
  do {
    end = small.find('\n', end) + 1;
  } while (small[end] == ' ');
  const std::string without = small.substr(0, begin) + small.substr(end);
  return with(with(without, "name: small", "name: " + name), "  interval: 0",
              "  interval: 0\n  init_from: " + source);
}

/// A run, its export, and the export's way back.
class ConvertedRun : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    place_ = new Workplace;
    place_->prepare_data();
    place_->write("small.yaml", small_config());
    made_ = new std::vector<Outcome>{place_->run("moe-train small.yaml"),
                                     place_->run("moe-convert runs/small hf --to hf"),
                                     place_->run("moe-convert hf native --to native"),
                                     place_->run("moe-convert runs/small copy --to native")};
  }
  static void TearDownTestSuite() {
    delete place_;
    delete made_;
    place_ = nullptr;
    made_ = nullptr;
  }
  void SetUp() override {
    for (const Outcome& outcome : *made_) ASSERT_EQ(outcome.code, 0) << outcome.all();
  }
  static double loss_of(const std::string& checkpoint) {
    const Outcome told = place_->run("moe-eval " + checkpoint + " --json --data held_out");
    EXPECT_EQ(told.code, 0) << told.all();
    return nlohmann::json::parse(told.output).at("loss").get<double>();
  }

  static Workplace* place_;
  static std::vector<Outcome>* made_;
};
Workplace* ConvertedRun::place_ = nullptr;
std::vector<Outcome>* ConvertedRun::made_ = nullptr;

TEST_F(ConvertedRun, ACheckpointWithoutOptimizerStateEvaluatesAndGeneratesTheSame) {
  EXPECT_EQ(loss_of("copy"), loss_of("runs/small"));
  const std::string tail = " --prompt 'The' --max-tokens 20 --temperature 0";
  const Outcome before = place_->run("moe-generate runs/small" + tail);
  const Outcome after = place_->run("moe-generate copy" + tail);
  EXPECT_EQ(before.code, 0) << before.all();
  EXPECT_EQ(after.output, before.output) << after.all();
}

TEST_F(ConvertedRun, HasTheSameWeightsAfterTheWayThroughHuggingFace) {
  const Outcome compared = place_->run("moe-checkpoint compare copy native");
  EXPECT_EQ(compared.code, 0) << compared.all();
  EXPECT_THAT(compared.output, HasSubstr("0 of"));
}

TEST_F(ConvertedRun, ShowsAndVerifiesLikeAnyCheckpoint) {
  EXPECT_EQ(place_->run("moe-checkpoint verify native").code, 0);
  const Outcome shown = place_->run("moe-checkpoint show native --json");
  EXPECT_EQ(shown.code, 0);
  EXPECT_EQ(nlohmann::json::parse(shown.output)["states"]["origin"]["format"], "hf");
}

TEST_F(ConvertedRun, TellsWithoutEvaluatingWhenNoTextIsNamed) {
  const Outcome told = place_->run("moe-eval native");
  EXPECT_EQ(told.code, 66);
  EXPECT_THAT(told.errors, HasSubstr("--data"));
}

TEST_F(ConvertedRun, StartsTrainingFromEitherFormatWithoutAModelSection) {
  const double wanted = loss_of("runs/small");
  for (const std::string source : {"native", "hf", "runs/small"}) {
    const std::string name = "from_" + source.substr(source.find('/') + 1);
    place_->write(name + ".yaml", config_from(source, name));
    const Outcome run = place_->run("moe-train " + name + ".yaml");
    ASSERT_EQ(run.code, 0) << run.all();
    EXPECT_THAT(run.errors + run.output, HasSubstr("starting from the weights of"));
    const auto lines = place_->lines("runs/" + name + "/metrics.jsonl");
    ASSERT_EQ(lines.size(), 4U);
    // A fresh model begins at ln(vocabulary).
    EXPECT_LT(lines.front().at("loss").get<double>(), (wanted + std::log(260.0)) / 2);
  }
}

TEST_F(ConvertedRun, SpreadsInitialWeightsOverRanks) {
  place_->write("ep.yaml", config_from("hf", "ep"));
  place_->write("one.yaml", config_from("native", "one"));
  ASSERT_EQ(place_->run("moe-train ep.yaml parallel.expert=2", 2).code, 0);
  ASSERT_EQ(place_->run("moe-train one.yaml").code, 0);
  const auto many = place_->lines("runs/ep/metrics.jsonl");
  const auto one = place_->lines("runs/one/metrics.jsonl");
  for (std::size_t i = 0; i < one.size(); ++i) {
    EXPECT_NEAR(many[i].at("loss").get<double>(), one[i].at("loss").get<double>(),
                tolerance(DType::F32, 4096));
  }
}

TEST_F(ConvertedRun, AResumedRunWinsAndSaysSo) {
  place_->write("wins.yaml", config_from("native", "wins"));
  ASSERT_EQ(place_->run("moe-train wins.yaml").code, 0);
  // The source may even be gone.
  place_->write("wins.yaml", with(place_->read("wins.yaml"), "init_from: native", "init_from: gone"));
  const Outcome again = place_->run("moe-train wins.yaml training.steps=6");
  EXPECT_EQ(again.code, 0) << again.all();
  EXPECT_THAT(again.all(), HasSubstr("init_from is not read"));
  EXPECT_EQ(place_->lines("runs/wins/metrics.jsonl").size(), 6U);
}

TEST_F(ConvertedRun, RefusesShapesThatDoNotFitByTensor) {
  place_->write("wide.yaml", config_from("native", "wide"));
  const Outcome run = place_->run("moe-train wide.yaml model.intermediate_size=1000");
  EXPECT_EQ(run.code, 66);
  EXPECT_THAT(run.errors, HasSubstr("shape of layers."));
  EXPECT_THAT(run.errors, HasSubstr("1000"));
  EXPECT_FALSE(place_->exists("runs/wide"));
}

TEST_F(ConvertedRun, WarnsWhenTheModelComputesSomethingElse) {
  place_->write("rope.yaml", config_from("native", "rope"));
  const Outcome run = place_->run("moe-train rope.yaml model.rope_theta=5000");
  EXPECT_EQ(run.code, 0) << run.all();
  EXPECT_THAT(run.all(), HasSubstr("model.rope_theta is 5000 in this run"));
}

TEST_F(ConvertedRun, RefusesToResumeWeightsAlone) {
  const Outcome refused = place_->run("moe-train small.yaml name=other checkpoint.resume=native");
  EXPECT_EQ(refused.code, 66) << refused.all();
  EXPECT_THAT(refused.errors, HasSubstr("checkpoint.init_from"));
}

TEST_F(ConvertedRun, RefusesAResumeThatWouldIgnoreTheSource) {
  const Outcome run =
      place_->run("moe-train small.yaml checkpoint.init_from=native checkpoint.resume=latest");
  EXPECT_EQ(run.code, 64);
  EXPECT_THAT(run.errors, HasSubstr("checkpoint.init_from"));
}

TEST_F(ConvertedRun, RefusesASourceThatIsNotThere) {
  const Outcome run = place_->run("moe-train small.yaml name=lost checkpoint.init_from=nowhere");
  EXPECT_EQ(run.code, 66);
  EXPECT_THAT(run.errors, HasSubstr("nowhere"));
}

TEST(ConvertProgram, RefusesEveryBadFolderWith66AndLeavesNothing) {
  const Workplace place;
  for (const BadDirectory& bad : bad_directories()) {
    SCOPED_TRACE(bad.name);
    bad.make().write(place / "NAME");
    const Outcome outcome = place.run("moe-convert NAME out --to native");
    EXPECT_EQ(outcome.code, 66) << outcome.all();
    for (const std::string& part : bad.expected) EXPECT_THAT(outcome.errors, HasSubstr(part));
    EXPECT_FALSE(place.exists("out"));
    std::filesystem::remove_all(place / "NAME");
    std::filesystem::remove_all(place / "NAME-outside");
  }
}

TEST(ConvertProgram, FollowsLinksWhenAsked) {
  const Workplace place;
  HandmadeModel model = tiny_llama();
  model.links["model.safetensors"] = "OUTSIDE";
  model.write(place / "NAME");
  const Outcome refused = place.run("moe-convert NAME out --to native");
  EXPECT_EQ(refused.code, 66);
  EXPECT_THAT(refused.errors, HasSubstr("--follow-links"));
  EXPECT_EQ(place.run("moe-convert NAME out --to native --follow-links").code, 0);
}

TEST(ConvertProgram, RefusesWrongUseWith64) {
  const Workplace place;
  tiny_llama().write(place / "NAME");
  for (const char* arguments :
       {"", "NAME", "NAME out", "NAME out --to gguf", "NAME out --to hf --dtype f16",
        "NAME out --to hf --architecture gpt2", "NAME out --to native --architecture llama",
        "NAME out --to hf --max-shard-size 0", "NAME out --to hf --bogus"}) {
    const Outcome outcome = place.run(std::string("moe-convert ") + arguments);
    EXPECT_EQ(outcome.code, 64) << arguments << outcome.all();
    EXPECT_FALSE(place.exists("out"));
  }
}

TEST(ConvertProgram, RefusesWhatTheTargetCannotExpress) {
  const Workplace place;
  tiny_mixtral().write(place / "NAME");
  const Outcome outcome = place.run("moe-convert NAME out --to hf --architecture qwen2_moe");
  EXPECT_EQ(outcome.code, 66);
  EXPECT_THAT(outcome.errors, HasSubstr("shared_expert"));
  EXPECT_THAT(outcome.errors, HasSubstr("Qwen2MoeForCausalLM"));
  EXPECT_FALSE(place.exists("out"));
}

TEST(ConvertProgram, RefusesADamagedCheckpoint) {
  const Workplace place;
  tiny_llama().write(place / "NAME");
  ASSERT_EQ(place.run("moe-convert NAME native --to native").code, 0);
  const std::string shard = "native/checkpoints/step_00000000/shard_00000.h5";
  std::string bytes = place.read(shard);
  bytes[bytes.size() / 2] ^= 1;
  place.write(shard, bytes);
  const Outcome outcome = place.run("moe-convert native out --to hf");
  EXPECT_EQ(outcome.code, 66);
  EXPECT_THAT(outcome.errors, HasSubstr("no valid checkpoint"));
  EXPECT_THAT(outcome.errors, HasSubstr("damaged"));
  EXPECT_FALSE(place.exists("out"));
}

TEST(ConvertProgram, AFullDiskLeavesNothing) {
  const Workplace place;
  tiny_llama().write(place / "NAME");
  // A limit of files' sizes stands for the disk: the first write beyond it fails.
  place.write("full.sh", "ulimit -f 1\nexec moe-convert NAME out --to $1\n");
  for (const char* format : {"native", "hf"}) {
    const Outcome outcome = place.run(std::string("bash full.sh ") + format);
    EXPECT_EQ(outcome.code, 66) << outcome.all();
    EXPECT_THAT(outcome.errors, HasSubstr("cannot"));
    for (const auto& entry : std::filesystem::directory_iterator(place / ".")) {
      EXPECT_THAT(entry.path().filename().string(), Not(HasSubstr("out.tmp")));
    }
    EXPECT_FALSE(place.exists("out"));
  }
}

/// A model of zeros that takes a while: 640 MB, as a sparse file.
void write_large_model(const Workplace& place) {
  HandmadeModel model = tiny_llama();
  constexpr std::int64_t kVocabulary = 10'000'000;
  model.config["vocab_size"] = kVocabulary;
  for (const char* name : {"model.embed_tokens.weight", "lm_head.weight"}) model.remove(name);
  Json header = header_of(model.tensors);
  std::int64_t at = static_cast<std::int64_t>(data_of(model.tensors).size());
  for (const char* name : {"model.embed_tokens.weight", "lm_head.weight"}) {
    header[name] = {{"dtype", "F32"},
                    {"shape", {kVocabulary, 8}},
                    {"data_offsets", {at, at + kVocabulary * 32}}};
    at += kVocabulary * 32;
  }
  model.files["model.safetensors"] = safetensors_bytes(header.dump(), data_of(model.tensors));
  model.write(place / "NAME");
  const auto file = place / "NAME/model.safetensors";
  const auto missing = static_cast<std::uint64_t>(at) - data_of(model.tensors).size();
  std::filesystem::resize_file(file, std::filesystem::file_size(file) + missing);
}

TEST(ConvertProgram, ASignalEndsItAndLeavesNothingThatLooksFinished) {
  const Workplace place;
  write_large_model(place);
  tiny_llama().write(place / "SMALL");
  // The conversion stands still while one looks whether it has begun to write.
  place.write("stop.sh",
              "moe-convert NAME out --to $1 & child=$!\n"
              "while kill -STOP $child && ! compgen -G '.out.tmp-*/*' >/dev/null; do\n"
              "  kill -CONT $child; sleep 0.002\n"
              "done\n"
              "kill -$2 $child; kill -CONT $child; wait $child\n");
  for (const char* format : {"native", "hf"}) {
    const std::string command = std::string("bash stop.sh ") + format;
    EXPECT_EQ(place.run(command + " TERM").code, 143);
    EXPECT_FALSE(place.exists("out"));
    EXPECT_EQ(place.run(command + " INT").code, 130);
    EXPECT_FALSE(place.exists("out"));
    EXPECT_EQ(place.run("bash -c '! compgen -G \".out.tmp-*\"'").code, 0);
    EXPECT_EQ(place.run(command + " KILL").code, 137);
    EXPECT_FALSE(place.exists("out"));
    // What KILL left goes with the next run for the same output.
    EXPECT_EQ(place.run("bash -c 'compgen -G \".out.tmp-*\"'").code, 0);
    const Outcome again = place.run("moe-convert SMALL out --to native");
    EXPECT_EQ(again.code, 0) << again.all();
    EXPECT_EQ(place.run("bash -c '! compgen -G \".out.tmp-*\"'").code, 0);
    std::filesystem::remove_all(place / "out");
  }
}

TEST(ConvertProgram, TellsInJson) {
  const Workplace place;
  tiny_mixtral().write(place / "NAME");
  const Outcome outcome = place.run("moe-convert NAME out --to hf --dtype bf16 --json");
  ASSERT_EQ(outcome.code, 0) << outcome.all();
  const auto told = nlohmann::json::parse(outcome.output);
  EXPECT_EQ(told["architecture"], "MixtralForCausalLM");
  EXPECT_EQ(told["dtype"], "bf16");
  EXPECT_EQ(told["to"], "hf");
}

}  // namespace
}  // namespace moe::testing
