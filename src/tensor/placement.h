/// Which dims of a parameter may be split, said in roles. What a role is mapped to is the plan's
/// business (see parallel/); unmapped roles are replicated.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "tensor/shape.h"

namespace moe {

enum class Role { Expert, Hidden, Heads, KeyValueHeads, Vocab };

constexpr std::string_view to_string(Role role) {
  switch (role) {
    case Role::Expert: return "expert";
    case Role::Hidden: return "hidden";
    case Role::Heads: return "heads";
    case Role::KeyValueHeads: return "key_value_heads";
    case Role::Vocab: return "vocab";
  }
  return "unknown";
}

/// One optional role per dim: `[E, 2, F, D]` declares {Expert, none, Hidden, none}.
/// @invariant a role appears at most once
struct Placement {
  std::array<std::optional<Role>, kMaxRank> role_of_dim{};

  static Placement replicated() { return {}; }
  Placement& split(int dim, Role role) {
    role_of_dim[static_cast<std::size_t>(dim)] = role;
    return *this;
  }
  bool has(Role role) const {
    for (const auto& entry : role_of_dim) {
      if (entry == role) return true;
    }
    return false;
  }
  friend bool operator==(const Placement&, const Placement&) = default;
};

}  // namespace moe
