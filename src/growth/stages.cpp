#include "growth/deepen.h"
#include "growth/densify.h"
#include "growth/expand.h"
#include "growth/merge.h"
#include "growth/narrow.h"
#include "growth/prune.h"
#include "growth/shorten.h"
#include "growth/sparsify.h"
#include "growth/stage.h"
#include "growth/widen.h"

namespace moe::growth {

void CalibrationConfig::fields(config::Fields& f) {
  f.text("text", text, "a text file in the source's language; empty: a built-in random probe");
  f.integer("tokens", tokens, "how many of its tokens", {.min = 1});
}

const config::Registry<StageFactory>& stages() {
  static const config::Registry<StageFactory> table("stages", {
                                                                  {"widen", &widen_options},
                                                                  {"deepen", &deepen_options},
                                                                  {"sparsify", &sparsify_options},
                                                                  {"expand", &expand_options},
                                                                  {"merge", &merge_options},
                                                                  {"prune", &prune_options},
                                                                  {"densify", &densify_options},
                                                                  {"narrow", &narrow_options},
                                                                  {"shorten", &shorten_options},
                                                              });
  return table;
}

}  // namespace moe::growth
