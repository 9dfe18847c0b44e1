#include "config/reference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/sample_config.h"

namespace moe::config::testing {
namespace {

using ::testing::HasSubstr;

TEST(Reference, HasOneTableASectionAndOneRowAKey) {
  const std::string text = reference_markdown<SampleRun>();
  const char* rows[] = {
      "## Top level\n",
      "| `seed` | integer >= 0 | `1` | seed of everything |\n",
      "## `model`\n\nThe network.\n",
      "| `hidden_size` | integer 1 to 65536 | `64` | model width D |\n",
      "| `capacity_factor` | number > 0 or `null` | `null` | room per expert |\n",
      "| `balance_loss` | `micro_batch`, `sequence`, `global`, `none` | `micro_batch` |",
      "| `tie_word_embeddings` | `true`, `false` | `false` |",
      "| `sparse_layers` | list of integers >= 0 | `[]` | layers with experts |\n",
      "| `rope_scaling` | section or `null` | `null` | longer contexts |\n",
      "## `model.rope_scaling`\n",
      "| `sources` | list of mappings | `[]` | shards to mix |\n",
      "## `data.sources[]`\n",
      "| `weight` | number > 0 | `1.0` | share of the mixture |\n",
      "| `languages` | list of texts | `[]` |",
      "| `phases` | list of `train`, `validation` | `[train]` |",
      "| `beta1` | number >= 0 and < 1 | `0.9` |",
      "| `data` | integer >= 1 or `auto` | `auto` | data ranks |\n",
      "| `resume` | text or `auto` | `auto` | latest, never or a path |\n",
  };
  for (const char* row : rows) EXPECT_THAT(text, HasSubstr(row));
}

TEST(Reference, EscapesTheCellSeparator) {
  struct Piped {
    std::string value = "a|b";
    void fields(Fields& f) { f.text("x", value, "this | that"); }
  };
  EXPECT_THAT(reference_markdown<Piped>(),
              HasSubstr("| `x` | text | `\"a\\|b\"` | this \\| that |\n"));
}

TEST(Reference, LeavesListsAsTheyWere) {
  Data data;
  reference_markdown([&data](Fields& f) { data.fields(f); });
  EXPECT_TRUE(data == Data());
}

}  // namespace
}  // namespace moe::config::testing
