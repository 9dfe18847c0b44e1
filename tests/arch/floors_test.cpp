// Who includes whom: tools/dev/floors.txt against the includes of every file.
#include "arch/floors.h"

#include <gtest/gtest.h>

#include <functional>

#include "arch/source_tree.h"

namespace moe::arch {
namespace {

std::vector<const SourceFile*> product_files() {
  return SourceTree::instance().under({"src", "kernels", "tools"});
}

std::string place(const SourceFile& file, const Include& include) {
  return file.path + ":" + std::to_string(include.line) + ": includes \"" + include.target + "\"";
}

TEST(Floors, TableIsReadAndApplied) {
  const Floors floors = Floors::parse(
      "# comment\n[floors]\nbase:\nnn: ops device\nmoe: nn comm/group.h\n"
      "[libraries]\nmpi.h: comm\nfmt/: base public\n");
  EXPECT_TRUE(floors.allows("nn", "ops", "ops/linear.h"));
  EXPECT_TRUE(floors.allows("nn", "base", "base/file.h"));
  EXPECT_TRUE(floors.allows("nn", "nn", "nn/module.h"));
  EXPECT_TRUE(floors.allows("moe", "comm", "comm/group.h"));
  EXPECT_FALSE(floors.allows("moe", "comm", "comm/work.h"));
  EXPECT_FALSE(floors.allows("nn", "moe", "moe/router.h"));
  EXPECT_FALSE(floors.allows("unheard_of", "nn", "nn/module.h"));
  EXPECT_EQ(floors.library_of("mpi.h")->owners, std::set<std::string>{"comm"});
  EXPECT_TRUE(floors.library_of("fmt/format.h")->is_public);
  EXPECT_EQ(floors.library_of("vector"), nullptr);
  EXPECT_THROW(Floors::parse("[floors]\nno row\n"), std::runtime_error);
}

TEST(Floors, TableItselfGoesDownOnly) {
  const Floors floors = Floors::load();
  std::set<std::string> done;
  std::set<std::string> open;
  const std::function<void(const std::string&)> visit = [&](const std::string& folder) {
    if (done.contains(folder)) return;
    EXPECT_TRUE(floors.knows(folder)) << folder << " has no row";
    EXPECT_TRUE(open.insert(folder).second) << "a cycle of floors through " << folder;
    if (::testing::Test::HasFailure()) return;
    for (const std::string& other : floors.rows().at(folder)) {
      if (other != "*" && !other.ends_with(".h")) visit(other);
    }
    done.insert(folder);
  };
  for (const auto& row : floors.rows()) visit(row.first);
}

TEST(Floors, EveryFolderHasARow) {
  const Floors floors = Floors::load();
  for (const SourceFile* file : product_files()) {
    EXPECT_TRUE(floors.knows(file->folder()))
        << file->path << ": add its folder to tools/dev/floors.txt";
  }
}

TEST(Floors, FilesIncludeOnlyWhatTheirFloorAllows) {
  const Floors floors = Floors::load();
  auto debts = floors.debts();
  for (const SourceFile* file : product_files()) {
    for (const Include& include : file->includes) {
      const SourceFile* target = SourceTree::instance().resolve(include.target);
      if (target == nullptr || floors.allows(file->folder(), target->folder(), include.target)) {
        continue;
      }
      EXPECT_EQ(debts[file->path].erase(include.target), 1U)
          << place(*file, include) << ", which tools/dev/floors.txt does not allow for "
          << file->folder();
    }
  }
  for (const auto& [path, headers] : debts) {
    EXPECT_TRUE(headers.empty()) << path << " owes nothing any more: remove its line from [debts]";
  }
}

TEST(Floors, ProductNeverIncludesTests) {
  for (const SourceFile* file : product_files()) {
    for (const Include& include : file->includes) {
      const SourceFile* target = SourceTree::instance().resolve(include.target);
      EXPECT_FALSE(target != nullptr && target->folder() == "tests") << place(*file, include);
    }
  }
}

TEST(Floors, IncludesMakeNoCycle) {
  enum class State { Open, Done };
  std::map<const SourceFile*, State> states;
  const std::function<void(const SourceFile*, const std::string&)> visit =
      [&](const SourceFile* file, const std::string& way) {
        const auto [state, fresh] = states.emplace(file, State::Open);
        if (!fresh) {
          EXPECT_TRUE(state->second == State::Done) << "a cycle: " << way << file->path;
          return;
        }
        for (const Include& include : file->includes) {
          const SourceFile* target = SourceTree::instance().resolve(include.target);
          if (target != nullptr) visit(target, way + file->path + " -> ");
        }
        states[file] = State::Done;
      };
  for (const auto& entry : SourceTree::instance().files()) visit(&entry.second, "");
}

/// Library headers that a file sees, each with the way it comes in.
class LibraryUse {
 public:
  explicit LibraryUse(const Floors& floors) : floors_(floors) {}

  std::map<const Library*, std::string> of(const SourceFile& file) const {
    std::map<const Library*, std::string> found;
    std::set<std::string> seen;
    collect(file, "", found, seen);
    return found;
  }

 private:
  void collect(const SourceFile& file, const std::string& way,
               std::map<const Library*, std::string>& found, std::set<std::string>& seen) const {
    if (!seen.insert(file.path).second) return;
    const std::string here = way + file.path;
    for (const Include& include : file.includes) {
      const Library* library = floors_.library_of(include.target);
      if (library != nullptr && (way.empty() || !library->is_public)) {
        found.emplace(library, here + " -> <" + include.target + ">");
      }
      const SourceFile* target = SourceTree::instance().resolve(include.target);
      if (target != nullptr) collect(*target, here + " -> ", found, seen);
    }
  }

  const Floors& floors_;
};

TEST(Floors, LibrariesStayWithTheFolderThatOwnsThem) {
  const Floors floors = Floors::load();
  const LibraryUse use(floors);
  for (const SourceFile* file : product_files()) {
    for (const auto& [library, way] : use.of(*file)) {
      EXPECT_TRUE(library->owners.contains(file->folder()))
          << way
          << "\n  only these folders may see it: " << ::testing::PrintToString(library->owners);
    }
  }
}

}  // namespace
}  // namespace moe::arch
