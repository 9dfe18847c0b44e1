#include "data/tokenizer_json.h"

#include <gmock/gmock.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "data/support.h"
#include "data/texts.h"

namespace moe::data {
namespace {

using testing::adversarial_texts;
using testing::message_of;
using testing::ScratchFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::json;

const Path kFixtures = Path(MOE_SOURCE_DIR) / "tests/data/tokenizer_json";

Json fixture(const std::string& style) { return Json::parse(read_file(kFixtures / (style + ".json"))); }

std::shared_ptr<const Tokenizer> load(const std::string& style) {
  return load_json_tokenizer(kFixtures / (style + ".json"));
}

std::shared_ptr<const Tokenizer> make(const Json& json) { return make_json_tokenizer(json.dump(), "test"); }

std::vector<std::string> fixture_texts() { return Json::parse(read_file(kFixtures / "texts.json")); }

class EveryStyle : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Styles, EveryStyle,
                         ::testing::Values("gpt2", "gpt2_prefix", "olmoe", "llama3", "qwen2", "o200k",
                                           "deepseek3", "odd", "kimi", "merged"));

TEST_P(EveryStyle, HasTheIdsOfTheLibrary) {
  const auto tokenizer = load(GetParam());
  const auto texts = fixture_texts();
  const Json expected = Json::parse(read_file(kFixtures / (std::string(GetParam()) + ".ids.json")));
  ASSERT_EQ(expected.size(), texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(tokenizer->encode(texts[i]), expected[i].get<std::vector<std::int32_t>>()) << texts[i];
  }
}

TEST_P(EveryStyle, CutsWithoutChangingIds) {
  const auto tokenizer = load(GetParam());
  std::vector<std::string> texts = adversarial_texts();
  for (const std::string& text : fixture_texts()) texts.push_back(text + "\n" + text);
  for (const std::string& text : texts) {
    const auto whole = tokenizer->encode(text);
    for (std::size_t size = 1; size <= text.size(); size += 1 + text.size() / 10) {
      const std::size_t cut = tokenizer->safe_cut(std::string_view(text).substr(0, size));
      ASSERT_LE(cut, size);
      std::vector<std::int32_t> parts = tokenizer->encode(std::string_view(text).substr(0, cut));
      tokenizer->encode(std::string_view(text).substr(cut), parts);
      ASSERT_EQ(parts, whole) << "cut at " << cut << " of " << text.substr(0, size);
    }
  }
}

TEST_P(EveryStyle, TravelsAsFilesAndAsOneText) {
  const ScratchFolder scratch;
  scratch.write("in/tokenizer.json", fixture(GetParam()).dump());
  scratch.write("in/tokenizer_config.json", R"({"model_max_length": 12})");
  const auto tokenizer = load_tokenizer((scratch / "in").string());
  std::filesystem::create_directories(scratch / "out");
  save_tokenizer(*tokenizer, scratch / "out");
  EXPECT_EQ(read_file(scratch / "out/tokenizer.json"), read_file(scratch / "in/tokenizer.json"));
  EXPECT_EQ(read_file(scratch / "out/tokenizer_config.json"), R"({"model_max_length": 12})");
  const std::string text = fixture_texts().back();
  EXPECT_EQ(load_tokenizer((scratch / "out").string())->encode(text), tokenizer->encode(text));
  const auto remade = make_tokenizer(tokenizer->name(), tokenizer->model(), "test");
  EXPECT_EQ(remade->encode(text), tokenizer->encode(text));
  EXPECT_EQ(remade->model(), tokenizer->model());
}

TEST(TokenizerJson, ChangesNothingButTheNormalForm) {
  const auto tokenizer = load("qwen2");
  for (const std::string& text : adversarial_texts()) {
    if (text.find("e\xcc\x81") != std::string::npos) continue;
    // Not all of the noise is normal, but its bytes that are no UTF-8 stay.
    const std::string decoded = tokenizer->decode(tokenizer->encode(text));
    EXPECT_EQ(tokenizer->encode(decoded), tokenizer->encode(text));
  }
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("Cafe\xcc\x81 \xff e\xcc\x81")), "Caf\xc3\xa9 \xff \xc3\xa9");
}

TEST(TokenizerJson, TreatsBrokenCharactersAsOneUnknownEach) {
  const auto tokenizer = load("llama3");
  const auto join = [&](std::initializer_list<std::string_view> words) {
    std::vector<std::int32_t> ids;
    for (const std::string_view word : words) tokenizer->encode(word, ids);
    return ids;
  };
  // U+FFFD is no letter: it goes with the punctuation beside it, or stands before a word.
  EXPECT_EQ(tokenizer->encode("the\xff the"), join({"the", "\xff", " the"}));
  EXPECT_EQ(tokenizer->encode("12\xe6\x9d" "12"), join({"12", "\xe6\x9d", "12"}));
  EXPECT_EQ(tokenizer->encode(" \xff"), join({" ", "\xff"}));
  EXPECT_EQ(tokenizer->encode("\xff").size(), 1U);
}

