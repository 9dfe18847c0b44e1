/// Exact widths of any ratio: k = floor(D / d) copies of the residual stream, the other channels zero.
///
///     written channels i >= k d are 0 (embedding columns, rows of o and down, their biases)
///     s = k d / D,   gain' = gain sqrt(s),   eps' = eps s
///
/// so that every norm returns what it did: x' / sqrt(mean x'^2 + eps') * gain' = x / sqrt(mean x^2 + eps) * gain.
/// Columns that read the zero channels are drawn at random (they read nothing yet), so that those channels get
/// different gradients. Copies share their columns equally, as FPI. Heads and neurons grow circularly: those are
/// exact at any ratio. eps is one number for the whole model, so where queries and keys are normalised their
/// projections grow by sqrt(s) too; a norm over the whole projection also needs each copy of head h scaled by
/// sqrt(H' / (H C_h)), its gain by the inverse.
/// @paper LEMON arXiv:2310.07999
#pragma once

#include "growth/width_rule.h"

namespace moe::growth {

WidthRule exact_copies();

}  // namespace moe::growth
