/// Advanced knowledge initialisation: as FPI, but fresh outputs come from the layer above.
///
///     U_l[o'][i] = U~_l    [g_out(o')][i]   for the first copy of each output
///     U_l[o'][i] = U~_{l+1}[g_out(o')][i]   for the others
///
/// of every matrix and bias of a layer: heads, neurons (of the same expert), residual channels. The last
/// layer, and a layer whose upper neighbour has no such tensor, fall back to FPI; embedding, head, norms
/// and routers are as FPI. It does not keep the function: the loss starts high and overtakes FPI later.
/// Query heads stay beside a copy of their key-value head, as in AKI-Pro: elsewhere they would attend with
/// a stranger's keys.
/// @paper bert2BERT arXiv:2110.07143
#pragma once

#include "growth/width_rule.h"

namespace moe::growth {

WidthRule aki();

}  // namespace moe::growth
