#include "growth/width_aki.h"

namespace moe::growth {

WidthRule aki() { return {.from_next_layer = true}; }

}  // namespace moe::growth
