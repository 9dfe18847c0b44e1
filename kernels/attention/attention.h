/// Exact softmax attention in tiles: no S x S matrix is ever in memory.
/// @paper Dao 2022/2023, FlashAttention, arXiv:2205.14135, 2307.08691
#pragma once

#include "device/stream.h"
#include "tensor/view.h"

namespace moe::kernels {

/// o[t, h] = softmax over keys j in [begin[t], end[t]) of (scale * q[t, h] . k[j, g]) v[j, g], g = h / (H / G).
/// `batch` sequences stand one after another: query t of sequence b = t / Sq sees keys of sequence b only, and
/// begin/end count from that sequence's first key. Causality, sliding windows and document bounds are all
/// said by begin and end. An empty range gives zeros and logsumexp = -inf.
/// @shape q, o [B*Sq, H, C]; k, v [B*Sk, G, C], H a multiple of G; row stride free, [H, C] contiguous;
///   begin, end [B*Sq] i32, both non-decreasing within a sequence; logsumexp [B*Sq, H] f32 (f64 for f64).
///   f32, bf16, f64; C any size (multiples of 16 are fast). Softmax is in f32 for bf16; where the CPU multiplies bf16,
///   probabilities and score gradients are rounded to it before their products, sums stay f32
/// @det yes: a query's bits do not depend on the queries beside it, so a cached decoding step equals the
///   full pass bitwise (keys must start at the same place)
/// @cost 4 C FLOP per (query head, key) pair in range, rounded up to tiles
struct Attention {
  View q;
  View k;
  View v;
  View begin;
  View end;
  View o;
  View logsumexp;
  double scale = 1.0;
  std::int64_t batch = 1;
};
void attention(Stream& stream, const Attention& args);

/// dq, dk, dv from do. Key rows no query sees get exact zeros.
/// @det yes: no atomics  @cost 10 C FLOP per pair
struct AttentionBackward {
  View q;
  View k;
  View v;
  View begin;
  View end;
  View o;
  View logsumexp;
  View d_o;
  View dq;
  View dk;
  View dv;
  double scale = 1.0;
  std::int64_t batch = 1;
};
void attention_backward(Stream& stream, const AttentionBackward& args);

}  // namespace moe::kernels
