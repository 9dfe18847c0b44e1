/// How a typed config section describes itself: one list of fields serves decoding, printing and the
/// generated reference (docs/configuration.md).
///
///     struct ScheduleConfig {
///       std::string name = "cosine";
///       std::int64_t warmup_steps = 0;
///       void fields(config::Fields& f) {
///         f.choice("name", name, {"cosine", "wsd", "linear", "constant"}, "shape of the decay");
///         f.integer("warmup_steps", warmup_steps, "steps of linear warm-up", {.min = 0});
///       }
///     };
///
/// Config keys are spelled as the C++ field.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace moe::config {

struct IntegerRange {
  std::int64_t min = std::numeric_limits<std::int64_t>::min();
  std::int64_t max = std::numeric_limits<std::int64_t>::max();
};

/// Bounds of a finite number; `above`/`below` are exclusive.
struct NumberRange {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  double above = -std::numeric_limits<double>::infinity();
  double below = std::numeric_limits<double>::infinity();
};

/// Visits the fields of one section in order. Implementations: decoder, printer, documenter.
class Fields {
 public:
  virtual ~Fields() = default;

  virtual void boolean(const char* key, bool& value, const char* help) = 0;
  virtual void integer(const char* key, std::int64_t& value, const char* help,
                       IntegerRange range = {}) = 0;
  /// A number; integers are accepted, non-finite values are not.
  virtual void number(const char* key, double& value, const char* help, NumberRange range = {}) = 0;
  virtual void text(const char* key, std::string& value, const char* help) = 0;
  /// One of a closed list of names.
  virtual void choice(const char* key, std::string& value, const std::vector<std::string>& allowed,
                      const char* help) = 0;

  /// `absent` is how "no value" is spelled in YAML: "null" or "auto".
  virtual void optional_integer(const char* key, std::optional<std::int64_t>& value,
                                const char* absent, const char* help, IntegerRange range = {}) = 0;
  virtual void optional_number(const char* key, std::optional<double>& value, const char* absent,
                               const char* help, NumberRange range = {}) = 0;
  virtual void optional_text(const char* key, std::optional<std::string>& value, const char* absent,
                             const char* help) = 0;

  virtual void integers(const char* key, std::vector<std::int64_t>& value, const char* help,
                        IntegerRange range = {}) = 0;
  virtual void texts(const char* key, std::vector<std::string>& value, const char* help) = 0;
  /// A list of names out of a closed list (for example one per layer).
  virtual void choices(const char* key, std::vector<std::string>& value,
                       const std::vector<std::string>& allowed, const char* help) = 0;

  /// A nested mapping; `visit` is called with the same kind of visitor one level down.
  virtual void section(const char* key, const char* help,
                       const std::function<void(Fields&)>& visit) = 0;
  /// A mapping that may be `null`; `present` says (and receives) whether it is there.
  virtual void optional_section(const char* key, bool& present, const char* help,
                                const std::function<void(Fields&)>& visit) = 0;
  /// A list of mappings: `resize(n)` is called once when decoding, then `visit(i, fields)` per item.
  virtual void list(const char* key, std::size_t size, const std::function<void(std::size_t)>& resize,
                    const char* help,
                    const std::function<void(std::size_t, Fields&)>& visit) = 0;

  /// The one key of this mapping: a name out of a closed list, with a section of its own below, as in
  /// "- widen: {hidden_size: 512}". Decoding sets `name` to the one found; then, as always, `visit`
  /// sees the fields that `name` has. Declare nothing else in the mapping.
  virtual void one_of(std::string& name, const std::vector<std::string>& allowed, const char* help,
                      const std::function<void(const std::string& name, Fields&)>& visit) = 0;

  /// Reports a violated relation between fields ("must divide"), at the position of `key` in the
  /// current section. Decoders collect it with the others; printers ignore it.
  virtual void reject(const char* key, const std::string& message) = 0;
};

}  // namespace moe::config
