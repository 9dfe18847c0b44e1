// Every way to lay out a world.
#pragma once

#include <vector>

#include "mesh/mesh_layout.h"

namespace moe::testing {

inline std::vector<int> divisors(int number) {
  std::vector<int> found;
  for (int d = 1; d <= number; ++d) {
    if (number % d == 0) found.push_back(d);
  }
  return found;
}

/// Calls `visit(degrees)` for every factoring of `world` into attention axes and of each stage into
/// experts', also those a layout refuses.
template <class Visit>
void for_each_attention(int world, Visit&& visit) {
  mesh::Degrees d;
  for (const int pipeline : divisors(world)) {
    d.pipeline = pipeline;
    for (const int replicate : divisors(world / pipeline)) {
      d.data_replicate = replicate;
      for (const int shard : divisors(world / pipeline / replicate)) {
        d.data_shard = shard;
        const int rest = world / pipeline / replicate / shard;
        for (const int context : divisors(rest)) {
          d.context = context;
          d.tensor = rest / context;
          visit(d);
        }
      }
    }
  }
}

template <class Visit>
void for_each_factoring(int world, Visit&& visit) {
  for_each_attention(world, [&](mesh::Degrees d) {
    const int stage = world / d.pipeline;
    for (const int expert : divisors(stage)) {
      d.expert = expert;
      for (const int expert_tensor : divisors(stage / expert)) {
        d.expert_tensor = expert_tensor;
        visit(d);
      }
    }
  });
}

/// Replicas would hold different numbers of copies of an expert.
inline bool is_uneven(const mesh::Degrees& d) {
  const int block = d.data_shard * d.context * d.tensor;
  const int experts = d.expert * d.expert_tensor;
  return block % experts != 0 && experts % block != 0;
}

/// As for_each_factoring, as layouts, without the uneven ones.
template <class Visit>
void for_each_layout(int world, Visit&& visit) {
  for_each_factoring(world, [&](const mesh::Degrees& d) {
    if (!is_uneven(d)) visit(mesh::MeshLayout(d, world));
  });
}

}  // namespace moe::testing
