#include "device/cpu_isa.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <string>

#include "base/error.h"

namespace moe {
namespace {

/// Sets or unsets MOE_CPU_ISA for a scope.
class IsaVariable {
 public:
  explicit IsaVariable(const char* value) {
    if (const char* before = std::getenv("MOE_CPU_ISA")) before_ = before;
    set(value);
  }
  ~IsaVariable() { set(before_ ? before_->c_str() : nullptr); }

 private:
  static void set(const char* value) {
    if (value != nullptr) {
      ::setenv("MOE_CPU_ISA", value, 1);
    } else {
      ::unsetenv("MOE_CPU_ISA");
    }
  }
  std::optional<std::string> before_;
};

TEST(CpuIsa, NamesReadBack) {
  for (const CpuIsa isa : {CpuIsa::Avx2, CpuIsa::Avx512, CpuIsa::Avx512Bf16}) {
    EXPECT_EQ(parse_cpu_isa(to_string(isa)), isa);
  }
}

TEST(CpuIsa, UnknownNamesAreConfigErrorsThatListTheKnown) {
  for (const char* name : {"", "AVX2", "avx", "avx512 ", "sse2", "avx2avx512"}) {
    try {
      parse_cpu_isa(name);
      ADD_FAILURE() << name;
    } catch (const ConfigError& error) {
      const std::string message = error.what();
      for (const char* piece : {"MOE_CPU_ISA", "avx2, avx512, avx512_bf16", "HINT"}) {
        EXPECT_NE(message.find(piece), std::string::npos) << message;
      }
    }
  }
}

TEST(CpuIsa, AvailableLevelsGoUpToTheDetectedOne) {
  const std::vector<CpuIsa> isas = available_cpu_isas();
  ASSERT_FALSE(isas.empty());
  EXPECT_EQ(isas.front(), CpuIsa::Avx2);
  EXPECT_EQ(isas.back(), detect_cpu_isa());
  for (std::size_t i = 1; i < isas.size(); ++i) EXPECT_LT(isas[i - 1], isas[i]);
}

TEST(CpuIsa, TheVariableLowersTheLevelAndCannotRaiseIt) {
  for (const char* unset : {static_cast<const char*>(nullptr), ""}) {
    const IsaVariable variable(unset);
    EXPECT_EQ(choose_cpu_isa(), detect_cpu_isa());
  }
  for (const CpuIsa isa : {CpuIsa::Avx2, CpuIsa::Avx512, CpuIsa::Avx512Bf16}) {
    const IsaVariable variable(std::string(to_string(isa)).c_str());
    if (isa <= detect_cpu_isa()) {
      EXPECT_EQ(choose_cpu_isa(), isa);
    } else {
      EXPECT_THROW(choose_cpu_isa(), ConfigError);
    }
  }
  const IsaVariable variable("neon");
  EXPECT_THROW(choose_cpu_isa(), ConfigError);
}

TEST(CpuIsa, TheCpuHasAName) { EXPECT_FALSE(cpu_model_name().empty()); }

}  // namespace
}  // namespace moe
