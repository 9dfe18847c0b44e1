#include "growth/width_lemon.h"

namespace moe::growth {

WidthRule lemon() {
  return {.hidden = WidthRule::Hidden::WholeCopies, .share = Share::Projected};
}

}  // namespace moe::growth
