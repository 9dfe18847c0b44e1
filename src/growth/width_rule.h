/// What the methods of width growth differ in. A registered method is one file that fills this in.
#pragma once

#include "config/registry.h"
#include "growth/expanded_tensor.h"

namespace moe::growth {

struct WidthRule {
  /// Residual channels: circular copies, or floor(D / d) whole copies and zeros.
  enum class Hidden { Circular, WholeCopies };
  Hidden hidden = Hidden::Circular;
  /// What each copy of an input column gets of it.
  Share share = Share::Equal;
  /// Fresh outputs come from the next source layer.
  bool from_next_layer = false;
  /// The number of key-value heads must stay.
  bool equal_groups = false;
};

using WidthMethod = WidthRule (*)();
/// fpi, aki, aki_pro, exact, lemon.
const config::Registry<WidthMethod>& width_methods();

}  // namespace moe::growth
