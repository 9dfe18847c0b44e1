#include "config/registry.h"

#include "base/error.h"
#include "base/format.h"
#include "config/node.h"

namespace moe::config {

void throw_unknown_name(const std::string& key, std::string_view name,
                        std::span<const std::string> known) {
  const std::string near = nearest_name(name, known);
  throw ConfigError(format("{}: unknown name, got {}; allowed {}{}", key, in_quotes(name),
                           fmt::join(known, ", "),
                           near.empty() ? "" : format("; HINT did you mean {}?", near)));
}

}  // namespace moe::config
