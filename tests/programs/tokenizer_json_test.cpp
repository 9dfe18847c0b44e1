// A tokenizer.json from text to samples: every program takes it, and the checkpoint carries it.
#include "base/file.h"
#include "programs/programs.h"

namespace moe::testing {
namespace {

using ::testing::HasSubstr;

TEST(TokenizerJson, TravelsFromTextToSamples) {
  const Workplace place;
  const Path fixtures = Path(MOE_SOURCE_DIR) / "tests/data/tokenizer_json";
  const std::string json = read_file(fixtures / "llama3.json");
  const std::string config = R"({"eos_token": {"content": "<|eot_id|>"}, "model_max_length": 64})";
  std::filesystem::create_directories(place / "model");
  place.write("model/tokenizer.json", json);
  place.write("model/tokenizer_config.json", config);
  const auto expect_ok = [&](const std::string& command) {
    const Outcome told = place.run(command);
    EXPECT_EQ(told.code, 0) << command << "\n" << told.all();
    return told.output;
  };
  for (const auto& [name, bytes] : {std::pair{"train", 200000}, std::pair{"held_out", 6000}}) {
    place.write(std::string(name) + ".txt", make_text(name, static_cast<std::size_t>(bytes)));
    expect_ok("moe-data prepare --input " + std::string(name) + ".txt --tokenizer model --output " + name);
  }
  EXPECT_THAT(expect_ok("moe-data inspect train"), HasSubstr("tokenizer_json"));
  EXPECT_THAT(expect_ok("moe-data verify held_out"), HasSubstr("valid"));
  expect_ok("moe-data unigram --train train --held-out held_out");

  place.write("small.yaml", with(small_config(2), "vocab_size: 260", "vocab_size: 640"));
  expect_ok("moe-train small.yaml");
  const std::string step = "runs/small/checkpoints/step_00000002/";
  EXPECT_EQ(place.read(step + "tokenizer.name"), "tokenizer_json\n");
  EXPECT_EQ(place.read(step + "tokenizer.json"), json);
  EXPECT_EQ(place.read(step + "tokenizer_config.json"), config);

  expect_ok("moe-eval runs/small --json");
  const auto generated = nlohmann::json::parse(
      expect_ok("moe-generate runs/small --prompt 'ba de' --max-tokens 20 --temperature 0 --json"));
  EXPECT_FALSE(generated.at("tokens").empty());
  // The checkpoint itself serves as a tokenizer.
  expect_ok("moe-data prepare --input held_out.txt --tokenizer " + step + " --output again");
  EXPECT_EQ(place.read("again.bin"), place.read("held_out.bin"));
}

}  // namespace
}  // namespace moe::testing
