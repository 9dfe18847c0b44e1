// What people get wrong: an error with a place and a phrase, the designed exit code, and nothing left behind.
#include <functional>

#include "programs/programs.h"

namespace moe::testing {
namespace {

using ::testing::HasSubstr;

constexpr int kConfig = 64;
constexpr int kFile = 66;

struct Row {
  const char* name;
  std::function<std::string(const Workplace&)> prepare;  ///< returns the command
  int code;
  std::vector<const char*> says;
};

void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

std::string train(const Workplace& place, const std::string& config, const std::string& arguments = "") {
  place.write("bad.yaml", config);
  return "moe-train bad.yaml " + arguments;
}

/// A row whose config is the small one with `from` replaced by `to`.
Row edited(const char* name, const char* from, const char* to, std::vector<const char*> says) {
  return {name,
          [from, to](const Workplace& place) { return train(place, with(small_config(), from, to)); },
          kConfig, std::move(says)};
}

/// A row whose command line carries `arguments` after a good config.
Row overridden(const char* name, const char* arguments, std::vector<const char*> says) {
  return {name,
          [arguments](const Workplace& place) { return train(place, small_config(), arguments); },
          kConfig, std::move(says)};
}

/// A row with good shards, then damaged by `damage`.
Row damaged(const char* name, void (*damage)(const Workplace&), std::vector<const char*> says) {
  return {name,
          [damage](const Workplace& place) {
            place.prepare_data();
            damage(place);
            return train(place, small_config());
          },
          kFile, std::move(says)};
}

void patch(const Workplace& place, const std::string& name, std::size_t at, const std::string& bytes) {
  std::string text = place.read(name);
  place.write(name, text.replace(at, bytes.size(), bytes));
}

void cut(const Workplace& place, const std::string& name, std::ptrdiff_t bytes) {
  const std::string text = place.read(name);
  place.write(name, text.substr(0, text.size() - static_cast<std::size_t>(bytes)));
}

/// Trains to `runs/good`, then returns the shard of its checkpoint.
std::string train_good(const Workplace& place) {
  place.prepare_data();
  place.write("good.yaml", small_config(1));
  EXPECT_EQ(place.run("moe-train good.yaml name=good output=elsewhere eval.final=false").code, 0);
  return "elsewhere/good/checkpoints/step_00000001/shard_00000.h5";
}

std::vector<Row> config_rows() {
  return {
      edited("UnknownKey", "num_experts: 4", "nume_experts: 4", {"bad.yaml:12:3", "nume_experts", "num_experts?"}),
      edited("UnknownSection", "schedule:", "scheduler:", {"bad.yaml:28:1", "scheduler", "schedule?"}),
      edited("DuplicateKey", "seed: 3\n", "seed: 3\nseed: 4\n", {"bad.yaml:4:1", "seed"}),
      edited("WrongType", "hidden_size: 32", "hidden_size: wide", {"bad.yaml:6:16", "model.hidden_size", "'wide'"}),
      edited("ListForScalar", "hidden_size: 32", "hidden_size: [32]", {"bad.yaml:6:16", "model.hidden_size"}),
      edited("LeadingZero", "steps: 12", "steps: 010", {"bad.yaml:21:10", "training.steps", "'010'"}),
      edited("NotANumber", "learning_rate: 0.003", "learning_rate: .nan",
             {"bad.yaml:27:18", "optimizer.learning_rate", ".nan"}),
      edited("Infinite", "learning_rate: 0.003", "learning_rate: .inf", {"optimizer.learning_rate", ".inf"}),
      edited("Anchor", "hidden_size: 32", "hidden_size: &width 32", {"bad.yaml:6:", "anchor"}),
      edited("Alias", "hidden_size: 32", "hidden_size: *width", {"bad.yaml:6:", "alias"}),
      edited("MergeKey", "model:\n", "model:\n  <<: {hidden_size: 8}\n", {"bad.yaml:5:", "merge"}),
      edited("Tag", "seed: 3", "seed: !!str 3", {"bad.yaml:3:", "tag"}),
      edited("TabIndentation", "  hidden_size", "\thidden_size", {"bad.yaml:6:", "tab"}),
      edited("UnclosedBracket", "train: [train]", "train: [train", {"bad.yaml:"}),
      edited("StepsAndTokens", "steps: 12\n", "steps: 12\n  tokens: 99\n", {"training.steps", "exactly one"}),
      edited("NeitherStepsNorTokens", "  steps: 12\n", "", {"training.steps", "exactly one"}),
      edited("NegativeSteps", "steps: 12", "steps: -1", {"training.steps", "'-1'"}),
      edited("HeadsDoNotDivide", "num_attention_heads: 4", "num_attention_heads: 3",
             {"bad.yaml:8:", "num_attention_heads", "hidden_size (32)"}),
      edited("KeyValueHeadsDoNotDivide", "num_key_value_heads: 2", "num_key_value_heads: 3",
             {"bad.yaml:9:", "num_key_value_heads", "got 3"}),
      edited("TooManyExpertsPerToken", "num_experts_per_tok: 2", "num_experts_per_tok: 5",
             {"num_experts_per_tok", "num_experts (4)"}),
      edited("MicroBatchDoesNotDivide", "micro_batch_size: 2", "micro_batch_size: 3",
             {"micro_batch_size", "global_batch_size (4)"}),
      edited("SequenceLongerThanContext", "sequence_length: 32", "sequence_length: 65",
             {"sequence_length (65)", "max_position_embeddings (64)"}),
      edited("UnknownOptimizer", "name: adamw", "name: adamm", {"optimizer.name", "'adamm'", "adamw"}),
      edited("NameWithSlash", "name: small", "name: a/b", {"bad.yaml:1:", "plain folder name"}),
      edited("SourceWithoutShards", "  train: [train]\n", "", {"data.train"}),
      {"Empty", [](const Workplace& place) { return train(place, ""); }, kConfig, {"bad.yaml:1:1", "nothing here"}},
      {"NotUtf8", [](const Workplace& place) { return train(place, "name: \xff\xfe\n"); }, kConfig,
       {"bad.yaml:1:7", "UTF-8"}},
      {"MissingConfig", [](const Workplace&) { return std::string("moe-train nowhere.yaml"); }, kConfig,
       {"nowhere.yaml"}},
      {"FolderAsConfig", [](const Workplace&) { return std::string("moe-train ."); }, kConfig, {"."}},
      {"NoConfig", [](const Workplace&) { return std::string("moe-train"); }, kConfig, {"config file"}},
      overridden("UnknownFlag", "--fast", {"--fast"}),
      overridden("OverrideWithoutValue", "training.steps", {"command line", "training.steps"}),
      overridden("OverrideOfUnknownKey", "training.stepz=3", {"command line: training.stepz=3", "steps"}),
      overridden("OverrideOfWrongType", "training.steps=many", {"command line: training.steps=many", "'many'"}),
      overridden("ExpertDoesNotDivideExperts", "parallel.expert=3", {"parallel", "expert (3)", "num_experts (4)"}),
      overridden("ExpertDoesNotDivideRanks", "parallel.expert=2", {"parallel.expert", "data ranks"}),
      overridden("DataIsNotTheWorld", "parallel.data=2", {"parallel.data", "start 2 ranks"}),
  };
}

std::vector<Row> file_rows() {
  return {
      {"MissingShard", [](const Workplace& place) { return train(place, small_config()); }, kFile,
       {"train.idx"}},
      damaged("TruncatedIndex", [](const Workplace& place) { cut(place, "train.idx", 5); },
              {"train.idx", "byte 26"}),
      damaged("EmptyIndex", [](const Workplace& place) { place.write("train.idx", ""); },
              {"train.idx", "byte 0", "34 bytes"}),
      damaged("WrongMagic", [](const Workplace& place) { patch(place, "train.idx", 0, "X"); },
              {"train.idx", "byte 0", "MMIDIDX"}),
      damaged("WrongDtypeCode", [](const Workplace& place) { patch(place, "train.idx", 17, "\x07"); },
              {"train.idx", "byte 17", "dtype code"}),
      damaged("TruncatedTokens", [](const Workplace& place) { cut(place, "train.bin", 2); },
              {"train.idx", "sequence length", "train.bin"}),
      damaged("LongerTokens",
              [](const Workplace& place) { place.write("train.bin", place.read("train.bin") + "ab"); },
              {"train.bin", "end of file"}),
      damaged("DamagedHeldOutIndex", [](const Workplace& place) { cut(place, "held_out.idx", 1); },
              {"held_out.idx"}),
      damaged("DamagedInformation", [](const Workplace& place) { place.write("train.json", "{"); },
              {"train.json"}),
      {"VocabularyLargerThanTheModel",
       [](const Workplace& place) {
         place.prepare_data();
         return train(place, small_config(), "model.vocab_size=100");
       },
       kConfig, {"model.vocab_size", "257", "train"}},
      {"GarbageTokenizer",
       [](const Workplace& place) {
         place.write("text.txt", "words");
         place.write("garbage.model", "no tokenizer at all");
         return std::string("moe-data prepare --input text.txt --tokenizer garbage.model --output runs");
       },
       kFile, {"garbage.model"}},
      {"EmptyText",
       [](const Workplace& place) {
         place.write("empty.txt", "");
         return std::string("moe-data prepare --input empty.txt --tokenizer bytes --output runs");
       },
       kFile, {"empty.txt"}},
      {"BrokenJsonLines",
       [](const Workplace& place) {
         place.write("broken.jsonl", "{\"text\": \"a\"}\n{\"text\": \n");
         return std::string("moe-data prepare --input broken.jsonl --tokenizer bytes --output runs");
       },
       kFile, {"broken.jsonl:2"}},
      {"MissingCheckpoint",
       [](const Workplace& place) {
         place.prepare_data();
         return train(place, small_config(), "checkpoint.resume=nowhere/step_00000004");
       },
       kFile, {"nowhere/step_00000004"}},
      {"FlippedByteInACheckpoint",
       [](const Workplace& place) {
         const std::string shard = train_good(place);
         const std::size_t middle = place.read(shard).size() / 2;
         const char flipped = static_cast<char>(place.read(shard)[middle] ^ 4);
         patch(place, shard, middle, std::string(1, flipped));
         return train(place, small_config(), "checkpoint.resume=elsewhere/good/checkpoints/step_00000001");
       },
       kFile, {"shard_00000.h5", "digest"}},
      {"MissingCheckpointShard",
       [](const Workplace& place) {
         std::filesystem::remove(place / train_good(place));
         return train(place, small_config(), "checkpoint.resume=elsewhere/good");
       },
       kFile, {"shard_00000.h5"}},
      {"DamagedManifest",
       [](const Workplace& place) {
         train_good(place);
         cut(place, "elsewhere/good/checkpoints/step_00000001/manifest.json", 10);
         return std::string("moe-eval elsewhere/good/checkpoints/step_00000001");
       },
       kFile, {"manifest.json"}},
      {"CheckpointOfAnotherModel",
       [](const Workplace& place) {
         train_good(place);
         return train(place, small_config(), "model.hidden_size=64 checkpoint.resume=elsewhere/good");
       },
       kConfig, {"model.hidden_size: 32 -> 64"}},
      {"OutputBelowAFile",
       [](const Workplace& place) {
         place.prepare_data();
         place.write("taken", "a file");
         return train(place, small_config(), "output=taken");
       },
       kFile, {"taken/", "Not a directory", "HINT"}},
      {"EvaluateNothing", [](const Workplace&) { return std::string("moe-eval nowhere"); }, kFile, {"nowhere"}},
      {"GenerateFromNothing",
       [](const Workplace&) { return std::string("moe-generate nowhere --prompt a"); }, kFile, {"nowhere"}},
  };
}

class BadInput : public ::testing::TestWithParam<Row> {};

TEST_P(BadInput, IsRefusedWithAPlaceAndLeavesNothing) {
  const Workplace place;
  const std::string command = GetParam().prepare(place);
  const Outcome outcome = place.run(command);
  EXPECT_EQ(outcome.code, GetParam().code) << outcome.all();
  for (const char* phrase : GetParam().says) EXPECT_THAT(outcome.errors, HasSubstr(phrase));
  EXPECT_FALSE(place.exists("runs")) << "a refused run leaves no folder";
  for (const auto& entry : std::filesystem::directory_iterator(place / "")) {
    EXPECT_NE(entry.path().stem(), "runs") << entry.path();
  }
}

std::string row_name(const ::testing::TestParamInfo<Row>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Configs, BadInput, ::testing::ValuesIn(config_rows()), row_name);
INSTANTIATE_TEST_SUITE_P(Files, BadInput, ::testing::ValuesIn(file_rows()), row_name);

TEST(BadInputs, AreReportedAllAtOnce) {
  const Workplace place;
  std::string config = with(small_config(), "hidden_size: 32", "hidden_size: wide");
  config = with(config, "seed: 3", "sed: 3");
  const Outcome outcome = place.run(train(place, config, "training.stepz=1"));
  EXPECT_EQ(outcome.code, kConfig);
  for (const char* phrase : {"'wide'", "sed", "stepz"}) EXPECT_THAT(outcome.errors, HasSubstr(phrase));
}

TEST(BadInputs, EndTheWholeJobWithOneMessage) {
  const Workplace place;
  const Outcome outcome =
      place.run(train(place, with(small_config(), "hidden_size: 32", "hidden_size: wide")), 2);
  EXPECT_NE(outcome.code, 0);
  EXPECT_EQ(count(outcome.all(), "'wide'"), 1) << outcome.all();
}

TEST(BadInputs, ATokenBeyondTheVocabularyIsNeverTrainedOn) {
  const Workplace place;
  place.prepare_data();
  // A shard of another program says nothing about its vocabulary, so the token is met while reading.
  std::filesystem::remove(place / "train.json");
  std::string tokens = place.read("train.bin");
  for (std::size_t i = 1; i < tokens.size(); i += 64) tokens[i] = '\x7f';
  place.write("train.bin", tokens);
  const Outcome outcome = place.run(train(place, small_config(), "data.tokenizer=bytes data.eod=256"));
  EXPECT_EQ(outcome.code, kFile) << outcome.all();
  EXPECT_THAT(outcome.errors, HasSubstr("train.bin"));
  EXPECT_THAT(outcome.errors, HasSubstr("260"));
  EXPECT_EQ(place.read("runs/small/metrics.jsonl"), "");
}

}  // namespace
}  // namespace moe::testing
