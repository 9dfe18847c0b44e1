#include "checkpoint/manifest.h"

#include <algorithm>

#include "base/error.h"
#include "base/format.h"
#include "checkpoint/overlap.h"

namespace moe::checkpoint {
namespace {

constexpr std::size_t kMaxTensorName = 512;
constexpr std::size_t kMaxFileName = 128;

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool consists_of(std::string_view text, std::string_view others) {
  return std::ranges::all_of(
      text, [&](char c) { return is_alphanumeric(c) || others.find(c) != std::string_view::npos; });
}

void merge_tensor(TensorRecord& into, const TensorRecord& part, std::int64_t file_offset,
                  const std::string& where) {
  if (into.info != part.info) {
    throw CheckpointError(
        format("{}: {} {} here, {} {} on an earlier rank (or its attributes "
               "differ)",
               where, to_string(part.info.dtype), to_string(part.info.shape),
               to_string(into.info.dtype), to_string(into.info.shape)));
  }
  into.digest += part.digest;
  for (Piece piece : part.pieces) {
    piece.file += file_offset;
    into.pieces.push_back(std::move(piece));
  }
}

}  // namespace

bool is_tensor_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxTensorName && consists_of(name, "._-[]()@+=/,") &&
         name.front() != '/' && name.back() != '/' && name.find("//") == std::string_view::npos;
}

bool is_file_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxFileName && consists_of(name, "._-") &&
         name.front() != '.';
}

std::vector<std::string> compare_headers(const Header& a, const Header& b) {
  std::vector<std::string> names;
  const auto note = [&](bool same, const std::string& name) {
    if (!same) names.push_back(name);
  };
  note(a.step == b.step, "step");
  note(a.consumed_samples == b.consumed_samples, "consumed_samples");
  note(a.consumed_tokens == b.consumed_tokens, "consumed_tokens");
  note(a.world == b.world, "world");
  note(a.config == b.config, "config");
  note(a.model == b.model, "model");
  note(a.versions == b.versions, "versions");
  std::map<std::string, std::string> states = a.states;
  states.insert(b.states.begin(), b.states.end());
  for (const auto& [name, text] : states) {
    const auto in_a = a.states.find(name);
    const auto in_b = b.states.find(name);
    note(in_a != a.states.end() && in_b != b.states.end() && in_a->second == in_b->second,
         "state " + name);
  }
  return names;
}

void merge_manifest(Manifest& into, const Manifest& part, int rank) {
  if (into.header != part.header) {
    throw CheckpointError(
        format("the state differs between ranks: rank {} has another {}; what is "
               "not a tensor must be the same on every rank",
               rank, compare_headers(part.header, into.header).front()));
  }
  const auto offset = static_cast<std::int64_t>(into.files.size());
  into.files.insert(into.files.end(), part.files.begin(), part.files.end());
  for (const auto& [name, tensor] : part.tensors) {
    const auto [entry, fresh] = into.tensors.try_emplace(name, TensorRecord{tensor.info, 0, {}});
    merge_tensor(entry->second, tensor, offset, format("rank {}: tensor {}", rank, name));
  }
}

void check_coverage(const Manifest& manifest, const std::string& where) {
  for (const auto& [name, tensor] : manifest.tensors) {
    std::vector<Slice> slices;
    slices.reserve(tensor.pieces.size());
    for (const Piece& piece : tensor.pieces) slices.push_back(piece.slice);
    const std::string fault = tiling_fault(tensor.info.shape, slices);
    if (!fault.empty()) {
      throw CheckpointError(format("{}: tensor {} {} is not held exactly once: {}", where, name,
                                   to_string(tensor.info.shape), fault));
    }
  }
}

}  // namespace moe::checkpoint