TEST(TokenizerJson, EncodesLongWordsLikeShortOnes) {
  const auto tokenizer = load("gpt2");
  for (const char* unit : {"a", "ab", "the", "\xe6\xb1\x89", "!"}) {
    std::string text;
    while (text.size() < 100'000) text += unit;
    const auto ids = tokenizer->encode(text);
    EXPECT_EQ(tokenizer->decode(ids), text);
  }
  // Longer than a word may be: in parts.
  const std::string endless(3'000'000, 'a');
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(endless)), endless);
}

TEST(TokenizerJson, FindsAddedTokensInTexts) {
  const auto tokenizer = load("qwen2");
  const auto ids = tokenizer->encode("<|im_start|><|im_end|>");
  ASSERT_EQ(ids.size(), 2U);
  EXPECT_EQ(tokenizer->token_bytes(ids[0]), "<|im_start|>");
  EXPECT_EQ(tokenizer->encode("<|endoftext|>"), std::vector<std::int32_t>{tokenizer->eod_id()});
  EXPECT_EQ(tokenizer->token_bytes(tokenizer->eod_id()), "");
}

TEST(TokenizerJson, BothSpellingsOfMergesAreTheSame) {
  Json json = fixture("gpt2");
  Json pairs = Json::array();
  Json strings = Json::array({"#version: 0.2"});
  for (const Json& merge : json["model"]["merges"]) {
    const auto text = merge.is_string() ? merge.get<std::string>()
                                        : merge[0].get<std::string>() + " " + merge[1].get<std::string>();
    const std::size_t space = text.find(' ');
    pairs.push_back({text.substr(0, space), text.substr(space + 1)});
    strings.push_back(text);
  }
  const auto original = make(json);
  for (const Json& merges : {pairs, strings}) {
    json["model"]["merges"] = merges;
    for (const std::string& text : fixture_texts()) {
      EXPECT_EQ(make(json)->encode(text), original->encode(text));
    }
  }
}

TEST(TokenizerJson, ChoosesTheEndOfDocuments) {
  const ScratchFolder scratch;
  const Json json = fixture("qwen2");
  const auto named = [&](const std::string& config, const std::string& map) {
    scratch.write("tokenizer.json", json.dump());
    scratch.write("tokenizer_config.json", config);
    scratch.write("special_tokens_map.json", map);
    const auto tokenizer = load_tokenizer((scratch / "tokenizer.json").string());
    for (const Json& token : json["added_tokens"]) {
      if (token["id"] == tokenizer->eod_id()) return token["content"].get<std::string>();
    }
    return std::string("none");
  };
  EXPECT_EQ(named("{}", "{}"), "<|endoftext|>");
  EXPECT_EQ(named(R"({"eos_token": null})", "{}"), "<|endoftext|>");
  EXPECT_EQ(named(R"({"eos_token": "<|im_end|>"})", R"({"eos_token": "<|im_start|>"})"), "<|im_end|>");
  EXPECT_EQ(named("{}", R"({"eos_token": {"content": "<|im_start|>", "lstrip": false}})"), "<|im_start|>");
  for (const char* bad : {R"({"eos_token": "<gone>"})", R"({"eos_token": 3})", R"({"eos_token": {}})", "[]",
                          "{\"eos_token\": \"\xff\"}", "{"}) {
    EXPECT_THAT(message_of([&] { named(bad, "{}"); }), HasSubstr("tokenizer_config.json")) << bad;
  }
  EXPECT_THAT(message_of([&] { named("{}", "{"); }), HasSubstr("special_tokens_map.json"));
}

TEST(TokenizerJson, IsFoundInFolders) {
  const ScratchFolder scratch;
  scratch.write("json/tokenizer.json", fixture("gpt2").dump());
  EXPECT_EQ(load_tokenizer((scratch / "json").string())->name(), "tokenizer_json");
  // A translated SentencePiece model: the original is taken.
  Json translated = fixture("gpt2");
  translated["pre_tokenizer"] = nullptr;
  scratch.write("both/tokenizer.json", translated.dump());
  scratch.write("both/tokenizer.model", "no model");
  EXPECT_THAT(message_of([&] { load_tokenizer((scratch / "both").string()); }), HasSubstr("tokenizer.model"));
  scratch.write("both/tokenizer.json", fixture("gpt2").dump());
  EXPECT_EQ(load_tokenizer((scratch / "both").string())->name(), "tokenizer_json");
}

