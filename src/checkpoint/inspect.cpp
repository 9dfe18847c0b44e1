#include "checkpoint/inspect.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/digest.h"
#include "base/error.h"
#include "base/format.h"
#include "checkpoint/folder.h"
#include "checkpoint/layout_digest.h"

namespace moe::checkpoint {
namespace {

constexpr std::int64_t kWindowElements = std::int64_t{1} << 20;

/// Calls visit(part) for consecutive parts of bounded size.
template <class Visit>
void for_each_part(const Slice& slice, Visit&& visit) {
  for (std::int64_t at = slice.flat_begin; at < slice.flat_end; at += kWindowElements) {
    Slice part = slice;
    part.flat_begin = at;
    part.flat_end = std::min(slice.flat_end, at + kWindowElements);
    visit(part);
  }
}

ListedStep list_step(const Path& path, std::int64_t step, bool verify) {
  ListedStep listed;
  listed.step = step;
  listed.path = path;
  try {
    OpenOptions options;
    options.verify = verify;
    const auto checkpoint = open_checkpoint(path, options);
    const Manifest& manifest = checkpoint->manifest();
    for (const FileRecord& file : manifest.files) listed.bytes += file.bytes;
    for (const FileRecord& file : manifest.attachments) listed.bytes += file.bytes;
    listed.tensors = static_cast<std::int64_t>(manifest.tensors.size());
    listed.consumed_tokens = manifest.header.consumed_tokens;
    const auto size = manifest.header.world.find("size");
    listed.ranks = size == manifest.header.world.end() ? 0 : size->second;
  } catch (const CheckpointError& error) {
    listed.fault = error.what();
  }
  return listed;
}

void verify_piece(const Checkpoint& checkpoint, const std::string& name, const Piece& piece,
                  DType dtype) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(piece.slice.numel() * size_of(dtype)));
  checkpoint.read(name, piece.slice, flat_view(bytes.data(), dtype, piece.slice.numel()));
  if (digest_64(bytes) == piece.digest) return;
  const FileRecord& file = checkpoint.manifest().files[static_cast<std::size_t>(piece.file)];
  throw CheckpointError(format("{}: {}: tensor {}: {} has other values than its digest says",
                               checkpoint.path().string(), file.name, name,
                               to_string(piece.slice)));
}

void compare_values(const Checkpoint& a, const Checkpoint& b, TensorDifference& difference) {
  std::vector<double> left;
  std::vector<double> right;
  for_each_part(whole(a.info(difference.name).shape), [&](const Slice& part) {
    left.resize(static_cast<std::size_t>(part.numel()));
    right.resize(left.size());
    a.read(difference.name, part, flat_view(left.data(), DType::F64, part.numel()));
    b.read(difference.name, part, flat_view(right.data(), DType::F64, part.numel()));
    for (std::size_t i = 0; i < left.size(); ++i) {
      const bool both_nan = std::isnan(left[i]) && std::isnan(right[i]);
      if (left[i] == right[i] || both_nan) continue;
      ++difference.elements;
      const double distance = std::abs(left[i] - right[i]);
      difference.largest = std::max(difference.largest, std::isnan(distance) ? INFINITY : distance);
    }
  });
}

/// "" if the tensors are equal bit by bit.
std::string reason_of_difference(const TensorRecord& a, const TensorRecord& b) {
  if (a.info.shape != b.info.shape) {
    return format("shape {} and {}", to_string(a.info.shape), to_string(b.info.shape));
  }
  if (a.info.dtype != b.info.dtype) {
    return format("dtype {} and {}", to_string(a.info.dtype), to_string(b.info.dtype));
  }
  return a.digest == b.digest ? "" : "values";
}

TensorDifference compare_tensor(const Checkpoint& a, const Checkpoint& b, const std::string& name) {
  TensorDifference difference;
  difference.name = name;
  const auto& tensors_a = a.manifest().tensors;
  const auto& tensors_b = b.manifest().tensors;
  const auto in_a = tensors_a.find(name);
  const auto in_b = tensors_b.find(name);
  if (in_a == tensors_a.end() || in_b == tensors_b.end()) {
    difference.reason = in_a == tensors_a.end() ? "only in the second" : "only in the first";
    return difference;
  }
  difference.reason = reason_of_difference(in_a->second, in_b->second);
  const bool same_shape = in_a->second.info.shape == in_b->second.info.shape;
  if (!difference.reason.empty() && same_shape && is_floating(in_a->second.info.dtype) &&
      is_floating(in_b->second.info.dtype)) {
    compare_values(a, b, difference);
  }
  return difference;
}

}  // namespace

std::vector<ListedStep> list_checkpoints(const Path& folder, bool verify) {
  if (!std::filesystem::is_directory(folder)) {
    throw CheckpointError(format("{}: no such folder", folder.string()));
  }
  const Path inside = folder / "checkpoints";
  const Path from = std::filesystem::is_directory(inside) ? inside : folder;
  std::vector<ListedStep> listed;
  for (const std::int64_t step : list_steps(from)) {
    listed.push_back(list_step(from / step_name(step), step, verify));
  }
  return listed;
}

void verify_contents(const Checkpoint& checkpoint) {
  for (const auto& [name, tensor] : checkpoint.manifest().tensors) {
    for (const Piece& piece : tensor.pieces) {
      verify_piece(checkpoint, name, piece, tensor.info.dtype);
    }
    if (layout_digest(checkpoint, name) != tensor.digest) {
      throw CheckpointError(format("{}: tensor {}: its layout digest does not fit its values",
                                   checkpoint.path().string(), name));
    }
  }
}

std::vector<TensorDifference> compare_tensors(const Checkpoint& a, const Checkpoint& b) {
  std::set<std::string> names(a.names().begin(), a.names().end());
  names.insert(b.names().begin(), b.names().end());
  std::vector<TensorDifference> differences;
  for (const std::string& name : names) {
    TensorDifference difference = compare_tensor(a, b, name);
    if (!difference.reason.empty()) differences.push_back(std::move(difference));
  }
  return differences;
}

}  // namespace moe::checkpoint
