/// Private to this folder: the events of nlohmann's parser, all refused unless overridden.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "base/format.h"

namespace moe::interop {

/// A stranger's text for a message: short, and without bytes that terminals or C strings obey.
inline std::string shown(const std::string& text) {
  std::string result = text.substr(0, 80);
  for (char& c : result) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = '?';
  }
  return text.size() > 80 ? result + "..." : result;
}

class SaxBase : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit SaxBase(const std::string& where) : where_(where) {}

  bool null() override { refuse_value("null"); }
  bool boolean(bool) override { refuse_value("a truth value"); }
  bool number_integer(number_integer_t) override { refuse_value("a negative number"); }
  bool number_unsigned(number_unsigned_t) override { refuse_value("a number"); }
  bool number_float(number_float_t, const string_t& text) override {
    refuse_value("the number " + shown(text));
  }
  bool string(string_t&) override { refuse_value("a text"); }
  bool binary(binary_t&) override { refuse_value("bytes"); }
  bool start_object(std::size_t) override { refuse_value("an object"); }
  bool end_object() override { return true; }
  bool start_array(std::size_t) override { refuse_value("an array"); }
  bool end_array() override { return true; }
  bool parse_error(std::size_t at, const std::string&,
                   const nlohmann::detail::exception& error) override {
    throw CheckpointError(format("{}: byte {}: not valid JSON: {}", where_, at, error.what()));
  }

 protected:
  /// What is expected at this point, for messages.
  virtual std::string expectation() const = 0;
  [[noreturn]] void refuse(const std::string& reason) const {
    throw CheckpointError(format("{}: {}", where_, reason));
  }
  [[noreturn]] void refuse_value(const std::string& found) const {
    refuse(format("expected {}, found {}", expectation(), found));
  }

 private:
  const std::string& where_;
};

}  // namespace moe::interop