struct Refusal {
  const char* name;
  std::function<void(Json&)> spoil;
  const char* key;  // what the message must name
};

std::vector<Refusal> refusals() {
  const auto set = [](const char* pointer, Json value) {
    return [=](Json& json) { json[Json::json_pointer(pointer)] = value; };
  };
  const auto add = [](Json token) {
    return [=](Json& json) { json["added_tokens"].push_back(token); };
  };
  const auto regex = [&](const char* pattern) {
    return set("/pre_tokenizer", {{"type", "Sequence"},
                                  {"pretokenizers",
                                   {{{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}},
                                    {{"type", "ByteLevel"}, {"use_regex", false}}}}});
  };
  Json deep = {{"type", "NFC"}};
  for (int i = 0; i < 50; ++i) deep = {{"type", "Sequence"}, {"normalizers", {deep}}};
  return {
      {"version", set("/version", "2.0"), "version"},
      {"unknown key", set("/surprise", 1), "surprise"},
      {"no model", [](Json& json) { json.erase("model"); }, "model"},
      {"model is text", set("/model", "x"), "model"},
      {"WordPiece", set("/model/type", "WordPiece"), "model.type"},
      {"unknown model key", set("/model/new_feature", true), "new_feature"},
      {"dropout", set("/model/dropout", 0.1), "model.dropout"},
      {"prefix", set("/model/continuing_subword_prefix", "##"), "continuing_subword_prefix"},
      {"suffix", set("/model/end_of_word_suffix", "</w>"), "end_of_word_suffix"},
      {"ignore_merges", set("/model/ignore_merges", 1), "model.ignore_merges"},
      {"no vocab", [](Json& json) { json["model"].erase("vocab"); }, "vocab"},
      {"empty vocab", set("/model/vocab", Json::object()), "model.vocab"},
      {"vocab is a list", set("/model/vocab", Json::array({1})), "model.vocab"},
      {"negative id", set("/model/vocab/zz", -1), "model.vocab[\"zz\"]"},
      {"huge id", set("/model/vocab/zz", 4294967296), "model.vocab[\"zz\"]"},
      {"largest id", set("/model/vocab/zz", UINT64_MAX), "model.vocab[\"zz\"]"},
      {"fractional id", set("/model/vocab/zz", 1.5), "model.vocab[\"zz\"]"},
      {"id used twice", set("/model/vocab/zz", 5), "an id of its own"},
      {"missing byte", [](Json& json) { json["model"]["vocab"].erase("a"); }, "model.vocab"},
      {"no merges", [](Json& json) { json["model"].erase("merges"); }, "merges"},
      {"merges are an object", set("/model/merges", Json::object()), "model.merges"},
      {"merge of three", set("/model/merges/0", "a b c"), "model.merges[0]"},
      {"merge of one", set("/model/merges/0", "a"), "model.merges[0]"},
      {"merge is a number", set("/model/merges/0", 7), "model.merges[0]"},
      {"merge of a triple", set("/model/merges/0", {"a", "b", "c"}), "model.merges[0]"},
      {"merge of numbers", set("/model/merges/0", {1, 2}), "model.merges[0]"},
      {"unknown left", set("/model/merges/0", {"nowhere", "a"}), "\"nowhere\""},
      {"unknown result", set("/model/merges/0", {"q", "z"}), "\"qz\""},
      {"added id differs", add({{"id", 99999}, {"content", "<x>"}}), "added_tokens[1].id"},
      {"added id of a vocab entry differs", add({{"id", 3}, {"content", "a"}}), "added_tokens[1].id"},
      {"added twice", [](Json& json) { json["added_tokens"].push_back(json["added_tokens"][0]); },
       "added_tokens[1].content"},
      {"added id twice", add({{"id", 600}, {"content", "<x>"}}), "added_tokens[1].id"},
      {"added without content", add({{"id", 601}}), "content"},
      {"added empty", add({{"id", 601}, {"content", ""}}), "added_tokens[1].content"},
      {"added endless", add({{"id", 601}, {"content", std::string(5000, 'x')}}), "added_tokens[1].content"},
      {"added flag", add({{"id", 601}, {"content", "<x>"}, {"lstrip", "yes"}}), "added_tokens[1].lstrip"},
      {"added unknown key", add({{"id", 601}, {"content", "<x>"}, {"fuzzy", true}}), "fuzzy"},
      {"added is a number", add(3), "added_tokens[1]"},
      {"added tokens are an object", set("/added_tokens", {{"a", 1}}), "added_tokens"},
      {"lower case", set("/normalizer", {{"type", "Lowercase"}}), "normalizer.type"},
      {"NFKC", set("/normalizer", {{"type", "Sequence"}, {"normalizers", {{{"type", "NFKC"}}}}}),
       "normalizer.normalizers[0].type"},
      {"deep normalizer", set("/normalizer", deep), "inside each other"},
      {"no pre-tokenizer", set("/pre_tokenizer", nullptr), "pre_tokenizer"},
      {"white space", set("/pre_tokenizer", {{"type", "WhitespaceSplit"}}), "pre_tokenizer.type"},
      {"metaspace", set("/pre_tokenizer", {{"type", "Metaspace"}}), "pre_tokenizer.type"},
      {"no ByteLevel", set("/pre_tokenizer", {{"type", "Digits"}}), "ByteLevel"},
      {"ByteLevel key", set("/pre_tokenizer/odd", 3), "odd"},
      {"removed", set("/pre_tokenizer", {{"type", "Split"}, {"pattern", {{"String", " "}}}, {"behavior", "Removed"}}),
       "pre_tokenizer.behavior"},
      {"after ByteLevel",
       set("/pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {{{"type", "ByteLevel"}}, {{"type", "Digits"}}}}}),
       "pretokenizers[1]"},
      {"no regex", regex("(unclosed"), "pattern.Regex"},
      {"back reference", regex("(a)\\1"), "pattern.Regex"},
      {"named group", regex("(?<x>a)"), "pattern.Regex"},
      {"unknown property", regex("\\p{Klingonese}"), "pattern.Regex"},
      {"nested too deep", regex(std::string(1000, '(').c_str()), "pattern.Regex"},
      {"too large", regex("(?:(?:a{1,60000}){1,60000}){1,60000}"), "pattern.Regex"},
      {"processor", set("/post_processor", {{"type", "Novel"}}), "post_processor.type"},
      {"no end", set("/added_tokens", Json::array()), "eos_token"},
  };
}

TEST(TokenizerJson, NamesTheKeyItRefuses) {
  for (const Refusal& row : refusals()) {
    Json json = fixture("gpt2");
    row.spoil(json);
    const std::string message = message_of([&] { make(json); });
    EXPECT_THAT(message, HasSubstr(row.key)) << row.name;
    EXPECT_THAT(message, HasSubstr("test: ")) << row.name;
    EXPECT_LT(message.size(), 1000U) << row.name;
  }
}

TEST(TokenizerJson, RefusesWhatIsNoJson) {
  const std::string good = fixture("gpt2").dump();
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("null"), std::string("[]"), std::string("\xff\xfe{}"),
        std::string(100'000, '['), good + "}", std::string(1000, '\0'), "{\"model\": \"" + std::string(5000, 'x')}) {
    const std::string message = message_of([&] { make_json_tokenizer(text, "bad.json"); });
    EXPECT_THAT(message, HasSubstr("bad.json")) << text.substr(0, 20);
    EXPECT_LT(message.size(), 1000U);
  }
  for (std::size_t size = 0; size < good.size(); size += 97) {
    EXPECT_THAT(message_of([&] { make_json_tokenizer(good.substr(0, size), "cut.json"); }), HasSubstr("cut.json"));
  }
}

TEST(TokenizerJson, GivesUpOnPatternsThatNeverEnd) {
  Json json = fixture("llama3");
  json["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "(?:a+)+[bc]";
  const auto tokenizer = make(json);
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("caab")), "caab");
  EXPECT_THAT(message_of([&] { tokenizer->encode(std::string(100, 'a')); }), HasSubstr("pattern.Regex"));
}

TEST(TokenizerJson, OneThousandMutationsAreRefusedOrStayLossless) {
  const std::string good = fixture("llama3").dump();
  const Random random(5, "tokenizers");
  std::uint64_t draw = 0;
  for (int trial = 0; trial < 1000; ++trial) {
    std::string bytes = good;
    for (std::uint64_t edits = 1 + random.below(3, draw++); edits > 0; --edits) {
      bytes[random.below(bytes.size(), draw)] = "0a\"{}[],:\\ <\xc3"[random.below(13, draw + 1)];
      draw += 2;
    }
    try {
      const auto tokenizer = make_json_tokenizer(bytes, "mutant");
      const std::string text = "the mon, tariqu 12\n \xff 東京";
      ASSERT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), HasSubstr("mutant"));
    }
  }
}

}  // namespace
}  // namespace moe::data
