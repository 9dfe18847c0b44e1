#include "config/registry.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace moe::config {
namespace {

using Factory = int (*)(int);
int make_double(int x) {
  return 2 * x;
}
int make_square(int x) {
  return x * x;
}

const Registry<Factory>& table() {
  static const Registry<Factory> registry("optimizer.name",
                                          {{"double", &make_double}, {"square", &make_square}});
  return registry;
}

TEST(Registry, FindsByName) {
  EXPECT_EQ(table().find("double")(5), 10);
  EXPECT_EQ(table().find("square")(5), 25);
  EXPECT_TRUE(table().contains("square"));
  EXPECT_FALSE(table().contains(""));
  EXPECT_EQ(table().names(), (std::vector<std::string>{"double", "square"}));
}

TEST(Registry, NamesWhatThereIs) {
  const struct {
    const char* name;
    const char* message;
  } rows[] = {
      {"sqare",
       "optimizer.name: unknown name, got 'sqare'; allowed double, square; HINT did you mean "
       "square?"},
      {"xyzzyxyzzy", "optimizer.name: unknown name, got 'xyzzyxyzzy'; allowed double, square"},
  };
  for (const auto& row : rows) {
    try {
      table().find(row.name);
      ADD_FAILURE() << row.name << " must be refused";
    } catch (const ConfigError& error) {
      EXPECT_STREQ(error.what(), row.message);
    }
  }
}

TEST(Registry, RefusesANameTwice) {
  using Table = Registry<Factory>;
  EXPECT_THROW(Table("x", {{"a", &make_double}, {"a", &make_square}}), InternalError);
}

}  // namespace
}  // namespace moe::config
