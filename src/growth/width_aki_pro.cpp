#include "growth/width_aki_pro.h"

namespace moe::growth {

WidthRule aki_pro() { return {.from_next_layer = true, .equal_groups = true}; }

}  // namespace moe::growth
