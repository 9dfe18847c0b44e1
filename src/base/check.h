/// Invariants of our own code. A config, a file or a peer can never trip one.
#pragma once

#include <string>

#include "base/format.h"

namespace moe::detail {

[[noreturn]] void check_failed(const char* condition, const char* file, int line,
                               const std::string& detail);

template <class A, class B>
std::string both_values(const A& a, const B& b) {
  return fmt::format("left is {}, right is {}", a, b);
}

}  // namespace moe::detail

/// Throws InternalError ("this is a bug") when `condition` is false.
#define MOE_CHECK(condition)                                                     \
  do {                                                                           \
    if (!(condition)) [[unlikely]]                                               \
      ::moe::detail::check_failed(#condition, __FILE__, __LINE__, std::string{}); \
  } while (false)

#define MOE_CHECK_COMPARE(a, op, b)                                             \
  do {                                                                          \
    const auto& moe_check_a = (a);                                              \
    const auto& moe_check_b = (b);                                              \
    if (!(moe_check_a op moe_check_b)) [[unlikely]]                             \
      ::moe::detail::check_failed(#a " " #op " " #b, __FILE__, __LINE__,        \
                                  ::moe::detail::both_values(moe_check_a, moe_check_b)); \
  } while (false)

#define MOE_CHECK_EQ(a, b) MOE_CHECK_COMPARE(a, ==, b)
#define MOE_CHECK_NE(a, b) MOE_CHECK_COMPARE(a, !=, b)
#define MOE_CHECK_LT(a, b) MOE_CHECK_COMPARE(a, <, b)
#define MOE_CHECK_LE(a, b) MOE_CHECK_COMPARE(a, <=, b)
#define MOE_CHECK_GE(a, b) MOE_CHECK_COMPARE(a, >=, b)
