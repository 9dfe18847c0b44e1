/// One sequence with memory of its own, for tests.
#pragma once

#include "data/sample.h"

namespace moe::data::testing {

struct Sequence {
  explicit Sequence(std::size_t length) : tokens(length), targets(length), positions(length) {}
  SequenceView view() { return {tokens, targets, positions, starts}; }
  std::vector<std::int32_t> tokens, targets, positions, starts;
};

}  // namespace moe::data::testing
