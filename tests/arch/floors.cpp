#include "arch/floors.h"

#include <stdexcept>

#include "arch/source_tree.h"

namespace moe::arch {

Floors Floors::parse(std::string_view text) {
  Floors floors;
  std::string section;
  for (const std::string& line : lines(text)) {
    std::vector<std::string> parts = words(line);
    if (parts.empty() || parts[0].starts_with('#')) continue;
    if (parts[0].starts_with('[')) {
      section = parts[0];
      continue;
    }
    if (!parts[0].ends_with(':')) throw std::runtime_error("floors.txt: no row: " + line);
    const std::string name = parts[0].substr(0, parts[0].size() - 1);
    std::set<std::string> rest(parts.begin() + 1, parts.end());
    if (section == "[floors]") {
      floors.rows_[name] = rest;
    } else if (section == "[debts]") {
      floors.debts_[name].insert(rest.begin(), rest.end());
    } else if (section == "[libraries]") {
      const bool is_public = rest.erase("public") > 0;
      floors.libraries_.push_back({name, rest, is_public});
    } else {
      throw std::runtime_error("floors.txt: no section: " + line);
    }
  }
  return floors;
}

Floors Floors::load() {
  return parse(read_text(std::string(MOE_SOURCE_DIR) + "/tools/dev/floors.txt"));
}

bool Floors::allows(const std::string& folder, const std::string& other,
                    const std::string& target) const {
  if (folder == other || other == "base") return true;
  const auto row = rows_.find(folder);
  if (row == rows_.end()) return false;
  return row->second.contains("*") || row->second.contains(other) || row->second.contains(target);
}

const Library* Floors::library_of(const std::string& header) const {
  for (const Library& library : libraries_) {
    if (header.starts_with(library.prefix)) return &library;
  }
  return nullptr;
}

}  // namespace moe::arch
