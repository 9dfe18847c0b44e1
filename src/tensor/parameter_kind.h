/// What a parameter is. Weight decay, learning rates and reports go by kind, never by tensor rank.
#pragma once

#include <array>
#include <string_view>

namespace moe {

enum class ParameterKind { Embedding, Head, Attention, Mlp, Expert, Router, Norm, Bias };

inline constexpr std::array kParameterKinds{
    ParameterKind::Embedding, ParameterKind::Head,   ParameterKind::Attention, ParameterKind::Mlp,
    ParameterKind::Expert,    ParameterKind::Router, ParameterKind::Norm,      ParameterKind::Bias};

constexpr std::string_view to_string(ParameterKind kind) {
  switch (kind) {
    case ParameterKind::Embedding: return "embedding";
    case ParameterKind::Head: return "head";
    case ParameterKind::Attention: return "attention";
    case ParameterKind::Mlp: return "mlp";
    case ParameterKind::Expert: return "expert";
    case ParameterKind::Router: return "router";
    case ParameterKind::Norm: return "norm";
    case ParameterKind::Bias: return "bias";
  }
  return "unknown";
}

}  // namespace moe
