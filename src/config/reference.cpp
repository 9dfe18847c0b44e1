#include "config/reference.h"

#include <vector>

#include "base/format.h"
#include "config/node.h"
#include "config/scalar.h"

namespace moe::config {
namespace {

struct Row {
  std::string key;
  std::string type;
  std::string fallback;
  std::string help;
};

struct Table {
  std::string path;
  std::string help;
  std::vector<Row> rows;
};

std::string with_range(const std::string& type, const std::string& range) {
  return range.empty() ? type : format("{} {}", type, range);
}

/// A '|' would end the cell.
std::string cell(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '|') escaped += '\\';
    escaped += c == '\n' ? ' ' : c;
  }
  return escaped;
}

std::string code(const std::string& text) {
  return format("`{}`", cell(text));
}

std::string alternatives(const std::vector<std::string>& names) {
  std::vector<std::string> marked;
  for (const std::string& name : names) marked.push_back(code(name));
  return format("{}", fmt::join(marked, ", "));
}

/// Fills one table and appends those of nested sections behind it.
class Documenter final : public Fields {
 public:
  Documenter(std::vector<Table>& tables, std::size_t table) : tables_(tables), table_(table) {}

  void boolean(const char* key, bool& value, const char* help) override {
    row(key, "`true`, `false`", value ? "true" : "false", help);
  }
  void integer(const char* key, std::int64_t& value, const char* help,
               IntegerRange range) override {
    row(key, with_range("integer", range_text(range)), std::to_string(value), help);
  }
  void number(const char* key, double& value, const char* help, NumberRange range) override {
    row(key, with_range("number", range_text(range)), number_text(value), help);
  }
  void text(const char* key, std::string& value, const char* help) override {
    row(key, "text", text_scalar(value), help);
  }
  void choice(const char* key, std::string& value, const std::vector<std::string>& allowed,
              const char* help) override {
    row(key, alternatives(allowed), text_scalar(value), help);
  }
  void optional_integer(const char* key, std::optional<std::int64_t>& value, const char* absent,
                        const char* help, IntegerRange range) override {
    row(key, format("{} or {}", with_range("integer", range_text(range)), code(absent)),
        value ? std::to_string(*value) : absent, help);
  }
  void optional_number(const char* key, std::optional<double>& value, const char* absent,
                       const char* help, NumberRange range) override {
    row(key, format("{} or {}", with_range("number", range_text(range)), code(absent)),
        value ? number_text(*value) : absent, help);
  }
  void optional_text(const char* key, std::optional<std::string>& value, const char* absent,
                     const char* help) override {
    row(key, format("text or {}", code(absent)), value ? text_scalar(*value) : absent, help);
  }
  void integers(const char* key, std::vector<std::int64_t>& value, const char* help,
                IntegerRange range) override {
    row(key, format("list of {}", with_range("integers", range_text(range))),
        format("[{}]", fmt::join(value, ", ")), help);
  }
  void texts(const char* key, std::vector<std::string>& value, const char* help) override {
    row(key, "list of texts", format("[{}]", fmt::join(value, ", ")), help);
  }
  void choices(const char* key, std::vector<std::string>& value,
               const std::vector<std::string>& allowed, const char* help) override {
    row(key, format("list of {}", alternatives(allowed)), format("[{}]", fmt::join(value, ", ")),
        help);
  }
  void section(const char* key, const char* help,
               const std::function<void(Fields&)>& visit) override {
    Documenter inner(tables_, add_table(key, help));
    visit(inner);
  }
  void optional_section(const char* key, bool& present, const char* help,
                        const std::function<void(Fields&)>& visit) override {
    row(key, "section or `null`", present ? "present" : "null", help);
    section(key, help, visit);
  }
  void list(const char* key, std::size_t size, const std::function<void(std::size_t)>& resize,
            const char* help, const std::function<void(std::size_t, Fields&)>& visit) override {
    row(key, "list of mappings", size == 0 ? "[]" : format("{} items", size), help);
    if (size == 0) resize(1);
    Documenter item(tables_, add_table(format("{}[]", key), help));
    visit(0, item);
    if (size == 0) resize(0);
  }
  void one_of(std::string&, const std::vector<std::string>& allowed, const char* help,
              const std::function<void(const std::string&, Fields&)>& visit) override {
    row("(one of these)", alternatives(allowed), "", help);
    for (const std::string& name : allowed) {
      Documenter inner(tables_, add_table(name, ""));
      visit(name, inner);
    }
  }
  void reject(const char*, const std::string&) override {}

 private:
  void row(const char* key, const std::string& type, const std::string& fallback,
           const char* help) {
    tables_[table_].rows.push_back({key, type, fallback, help});
  }
  std::size_t add_table(const std::string& key, const char* help) {
    tables_.push_back({join_path(tables_[table_].path, key), help, {}});
    return tables_.size() - 1;
  }

  std::vector<Table>& tables_;
  std::size_t table_;
};

std::string render(const Table& table) {
  std::string out = table.path.empty() ? "## Top level\n\n" : format("## `{}`\n\n", table.path);
  if (!table.help.empty()) out += format("{}\n\n", table.help);
  out += "| key | type, allowed values | default | meaning |\n|---|---|---|---|\n";
  for (const Row& row : table.rows) {
    out +=
        format("| `{}` | {} | {} | {} |\n", row.key, row.type,
               row.fallback.empty() ? "" : code(row.fallback), cell(row.help));
  }
  return out;
}

}  // namespace

std::string reference_markdown(const std::function<void(Fields&)>& visit) {
  std::vector<Table> tables{{"", "", {}}};
  Documenter documenter(tables, 0);
  visit(documenter);
  std::string out;
  for (const Table& table : tables) {
    if (table.rows.empty()) continue;
    if (!out.empty()) out += '\n';
    out += render(table);
  }
  return out;
}

}  // namespace moe::config
