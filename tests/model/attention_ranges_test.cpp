#include "model/attention_ranges.h"

#include "base/format.h"
#include "support/context_test.h"

namespace moe {
namespace {

using testing::ids;
using Ints = std::vector<std::int32_t>;

class AttentionRanges : public testing::ContextTest {};

Ints ints(const Tensor& tensor) {
  const auto span = tensor.span<std::int32_t>();
  return {span.begin(), span.end()};
}

TEST_F(AttentionRanges, PositionsCountFromThePastInEverySequence) {
  EXPECT_EQ(ints(default_positions(6, 2, 0)), (Ints{0, 1, 2, 0, 1, 2}));
  EXPECT_EQ(ints(default_positions(4, 2, 5)), (Ints{5, 6, 5, 6}));
  EXPECT_EQ(ints(default_positions(3, 1, 7)), (Ints{7, 8, 9}));
  EXPECT_EQ(ints(default_positions(1, 1, 0)), Ints{0});
  EXPECT_EQ(ints(default_positions(0, 2, 0)), Ints{});
  EXPECT_EQ(ints(default_positions(0, 0, 0)), Ints{});
}

struct Row {
  const char* name;
  std::int64_t tokens, batch, past, window;
  Ints first;  ///< by document bounds; empty: none
  Ints begin, end;
};

const Row kRows[] = {
    {"causal", 4, 1, 0, 0, {}, {0, 0, 0, 0}, {1, 2, 3, 4}},
    {"two sequences", 4, 2, 0, 0, {}, {0, 0, 0, 0}, {1, 2, 1, 2}},
    {"a window of one sees itself", 3, 1, 0, 1, {}, {0, 1, 2}, {1, 2, 3}},
    {"a window of two", 4, 1, 0, 2, {}, {0, 0, 1, 2}, {1, 2, 3, 4}},
    {"a window as long as the sequence", 3, 1, 0, 3, {}, {0, 0, 0}, {1, 2, 3}},
    {"documents", 5, 1, 0, 0, {0, 0, 2, 2, 4}, {0, 0, 2, 2, 4}, {1, 2, 3, 4, 5}},
    {"documents and a window", 5, 1, 0, 2, {0, 0, 2, 2, 2}, {0, 0, 2, 2, 3}, {1, 2, 3, 4, 5}},
    {"with a past", 2, 1, 3, 0, {}, {0, 0}, {4, 5}},
    {"with a past and a window", 4, 2, 3, 2, {}, {2, 3, 2, 3}, {4, 5, 4, 5}},
    {"nothing", 0, 1, 0, 4, {}, {}, {}},
    {"no sequence", 0, 0, 0, 0, {}, {}, {}},
};

TEST_F(AttentionRanges, AQuerySeesItsDocumentUpToItself) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.name);
    const Tensor begin = row.first.empty() ? Tensor() : ids(row.first, {row.tokens});
    const ops::AttentionRange range =
        attention_range(begin, row.tokens, row.batch, row.past, row.window);
    EXPECT_EQ(ints(range.begin), row.begin);
    EXPECT_EQ(ints(range.end), row.end);
    EXPECT_EQ(range.batch, row.batch);
  }
}

struct Sequences {
  const char* name;
  std::int64_t tokens, batch;
  Ints first;
  Ints group;
  std::int64_t count;
};

const Sequences kSequences[] = {
    {"one", 3, 1, {}, {0, 0, 0}, 1},
    {"rows", 4, 2, {}, {0, 0, 1, 1}, 2},
    {"documents", 6, 1, {0, 0, 2, 3, 3, 3}, {0, 0, 1, 2, 2, 2}, 3},
    {"a row always begins a new one", 4, 2, {0, 1, 1, 1}, {0, 1, 2, 2}, 3},
    {"rows that begin alike", 4, 2, {0, 0, 0, 0}, {0, 0, 1, 1}, 2},
    {"every token its own", 3, 1, {0, 1, 2}, {0, 1, 2}, 3},
    {"nothing", 0, 1, {}, {}, 0},
    {"no row", 0, 0, {}, {}, 0},
};

TEST_F(AttentionRanges, LogicalSequencesAreDocumentsWithinRows) {
  for (const Sequences& row : kSequences) {
    SCOPED_TRACE(row.name);
    const Tensor begin = row.first.empty() ? Tensor() : ids(row.first, {row.tokens});
    const LogicalSequences sequences = logical_sequences(begin, row.tokens, row.batch);
    EXPECT_EQ(ints(sequences.group_T), row.group);
    EXPECT_EQ(sequences.count, row.count);
  }
}

}  // namespace
}  // namespace moe
