#include "interop/hf_names.h"

#include <span>
#include <string_view>

#include "base/check.h"
#include "base/format.h"

namespace moe::interop {
namespace {

/// How a parameter is cut into Hugging Face tensors.
enum class Cut {
  Whole,         ///< one tensor of the same shape
  Halves,        ///< [2, F, D]: gate and up, [F, D] each
  Experts,       ///< [E, D, F]: one [D, F] an expert
  ExpertHalves,  ///< [E, 2, F, D]: gate and up of every expert, [F, D] each
  FusedHalves,   ///< [E, 2, F, D]: one [E, 2F, D]
};

/// `#` stands for the layer, `@` for the expert.
struct Row {
  std::string_view ours;
  Cut cut;
  std::string_view theirs;
  std::string_view up = {};  ///< the second of two halves
};

constexpr Row kEveryModel[] = {
    {"embedding.weight", Cut::Whole, "model.embed_tokens.weight"},
    {"norm.weight", Cut::Whole, "model.norm.weight"},
    {"head.weight", Cut::Whole, "lm_head.weight"},
    {"layers.#.attention_norm.weight", Cut::Whole, "model.layers.#.input_layernorm.weight"},
    {"layers.#.feed_forward_norm.weight", Cut::Whole,
     "model.layers.#.post_attention_layernorm.weight"},
    {"layers.#.attention.q_proj.weight", Cut::Whole, "model.layers.#.self_attn.q_proj.weight"},
    {"layers.#.attention.k_proj.weight", Cut::Whole, "model.layers.#.self_attn.k_proj.weight"},
    {"layers.#.attention.v_proj.weight", Cut::Whole, "model.layers.#.self_attn.v_proj.weight"},
    {"layers.#.attention.o_proj.weight", Cut::Whole, "model.layers.#.self_attn.o_proj.weight"},
    {"layers.#.attention.q_proj.bias", Cut::Whole, "model.layers.#.self_attn.q_proj.bias"},
    {"layers.#.attention.k_proj.bias", Cut::Whole, "model.layers.#.self_attn.k_proj.bias"},
    {"layers.#.attention.v_proj.bias", Cut::Whole, "model.layers.#.self_attn.v_proj.bias"},
    {"layers.#.attention.o_proj.bias", Cut::Whole, "model.layers.#.self_attn.o_proj.bias"},
    {"layers.#.attention.q_norm.weight", Cut::Whole, "model.layers.#.self_attn.q_norm.weight"},
    {"layers.#.attention.k_norm.weight", Cut::Whole, "model.layers.#.self_attn.k_norm.weight"},
    {"layers.#.mlp.gate_up.weight", Cut::Halves, "model.layers.#.mlp.gate_proj.weight",
     "model.layers.#.mlp.up_proj.weight"},
    {"layers.#.mlp.down.weight", Cut::Whole, "model.layers.#.mlp.down_proj.weight"},
};

constexpr Row kMixtral[] = {
    {"layers.#.moe.router.weight", Cut::Whole, "model.layers.#.block_sparse_moe.gate.weight"},
    {"layers.#.moe.experts.gate_up.weight", Cut::ExpertHalves,
     "model.layers.#.block_sparse_moe.experts.@.w1.weight",
     "model.layers.#.block_sparse_moe.experts.@.w3.weight"},
    {"layers.#.moe.experts.down.weight", Cut::Experts,
     "model.layers.#.block_sparse_moe.experts.@.w2.weight"},
};

/// Qwen2-MoE, Qwen3-MoE, OLMoE.
constexpr Row kQwenMoe[] = {
    {"layers.#.moe.router.weight", Cut::Whole, "model.layers.#.mlp.gate.weight"},
    {"layers.#.moe.experts.gate_up.weight", Cut::ExpertHalves,
     "model.layers.#.mlp.experts.@.gate_proj.weight", "model.layers.#.mlp.experts.@.up_proj.weight"},
    {"layers.#.moe.experts.down.weight", Cut::Experts,
     "model.layers.#.mlp.experts.@.down_proj.weight"},
};

/// As the modules of transformers 5 name them, whatever the architecture.
constexpr Row kFused[] = {
    {"layers.#.moe.router.weight", Cut::Whole, "model.layers.#.mlp.gate.weight"},
    {"layers.#.moe.experts.gate_up.weight", Cut::FusedHalves,
     "model.layers.#.mlp.experts.gate_up_proj"},
    {"layers.#.moe.experts.down.weight", Cut::Whole, "model.layers.#.mlp.experts.down_proj"},
};

constexpr Row kSharedExpert[] = {
    {"layers.#.moe.shared.gate_up.weight", Cut::Halves,
     "model.layers.#.mlp.shared_expert.gate_proj.weight",
     "model.layers.#.mlp.shared_expert.up_proj.weight"},
    {"layers.#.moe.shared.down.weight", Cut::Whole,
     "model.layers.#.mlp.shared_expert.down_proj.weight"},
    {"layers.#.moe.shared_gate.weight", Cut::Whole,
     "model.layers.#.mlp.shared_expert_gate.weight"},
};

/// The rows of an architecture beyond those of every model.
std::vector<std::span<const Row>> tables_of(Architecture architecture, ExpertSpelling spelling) {
  std::vector<std::span<const Row>> tables{kEveryModel};
  switch (architecture) {
    case Architecture::Llama:
    case Architecture::Mistral:
    case Architecture::Qwen2:
    case Architecture::Qwen3: return tables;
    case Architecture::Qwen2Moe: tables.emplace_back(kSharedExpert); break;
    case Architecture::Mixtral:
    case Architecture::Qwen3Moe:
    case Architecture::Olmoe: break;
  }
  if (spelling == ExpertSpelling::Fused) {
    tables.emplace_back(kFused);
  } else if (architecture == Architecture::Mixtral) {
    tables.emplace_back(kMixtral);
  } else {
    tables.emplace_back(kQwenMoe);
  }
  return tables;
}

std::string replaced(std::string_view text, char mark, std::string_view by) {
  const std::size_t at = text.find(mark);
  if (at == std::string_view::npos) return std::string(text);
  return format("{}{}{}", text.substr(0, at), by, text.substr(at + 1));
}

/// The layer in `parameter` if it fits the row's pattern ("" for a pattern without one).
std::optional<std::string> layer_of(const Row& row, std::string_view parameter) {
  const std::size_t mark = row.ours.find('#');
  if (mark == std::string_view::npos) {
    return row.ours == parameter ? std::optional<std::string>("") : std::nullopt;
  }
  const std::string_view before = row.ours.substr(0, mark);
  const std::string_view after = row.ours.substr(mark + 1);
  if (!parameter.starts_with(before) || !parameter.ends_with(after)) return {};
  if (parameter.size() <= before.size() + after.size()) return {};
  parameter.remove_prefix(before.size());
  parameter.remove_suffix(after.size());
  const bool digits = parameter.find_first_not_of("0123456789") == std::string_view::npos;
  return digits ? std::optional<std::string>(parameter) : std::nullopt;
}

/// Index `place` of the first `leading` dims, all of the others.
Slice leading_box(const Shape& shape, int leading, std::int64_t place) {
  Slice slice = whole(shape);
  for (int d = leading - 1; d >= 0; --d) {
    slice.begin[static_cast<std::size_t>(d)] = place % shape[d];
    slice.size.set(d, 1);
    place /= shape[d];
  }
  slice.flat_end = slice.size.numel();
  return slice;
}

Shape without_leading(const Shape& shape, int leading) {
  return Shape(shape.dims().subspan(static_cast<std::size_t>(leading)));
}

int leading_dims(Cut cut) {
  switch (cut) {
    case Cut::Whole: return 0;
    case Cut::Halves:
    case Cut::Experts: return 1;
    case Cut::ExpertHalves:
    case Cut::FusedHalves: return 2;
  }
  return 0;
}

/// Rows [half * F, half * F + F) of expert e of [E, 2F, D].
Slice fused_box(const Shape& ours, std::int64_t place) {
  const std::int64_t hidden = ours[2];
  Slice slice = whole(Shape{ours[0], ours[1] * hidden, ours[3]});
  slice.begin[0] = place / ours[1];
  slice.begin[1] = place % ours[1] * hidden;
  slice.size.set(0, 1);
  slice.size.set(1, hidden);
  slice.flat_end = slice.size.numel();
  return slice;
}

NamedPart part_of(const Row& row, const std::string& layer, const Shape& shape,
                  std::int64_t place) {
  const int leading = leading_dims(row.cut);
  const bool halves = row.cut == Cut::Halves || row.cut == Cut::ExpertHalves;
  const std::int64_t expert = halves ? place / 2 : place;
  const std::string_view pattern = halves && place % 2 == 1 ? row.up : row.theirs;
  NamedPart part;
  part.name = replaced(replaced(pattern, '#', layer), '@', std::to_string(expert));
  part.ours = leading_box(shape, leading, place);
  part.theirs = row.cut == Cut::FusedHalves ? fused_box(shape, place)
                                            : whole(without_leading(shape, leading));
  return part;
}

NameMap map_by(const Row& row, const std::string& layer, const std::string& parameter,
               const Shape& shape) {
  NameMap map{parameter, shape, leading_dims(row.cut), {}};
  std::int64_t places = 1;
  for (int d = 0; d < map.leading; ++d) places *= shape[d];
  for (std::int64_t place = 0; place < places; ++place) {
    map.parts.push_back(part_of(row, layer, shape, place));
  }
  return map;
}

}  // namespace

std::optional<NameMap> name_map(Architecture architecture, ExpertSpelling spelling,
                                const std::string& parameter, const Shape& shape) {
  for (const std::span<const Row> table : tables_of(architecture, spelling)) {
    for (const Row& row : table) {
      if (const auto layer = layer_of(row, parameter)) return map_by(row, *layer, parameter, shape);
    }
  }
  return {};
}

bool is_ignored(const std::string& hugging_face_name) {
  return hugging_face_name.ends_with("rotary_emb.inv_freq");
}

}  // namespace moe::interop
