/// What a checkpoint says of itself: plain data, and its one text form
/// (docs/formats/checkpoint.md).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/tensor_source.h"

namespace moe::checkpoint {

inline constexpr std::int64_t kFormatVersion = 1;
inline constexpr const char* kManifestName = "manifest.json";

/// Everything of the training state that is not a tensor. The same on every rank.
struct Header {
  std::int64_t step = 0;
  std::int64_t consumed_samples = 0;
  std::int64_t consumed_tokens = 0;
  std::map<std::string, std::int64_t> world;    ///< {"size", 4}, {"data", 4}, {"expert", 2}, ...
  std::string config;                           ///< the resolved run config, YAML
  std::string model = "{}";                     ///< the model's config, a JSON object
  std::map<std::string, std::string> versions;  ///< commit and such; take() adds program and HDF5
  std::map<std::string, std::string> states;    ///< name -> JSON text: data cursor, seeds, counters
  friend bool operator==(const Header&, const Header&) = default;
};

/// A file of the step folder.
struct FileRecord {
  std::string name;
  std::int64_t bytes = 0;
  std::string digest;  ///< XXH3-128, 32 hexadecimal digits
  friend bool operator==(const FileRecord&, const FileRecord&) = default;
};

/// Where one slice of a tensor stands.
struct Piece {
  std::int64_t file = 0;  ///< index into Manifest::files
  std::string dataset;
  Slice slice;               ///< at least one element
  std::uint64_t digest = 0;  ///< XXH3-64 of its bytes
  friend bool operator==(const Piece&, const Piece&) = default;
};

struct TensorRecord {
  TensorInfo info;
  std::uint64_t digest = 0;  ///< layout_digest of the whole tensor
  std::vector<Piece> pieces;
  friend bool operator==(const TensorRecord&, const TensorRecord&) = default;
};

struct Manifest {
  Header header;
  std::vector<FileRecord> files;        ///< HDF5 shards
  std::vector<FileRecord> attachments;  ///< carried along: tokenizer models and such
  std::map<std::string, TensorRecord> tensors;
  friend bool operator==(const Manifest&, const Manifest&) = default;
};

/// @throws CheckpointError when a text is not UTF-8 or a state is not JSON
std::string manifest_text(const Manifest& manifest);

/// Strict: unknown, missing, repeated or ill-typed fields are refused, and so is a text whose own
/// digest does not fit. `where` names the file in messages. @throws CheckpointError(where, field,
/// reason)
Manifest parse_manifest(std::string_view text, const std::string& where);

/// Adds the files and tensors of one rank's manifest to another's.
/// @throws CheckpointError when headers differ, or a tensor's shape, dtype or attributes do
void merge_manifest(Manifest& into, const Manifest& part, int rank);

/// Parts of the headers that differ, by name ("step", "config", "state cursor").
std::vector<std::string> compare_headers(const Header& a, const Header& b);

/// Every element of every tensor is in exactly one piece.
/// @throws CheckpointError naming the tensor, the element and the pieces
void check_coverage(const Manifest& manifest, const std::string& where);

/// Letters, digits and `. _ - [ ] ( ) @ + = / ,`; 1 to 512 of them; '/' only between names.
bool is_tensor_name(std::string_view name);
/// A plain file name that may stand in a step folder: letters, digits, `. _ -`, no leading dot.
bool is_file_name(std::string_view name);

}  // namespace moe::checkpoint
