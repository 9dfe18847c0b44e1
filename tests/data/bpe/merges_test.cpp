#include "data/bpe/merges.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace moe::data::bpe {
namespace {

/// Bytes are their own tokens; merge r of letters makes token 256 + r.
struct Rules {
  std::array<std::int32_t, 256> bytes{};
  std::vector<Merge> merges;
  Rules() {
    for (std::size_t i = 0; i < 256; ++i) bytes[i] = static_cast<std::int32_t>(i);
  }
};

/// The definition: the lowest rank first, the leftmost of these.
std::vector<std::int32_t> slowly(const Rules& rules, std::string_view word) {
  std::vector<std::int32_t> ids;
  for (const char c : word) ids.push_back(static_cast<unsigned char>(c));
  for (std::size_t rank = 0; rank < rules.merges.size();) {
    const Merge& merge = rules.merges[rank++];
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
      if (ids[i] != merge.left || ids[i + 1] != merge.right) continue;
      ids[i] = merge.result;
      ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(i) + 1);
      rank = 0;
      break;
    }
  }
  return ids;
}

Rules random_rules(std::uint64_t seed, int count) {
  const Random random(seed, "merges");
  Rules rules;
  for (int r = 0; r < count; ++r) {
    const auto draw = static_cast<std::uint64_t>(2 * r);
    const auto token = [&](std::uint64_t which) {
      const auto choice = static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(3 + r), draw + which));
      return choice < 3 ? 'a' + choice : 253 + choice;
    };
    rules.merges.push_back({token(0), token(1), 256 + r});
  }
  return rules;
}

TEST(Merger, FollowsTheDefinition) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    Rules rules = random_rules(seed, 12);
    // A repeated pair would have two ranks in the definition above.
    std::vector<Merge> once;
    for (const Merge& merge : rules.merges) {
      bool seen = false;
      for (const Merge& other : once) seen = seen || (other.left == merge.left && other.right == merge.right);
      if (!seen) once.push_back(merge);
    }
    rules.merges = once;
    const Merger merger(rules.bytes, rules.merges);
    const Random random(seed, "words");
    for (std::uint64_t size : {1, 2, 3, 17, 127, 128, 129, 300}) {
      std::string word;
      for (std::uint64_t i = 0; i < size; ++i) word += static_cast<char>('a' + random.below(3, size * 1000 + i));
      std::vector<std::int32_t> ids{7};
      merger.append(word, ids);
      ids.erase(ids.begin());
      ASSERT_EQ(ids, slowly(rules, word)) << seed << " " << word;
    }
  }
}

TEST(Merger, EdgeCases) {
  const Rules none;
  std::vector<std::int32_t> ids;
  Merger(none.bytes, {}).append("", ids);
  EXPECT_TRUE(ids.empty());
  Merger(none.bytes, {}).append("ab", ids);
  EXPECT_EQ(ids, (std::vector<std::int32_t>{'a', 'b'}));
  // The last rank of a repeated pair counts: bc before ab otherwise.
  ids.clear();
  Merger(none.bytes, {{'b', 'c', 300}, {'a', 'b', 301}, {'b', 'c', 300}}).append("abc", ids);
  EXPECT_EQ(ids, (std::vector<std::int32_t>{301, 'c'}));
  // Overlapping pairs: the leftmost first.
  ids.clear();
  Merger(none.bytes, {{'a', 'a', 300}}).append("aaaaa", ids);
  EXPECT_EQ(ids, (std::vector<std::int32_t>{300, 300, 'a'}));
}

}  // namespace
}  // namespace moe::data::bpe
