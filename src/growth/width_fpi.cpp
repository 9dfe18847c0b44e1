#include "growth/width_fpi.h"

namespace moe::growth {

WidthRule fpi() { return {}; }

}  // namespace moe::growth
