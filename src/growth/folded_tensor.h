/// The inverse of expanded_tensor.h: a tensor out of the copies of its rows and columns.
#pragma once

#include <memory>

#include "growth/expanded_tensor.h"

namespace moe::growth {

/// Rows are the first copies, divided by their scale; columns are the sum of their copies where copies shared
/// them, else the first copy. `expansion.base` names the wide tensor.
///     W[o][i] = sum over i' with g_in(i') = i of U[first(o)][i'] / scale[first(o)]
/// @invariant folded(e) of expanded(e) is the tensor up to rounding; bit for bit where nothing was divided or scaled
std::shared_ptr<const TensorRecipe> folded(const Expansion& expansion);

/// A vector whose copies shared their source: the sum of the copies, divided by `scale`.
std::shared_ptr<const TensorRecipe> folded_sum(std::string base, std::shared_ptr<const AxisMap> map,
                                               double scale);

}  // namespace moe::growth
