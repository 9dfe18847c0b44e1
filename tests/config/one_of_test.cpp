// A list of mappings with one key each: a name of a registry, and its options below.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "base/error.h"
#include "config/decode.h"
#include "config/print.h"
#include "config/reference.h"

namespace moe::config::testing {
namespace {

using ::testing::HasSubstr;

struct Step {
  std::string name = "walk";
  std::int64_t miles = 1;
  std::string mood = "calm";
};

/// Two kinds of step, with different options.
struct Journey {
  std::vector<Step> steps;
  std::int64_t seed = 1;
  void fields(Fields& f) {
    f.list(
        "steps", steps.size(), [this](std::size_t n) { steps.resize(n); }, "in order",
        [this](std::size_t i, Fields& item) {
          item.one_of(steps[i].name, {"walk", "rest"}, "what to do",
                      [this, i](const std::string& name, Fields& g) {
                        if (name == "walk") {
                          g.integer("miles", steps[i].miles, "how far", {.min = 1});
                        } else {
                          g.choice("mood", steps[i].mood, {"calm", "glad"}, "how");
                        }
                      });
        });
    f.integer("seed", seed, "of the weather", {.min = 0});
  }
};

Journey read(const std::string& text) {
  return decode<Journey>(Document::parse(text, "plan.yaml"));
}

std::string message_of(const std::string& text) {
  try {
    read(text);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(OneOf, ReadsTheChosenSection) {
  const Journey journey =
      read("steps:\n  - walk: {miles: 12}\n  - rest:\n      mood: glad\n  - walk: {}\n");
  ASSERT_EQ(journey.steps.size(), 3U);
  EXPECT_EQ(journey.steps[0].name, "walk");
  EXPECT_EQ(journey.steps[0].miles, 12);
  EXPECT_EQ(journey.steps[1].name, "rest");
  EXPECT_EQ(journey.steps[1].mood, "glad");
  EXPECT_EQ(journey.steps[2].miles, 1);
  EXPECT_TRUE(read("seed: 2\n").steps.empty());
  EXPECT_TRUE(read("steps: []\n").steps.empty());
}

struct Mistake {
  const char* text;
  const char* at;
  const char* says;
};

TEST(OneOf, ExplainsMistakes) {
  for (const Mistake& row : {
           Mistake{"steps:\n  - wlk: {miles: 2}\n", "plan.yaml:2:5: steps[0].wlk:", "did you mean walk?"},
           Mistake{"steps:\n  - walk: {mood: glad}\n", "plan.yaml:2:12: steps[0].walk.mood:", "unknown key"},
           Mistake{"steps:\n  - walk: {miles: 2}\n    rest: {}\n", "plan.yaml:3:5: steps[0]:",
                   "expected one key, got 2; allowed walk, rest; HINT start a line of its own"},
           Mistake{"steps:\n  - {}\n", "plan.yaml:2:5: steps[0]:", "expected one key, got 0; allowed walk, rest"},
           Mistake{"steps:\n  - walk\n", "plan.yaml:2:5: steps[0]:", "expected a mapping"},
           Mistake{"steps:\n  - walk:\n", "plan.yaml:2:5: steps[0].walk:", "write {} for all defaults"},
           Mistake{"steps:\n  - walk: 3\n", "plan.yaml:2:11: steps[0].walk:", "expected its options"},
           Mistake{"steps:\n  - walk: {miles: 0}\n", "plan.yaml:2:19: steps[0].walk.miles:", ">= 1"},
           Mistake{"steps: {walk: {}}\n", "plan.yaml:1:8: steps:", "expected a list of mappings"},
       }) {
    const std::string message = message_of(row.text);
    EXPECT_THAT(message, HasSubstr(row.at)) << row.text;
    EXPECT_THAT(message, HasSubstr(row.says)) << row.text;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

TEST(OneOf, PrintsWhatItReads) {
  Journey journey;
  journey.steps = {{"walk", 7, ""}, {"rest", 1, "glad"}};
  const std::string text = print_yaml([&](Fields& f) { journey.fields(f); });
  EXPECT_EQ(text, "steps:\n  - walk:\n      miles: 7\n  - rest:\n      mood: glad\nseed: 1\n");
  const Journey again = read(text);
  EXPECT_EQ(again.steps[0].miles, 7);
  EXPECT_EQ(again.steps[1].mood, "glad");
}

TEST(OneOf, IsDocumentedWithATableForEach) {
  const std::string text = reference_markdown<Journey>();
  EXPECT_THAT(text, HasSubstr("| `(one of these)` | `walk`, `rest` |  | what to do |\n"));
  EXPECT_THAT(text, HasSubstr("## `steps[].walk`\n"));
  EXPECT_THAT(text, HasSubstr("| `miles` | integer >= 1 | `1` | how far |\n"));
  EXPECT_THAT(text, HasSubstr("## `steps[].rest`\n"));
}

}  // namespace
}  // namespace moe::config::testing
