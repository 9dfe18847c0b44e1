#include "data/data_config.h"

#include <gmock/gmock.h>

#include "config/decode.h"
#include "config/print.h"
#include "data/support.h"

namespace moe::data {
namespace {

using testing::message_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Root {
  DataConfig data;
  void fields(config::Fields& f) {
    f.section("data", "where tokens come from", [this](config::Fields& section) { data.fields(section); });
  }
};

DataConfig decode(const std::string& text) {
  return config::decode<Root>(config::Document::parse(text, "run.yaml")).data;
}

TEST(DataConfig, ReadsAMixture) {
  const DataConfig config = decode(
      "data:\n  sources:\n    - {path: a/b, weight: 3}\n    - path: c\n  validation: [v]\n"
      "  document_mask: false\n  eod: 2\n");
  ASSERT_EQ(config.sources.size(), 2U);
  EXPECT_EQ(config.sources[0].path, "a/b");
  EXPECT_EQ(config.sources[0].weight, 3);
  EXPECT_EQ(config.sources[1].weight, 1);
  EXPECT_THAT(config.validation, ElementsAre("v"));
  EXPECT_FALSE(config.document_mask);
  EXPECT_EQ(config.eod, 2);
}

TEST(DataConfig, PrintsWhatItReads) {
  for (const char* text :
       {"data: {train: [a, b], validation_fraction: 0.03}", "data: {source: synthetic}",
        "data: {source: synthetic, synthetic: {domains: 3, predictability: 0.5}}"}) {
    Root root;
    root.data = decode(text);
    const std::string printed = config::print_yaml(root);
    Root again;
    again.data = decode(printed);
    EXPECT_EQ(config::print_yaml(again), printed);
  }
}

TEST(DataConfig, RefusesWhatCannotBe) {
  const std::pair<const char*, const char*> rows[] = {
      {"data: {source: tape}", "tokens"},
      {"data: {}", "`train` or `sources`"},
      {"data: {train: [a], sources: [{path: b}]}", "found both"},
      {"data: {train: [a], validation: [b], validation_fraction: 0.1}", "found both"},
      {"data: {train: [a], validation_fraction: 1}", "validation_fraction"},
      {"data: {sources: [{path: a, weight: 0}]}", "weight"},
      {"data: {sources: [{weight: 1}]}", "path"},
      {"data: {train: [a], prefetch: -1}", "prefetch"},
  };
  for (const auto& [text, expected] : rows) {
    const std::string message = message_of<ConfigError>([&, t = text] { decode(t); });
    EXPECT_THAT(message, HasSubstr(expected)) << text;
    EXPECT_THAT(message, HasSubstr("run.yaml:1:")) << text;
  }
}

}  // namespace
}  // namespace moe::data
