/// Activations of MLPs and experts, gated or plain, with the routing weight folded in.
#pragma once

#include "device/stream.h"
#include "tensor/view.h"

namespace moe::kernels {

/// Silu: x sigmoid(x). GeluErf: exact GELU. GeluTanh: its tanh form. Relu2: max(x, 0)^2.
enum class ActivationKind { Silu, GeluErf, GeluTanh, Relu2 };

/// gated: out[r, f] = w[r] * act(x[r, f]) * x[r, F + f]; plain: out[r, f] = w[r] * act(x[r, f]).
/// @shape rows at any distance: x [R, 2F] (gated) or [R, F]; weight [R] f32 (f64 for f64) or absent (1);
///   out [R, F], dtype of x
/// @paper weight folded before the down projection: SonicMoE, arXiv:2512.14080
struct Activation {
  View x;
  View weight;
  View out;
  ActivationKind kind = ActivationKind::Silu;
  bool gated = true;
};
void activation(Stream& stream, const Activation& args);

/// From dout: dx (shape of x; may be x itself), and dweight[r] = sum over f of dout[r, f] * out[r, f] / w[r],
/// computed without dividing. dweight is required iff weight is given; out, if given, becomes the forward pass's, bit
/// for bit.
/// @det yes  @cost recomputes the activation
struct ActivationBackward {
  View x;
  View weight;
  View dout;
  View dx;
  View dweight;
  ActivationKind kind = ActivationKind::Silu;
  bool gated = true;
  View out = {};
};
void activation_backward(Stream& stream, const ActivationBackward& args);

}  // namespace moe::kernels
