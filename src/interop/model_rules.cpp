#include "interop/model_rules.h"

#include <algorithm>
#include <cmath>

#include "base/format.h"

namespace moe::interop {
namespace {

using config::IntegerRange;
using config::NumberRange;

/// Visits fields and changes none.
class RuleCheck : public config::Fields {
 public:
  std::vector<std::string> take() { return std::move(broken_); }

  void boolean(const char*, bool&, const char*) override {}
  void text(const char*, std::string&, const char*) override {}
  void texts(const char*, std::vector<std::string>&, const char*) override {}
  void optional_text(const char*, std::optional<std::string>&, const char*, const char*) override {}

  void integer(const char* key, std::int64_t& value, const char*, IntegerRange range) override {
    if (value < range.min) reject(key, format("must be at least {}, found {}", range.min, value));
    if (value > range.max) reject(key, format("must be at most {}, found {}", range.max, value));
  }
  void number(const char* key, double& value, const char*, NumberRange range) override {
    if (!std::isfinite(value)) reject(key, format("must be finite, found {}", value));
    if (value < range.min) reject(key, format("must be at least {}, found {}", range.min, value));
    if (value > range.max) reject(key, format("must be at most {}, found {}", range.max, value));
    if (value <= range.above) reject(key, format("must be above {}, found {}", range.above, value));
    if (value >= range.below) reject(key, format("must be below {}, found {}", range.below, value));
  }
  void choice(const char* key, std::string& value, const std::vector<std::string>& allowed,
              const char*) override {
    if (std::ranges::find(allowed, value) != allowed.end()) return;
    reject(key, format("must be one of {}, found '{}'", fmt::join(allowed, ", "), value));
  }
  void optional_integer(const char* key, std::optional<std::int64_t>& value, const char*,
                        const char* help, IntegerRange range) override {
    if (value) integer(key, *value, help, range);
  }
  void optional_number(const char* key, std::optional<double>& value, const char*,
                       const char* help, NumberRange range) override {
    if (value) number(key, *value, help, range);
  }
  void integers(const char* key, std::vector<std::int64_t>& value, const char* help,
                IntegerRange range) override {
    for (std::int64_t& element : value) integer(key, element, help, range);
  }
  void choices(const char* key, std::vector<std::string>& value,
               const std::vector<std::string>& allowed, const char* help) override {
    for (std::string& element : value) choice(key, element, allowed, help);
  }
  void section(const char*, const char*, const std::function<void(Fields&)>& visit) override {
    visit(*this);
  }
  void optional_section(const char*, bool& present, const char*,
                        const std::function<void(Fields&)>& visit) override {
    if (present) visit(*this);
  }
  void list(const char*, std::size_t size, const std::function<void(std::size_t)>&, const char*,
            const std::function<void(std::size_t, Fields&)>& visit) override {
    for (std::size_t i = 0; i < size; ++i) visit(i, *this);
  }
  void one_of(std::string& name, const std::vector<std::string>& allowed, const char* help,
              const std::function<void(const std::string&, Fields&)>& visit) override {
    choice("one of", name, allowed, help);
    visit(name, *this);
  }
  void reject(const char* key, const std::string& message) override {
    broken_.push_back(format("{}: {}", key, message));
  }

 private:
  std::vector<std::string> broken_;
};

}  // namespace

std::vector<std::string> broken_rules(const ModelConfig& config) {
  ModelConfig copy = config;
  RuleCheck check;
  copy.fields(check);
  return check.take();
}

}  // namespace moe::interop
