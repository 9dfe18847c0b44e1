/// tools/dev/floors.txt: who may include whom, and which folder owns which library.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace moe::arch {

struct Library {
  std::string prefix;  ///< of the header's name
  std::set<std::string> owners;
  bool is_public = false;  ///< headers may pass it on
};

class Floors {
 public:
  /// @throws std::runtime_error for a line that is no row
  static Floors parse(std::string_view text);
  static Floors load();

  bool knows(const std::string& folder) const { return rows_.contains(folder); }
  /// May a file of `folder` include `target` ("tensor/view.h"), which lies in `other`?
  bool allows(const std::string& folder, const std::string& other, const std::string& target) const;
  /// File -> headers that it includes against the table.
  const std::map<std::string, std::set<std::string>>& debts() const { return debts_; }
  /// The library that a header belongs to, or null.
  const Library* library_of(const std::string& header) const;
  /// Folder -> whole folders that it may include (not single headers, not "*").
  const std::map<std::string, std::set<std::string>>& rows() const { return rows_; }

 private:
  std::map<std::string, std::set<std::string>> rows_;
  std::map<std::string, std::set<std::string>> debts_;
  std::vector<Library> libraries_;
};

}  // namespace moe::arch
