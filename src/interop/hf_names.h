/// Which Hugging Face tensors hold a parameter of ours; one table per architecture serves import and export.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "interop/hf_config.h"
#include "tensor/slice.h"

namespace moe::interop {

/// How experts are written: one tensor each (files of the hub, and what save_pretrained writes), or all in one.
enum class ExpertSpelling { PerExpert, Fused };

/// A box of one of our parameters, and the box of the Hugging Face tensor that holds the same elements in the same
/// row-major order. (Rotate-half rows of q and k stand in the same order on both sides.)
struct NamedPart {
  std::string name;  ///< of the Hugging Face tensor
  Slice theirs;      ///< all of it, unless experts are fused
  Slice ours;
};

/// @invariant the boxes `ours` tile the parameter: size 1 in the leading dims, whole in the others
struct NameMap {
  std::string parameter;
  Shape shape;
  int leading = 0;  ///< dims that say which part; parts stand in row-major order of these
  std::vector<NamedPart> parts;
};

/// The map of one parameter, or none where the architecture has no such parameter in that spelling.
/// @shape `shape` is the parameter's global shape
std::optional<NameMap> name_map(Architecture architecture, ExpertSpelling spelling,
                                const std::string& parameter, const Shape& shape);

/// Tensors that old files hold and nobody needs: rotary_emb.inv_freq.
bool is_ignored(const std::string& hugging_face_name);

}  // namespace moe::interop
