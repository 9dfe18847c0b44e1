/// Finds functions in C++ text and how long they are.
#pragma once

#include <string>
#include <vector>

#include "arch/source_tree.h"

namespace moe::arch {

struct FunctionLength {
  std::string head;  ///< the text before the brace, shortened
  int line = 0;      ///< of the opening brace
  int lines = 0;     ///< brace to brace, both counted
};

/// Outermost function bodies; lambdas and local classes count as part of theirs.
std::vector<FunctionLength> function_lengths(const SourceFile& file);

}  // namespace moe::arch
