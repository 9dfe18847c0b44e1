/// Runs a kernel on every instruction set the CPU has, with one thread and with two.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "device/cpu_isa.h"
#include "device/stream.h"
#include "support/array.h"

namespace moe::testing {

inline const std::vector<DType> kFloatTypes = {DType::F32, DType::BF16, DType::F64};

/// The dtype of sums and per-row results.
inline DType wide(DType dtype) {
  return dtype == DType::F64 ? DType::F64 : DType::F32;
}

/// run(stream) -> outputs, which must not depend on the thread count in any bit nor spill past
/// their ends; check(outputs) compares them with a reference.
template <class Run, class Check>
void everywhere(const std::string& what, Run&& run, Check&& check) {
  for (const CpuIsa isa : available_cpu_isas()) {
    SCOPED_TRACE(what + " on " + std::string(to_string(isa)));
    Stream one(1, isa);
    Stream two(2, isa);
    const std::vector<Array> outputs = run(one);
    const std::vector<Array> again = run(two);
    ASSERT_EQ(outputs.size(), again.size());
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      EXPECT_TRUE(same_bits(outputs[i], again[i])) << "output " << i << " depends on the threads";
      EXPECT_TRUE(outputs[i].intact()) << "output " << i << " was written past its end";
    }
    check(outputs);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

}  // namespace moe::testing
