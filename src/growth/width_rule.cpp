#include "growth/width_rule.h"

#include "growth/width_aki.h"
#include "growth/width_aki_pro.h"
#include "growth/width_exact.h"
#include "growth/width_fpi.h"
#include "growth/width_lemon.h"

namespace moe::growth {

const config::Registry<WidthMethod>& width_methods() {
  static const config::Registry<WidthMethod> table("widen.method", {{"fpi", &fpi},
                                                                    {"aki", &aki},
                                                                    {"aki_pro", &aki_pro},
                                                                    {"exact", &exact_copies},
                                                                    {"lemon", &lemon}});
  return table;
}

}  // namespace moe::growth
