#include "growth/width_exact.h"

namespace moe::growth {

WidthRule exact_copies() { return {.hidden = WidthRule::Hidden::WholeCopies}; }

}  // namespace moe::growth
