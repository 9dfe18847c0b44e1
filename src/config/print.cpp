#include "config/print.h"

#include "base/format.h"
#include "config/scalar.h"

namespace moe::config {
namespace {

class Printer final : public Fields {
 public:
  Printer(std::string& out, std::size_t indent) : out_(out), indent_(indent) {}

  /// True if no key has been written.
  bool empty() const { return empty_; }
  /// The next line starts with "- " in the place of two spaces.
  void start_item() { dash_ = true; }

  void boolean(const char* key, bool& value, const char*) override {
    line(key, value ? "true" : "false");
  }
  void integer(const char* key, std::int64_t& value, const char*, IntegerRange) override {
    line(key, std::to_string(value));
  }
  void number(const char* key, double& value, const char*, NumberRange) override {
    line(key, number_text(value));
  }
  void text(const char* key, std::string& value, const char*) override {
    line(key, text_scalar(value));
  }
  void choice(const char* key, std::string& value, const std::vector<std::string>&,
              const char*) override {
    line(key, text_scalar(value));
  }
  void optional_integer(const char* key, std::optional<std::int64_t>& value, const char* absent,
                        const char*, IntegerRange) override {
    line(key, value ? std::to_string(*value) : absent);
  }
  void optional_number(const char* key, std::optional<double>& value, const char* absent,
                       const char*, NumberRange) override {
    line(key, value ? number_text(*value) : absent);
  }
  void optional_text(const char* key, std::optional<std::string>& value, const char* absent,
                     const char*) override {
    if (!value) {
      line(key, absent);
    } else {
      line(key, *value == absent ? format("\"{}\"", absent) : text_scalar(*value));
    }
  }
  void integers(const char* key, std::vector<std::int64_t>& value, const char*,
                IntegerRange) override {
    line(key, format("[{}]", fmt::join(value, ", ")));
  }
  void texts(const char* key, std::vector<std::string>& value, const char*) override {
    std::vector<std::string> items;
    for (const std::string& item : value) items.push_back(text_scalar(item));
    line(key, format("[{}]", fmt::join(items, ", ")));
  }
  void choices(const char* key, std::vector<std::string>& value, const std::vector<std::string>&,
               const char* help) override {
    texts(key, value, help);
  }

  void section(const char* key, const char*, const std::function<void(Fields&)>& visit) override {
    std::string body;
    Printer inner(body, indent_ + 2);
    visit(inner);
    if (inner.empty()) {
      line(key, "{}");
    } else {
      line(key, "");
      out_ += body;
    }
  }
  void optional_section(const char* key, bool& present, const char* help,
                        const std::function<void(Fields&)>& visit) override {
    if (present) {
      section(key, help, visit);
    } else {
      line(key, "null");
    }
  }
  void list(const char* key, std::size_t size, const std::function<void(std::size_t)>&, const char*,
            const std::function<void(std::size_t, Fields&)>& visit) override {
    line(key, size == 0 ? "[]" : "");
    for (std::size_t i = 0; i < size; ++i) {
      Printer item(out_, indent_ + 4);
      item.start_item();
      visit(i, item);
      if (item.empty()) out_ += format("{:{}}- {{}}\n", "", indent_ + 2);
    }
  }
  void one_of(std::string& name, const std::vector<std::string>&, const char* help,
              const std::function<void(const std::string&, Fields&)>& visit) override {
    section(name.c_str(), help, [&](Fields& fields) { visit(name, fields); });
  }
  void reject(const char*, const std::string&) override {}

 private:
  void line(const char* key, const std::string& value) {
    const std::string start =
        dash_ ? format("{:{}}- ", "", indent_ - 2) : format("{:{}}", "", indent_);
    out_ += format("{}{}:{}{}\n", start, key, value.empty() ? "" : " ", value);
    dash_ = false;
    empty_ = false;
  }

  std::string& out_;
  std::size_t indent_;
  bool dash_ = false;
  bool empty_ = true;
};

}  // namespace

std::string print_yaml(const std::function<void(Fields&)>& visit) {
  std::string out;
  Printer printer(out, 0);
  visit(printer);
  return printer.empty() ? "{}\n" : out;
}

}  // namespace moe::config
