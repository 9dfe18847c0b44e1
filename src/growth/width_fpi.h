/// Function-preserving initialisation: circular copies, each input column divided by its copies.
///
///     g(i) = i mod n
///     U~[o][i] = W[o][g_in(i)] / C_in[g_in(i)],   U[o'][i] = U~[g_out(o')][i],   b'[o'] = b[g_out(o')]
///
/// One map g_h serves the residual stream; g_head links the rows of q with the columns of o, g_ff those of
/// gate and up with those of down. Embedding and norm gains are copied; under a tied head the final gain
/// is divided by C_h instead of the head's columns.
///
/// Exact when every channel has as many copies as the others (D a multiple of d); otherwise RMSNorm weighs
/// channels by their copies and the loss jumps. Twins get equal gradients for ever.
/// @paper bert2BERT arXiv:2110.07143; for Llama-like models AquilaMoE arXiv:2408.06567
#pragma once

#include "growth/width_rule.h"

namespace moe::growth {

WidthRule fpi();

}  // namespace moe::growth
