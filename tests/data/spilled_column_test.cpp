#include "data/spilled_column.h"

#include <gmock/gmock.h>

#include "data/support.h"

namespace moe::data {
namespace {

using testing::ScratchFolder;

template <class T>
std::vector<T> all_of(SpilledColumn<T>& column) {
  std::vector<T> values;
  column.for_each_block([&](std::span<const T> block) { values.insert(values.end(), block.begin(), block.end()); });
  return values;
}

TEST(SpilledColumn, GivesBackWhatItTookAsOftenAsAsked) {
  const ScratchFolder scratch;
  for (const std::int64_t size : {0, 1, 8191, 8192, 8193, 50000}) {
    SpilledColumn<std::int64_t> column(scratch / "column");
    std::vector<std::int64_t> values;
    for (std::int64_t i = 0; i < size; ++i) {
      values.push_back(i * i - 7);
      column.push_back(values.back());
    }
    EXPECT_EQ(column.size(), size);
    EXPECT_EQ(all_of(column), values) << size;
    EXPECT_EQ(all_of(column), values) << size;
  }
}

TEST(SpilledColumn, LeavesNoFile) {
  const ScratchFolder scratch;
  {
    SpilledColumn<std::int32_t> unread(scratch / "unread");
    unread.push_back(1);
    SpilledColumn<std::int32_t> read(scratch / "read");
    read.push_back(2);
    all_of(read);
  }
  EXPECT_TRUE(scratch.files().empty());
}

TEST(SpilledColumn, NamesAFileThatWasCut) {
  const ScratchFolder scratch;
  SpilledColumn<std::int32_t> column(scratch / "cut");
  for (std::int32_t i = 0; i < 1000; ++i) column.push_back(i);
  all_of(column);
  std::filesystem::resize_file(scratch / "cut", 100);
  EXPECT_THAT(testing::message_of([&] { all_of(column); }), ::testing::HasSubstr("cut"));
}

}  // namespace
}  // namespace moe::data
