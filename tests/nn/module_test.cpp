#include "nn/module.h"

#include <gtest/gtest.h>

namespace moe::nn {
namespace {

class Part : public Module {
 public:
  explicit Part(const std::string& name) { declare({name, Shape{2}, ParameterKind::Norm, {}, {}}); }
  void add(const std::string& name) { declare({name, Shape{1}, ParameterKind::Bias, {}, {}}); }
  void take(Module& child) { adopt(child); }
};

std::vector<std::string> names(Module& module) {
  std::vector<std::string> all;
  for (const Parameter* p : module.parameters()) all.push_back(p->name());
  return all;
}

using Names = std::vector<std::string>;

TEST(Module, VisitsItsOwnThenItsChildrenInOrderOfDeclaration) {
  Part root("root");
  Part first("first");
  Part second("second");
  Part inner("inner");
  root.take(first);
  first.take(inner);
  root.take(second);
  root.add("root.late");
  second.add("second.late");
  EXPECT_EQ(names(root), (Names{"root", "root.late", "first", "inner", "second", "second.late"}));
  EXPECT_EQ(names(first), (Names{"first", "inner"}));
}

TEST(Module, AModuleWithoutPartsHasNone) {
  class Empty : public Module {
  } empty;
  EXPECT_TRUE(empty.parameters().empty());
}

TEST(Module, DeclaredParametersKeepTheirPlace) {
  Part part("p0");
  const std::vector<Parameter*> before = part.parameters();
  for (int i = 1; i < 100; ++i) part.add("p" + std::to_string(i));
  EXPECT_EQ(part.parameters()[0], before[0]) << "modules keep pointers to what they declared";
  EXPECT_EQ(part.parameters().size(), 100U);
}

}  // namespace
}  // namespace moe::nn
