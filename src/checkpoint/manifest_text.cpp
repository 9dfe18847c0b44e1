#include "base/digest.h"
#include "base/error.h"
#include "base/format.h"
#include "checkpoint/manifest.h"
#include "checkpoint/strict_json.h"

namespace moe::checkpoint {
namespace {

constexpr std::string_view kFormatName = "moe-train checkpoint";
// The last line; its digest is of every byte before it.
constexpr std::string_view kSealBegin = "\"manifest_xxh128\": \"";
constexpr std::string_view kSealEnd = "\"}\n";
constexpr std::size_t kSealBytes = kSealBegin.size() + 32 + kSealEnd.size();

std::string digest_of(std::string_view text) {
  return digest_128({reinterpret_cast<const std::byte*>(text.data()), text.size()});
}

std::string hex(std::uint64_t value) {
  return format("{:016x}", value);
}

// ---- writing ----

Json to_json(const Shape& shape) {
  Json dims = Json::array();
  for (const std::int64_t size : shape.dims()) dims.push_back(size);
  return dims;
}

Json to_json(const Piece& piece) {
  Json begin = Json::array();
  for (int dim = 0; dim < piece.slice.global.rank(); ++dim) {
    begin.push_back(piece.slice.begin[static_cast<std::size_t>(dim)]);
  }
  return {{"file", piece.file},
          {"dataset", piece.dataset},
          {"begin", begin},
          {"size", to_json(piece.slice.size)},
          {"flat", {piece.slice.flat_begin, piece.slice.flat_end}},
          {"xxh64", hex(piece.digest)}};
}

Json to_json(const TensorRecord& tensor) {
  Json pieces = Json::array();
  for (const Piece& piece : tensor.pieces) pieces.push_back(to_json(piece));
  return {{"shape", to_json(tensor.info.shape)},
          {"dtype", to_string(tensor.info.dtype)},
          {"attributes", tensor.info.attributes},
          {"digest", hex(tensor.digest)},
          {"pieces", pieces}};
}

Json to_json(const std::vector<FileRecord>& files) {
  Json list = Json::array();
  for (const FileRecord& file : files) {
    list.push_back({{"name", file.name}, {"bytes", file.bytes}, {"xxh128", file.digest}});
  }
  return list;
}

Json states_json(const Header& header) {
  Json states = Json::object();
  for (const auto& [name, text] : header.states) {
    states[name] = parse_json(text, "state " + name);
  }
  return states;
}

void append_field(std::string& text, std::string_view key, const Json& value) {
  text += format("\"{}\": {},\n", key, value.dump());
}

void append_header(std::string& text, const Header& header) {
  append_field(text, "step", header.step);
  append_field(text, "consumed_samples", header.consumed_samples);
  append_field(text, "consumed_tokens", header.consumed_tokens);
  append_field(text, "world", header.world);
  append_field(text, "versions", header.versions);
  append_field(text, "config", header.config);
  append_field(text, "config_xxh128", digest_of(header.config));
  append_field(text, "model", parse_json(header.model, "model config"));
  append_field(text, "states", states_json(header));
}

/// One tensor a line, so that people can read and compare manifests with common tools.
void append_tensors(std::string& text, const Manifest& manifest) {
  text += "\"tensors\": {";
  const char* separator = "\n";
  for (const auto& [name, tensor] : manifest.tensors) {
    text += format("{}  {}: {}", separator, Json(name).dump(), to_json(tensor).dump());
    separator = ",\n";
  }
  text += "\n},\n";
}

// ---- reading ----

std::map<std::string, std::string> texts_of(const Json& object, const std::string& where) {
  std::map<std::string, std::string> result;
  for (const auto& [key, value] : object.items())
    result[key] = json_text(value, where + ": " + key);
  return result;
}

std::vector<std::int64_t> counts_of(const Json& array, const std::string& where,
                                    std::size_t limit) {
  if (!array.is_array() || array.size() > limit) {
    throw CheckpointError(format("{}: expected an array of at most {} numbers", where, limit));
  }
  std::vector<std::int64_t> result;
  for (const Json& value : array) result.push_back(json_count(value, where));
  return result;
}

/// The product is checked: nothing later may overflow.
Shape shape_of(const Json& array, const std::string& where) {
  const std::vector<std::int64_t> dims =
      counts_of(array, where, static_cast<std::size_t>(kMaxRank));
  std::int64_t product = 16;  // so that Shape's limit of 2^59 elements is kept as well
  for (const std::int64_t size : dims) {
    if (__builtin_mul_overflow(product, std::max<std::int64_t>(size, 1), &product)) {
      throw CheckpointError(where + ": the number of elements overflows");
    }
  }
  return Shape(std::span<const std::int64_t>(dims));
}

std::string digest_field(JsonObject& object) {
  std::string digest = object.text("xxh128");
  if (digest.size() != 32 || digest.find_first_not_of("0123456789abcdef") != std::string::npos) {
    throw CheckpointError(
        format("{}: xxh128: expected 32 hexadecimal digits, found '{}'", object.where(), digest));
  }
  return digest;
}

/// `seen`: the names in use, of shards and attachments alike.
std::vector<FileRecord> files_of(const Json& array, const std::string& where,
                                 std::set<std::string>& seen) {
  std::vector<FileRecord> files;
  for (const Json& entry : array) {
    JsonObject object(entry, where);
    FileRecord file{object.text("name"), object.count("bytes"), digest_field(object)};
    object.finish();
    if (!is_file_name(file.name) || !seen.insert(file.name).second) {
      throw CheckpointError(
          format("{}: '{}' is not a plain or not a new file name", where, file.name));
    }
    files.push_back(std::move(file));
  }
  return files;
}

void check_slice(const Slice& slice, const std::string& where) {
  bool good = slice.size.rank() == slice.global.rank();
  for (int dim = 0; good && dim < slice.global.rank(); ++dim) {
    const std::int64_t begin = slice.begin[static_cast<std::size_t>(dim)];
    good = begin <= slice.global[dim] && slice.size[dim] <= slice.global[dim] - begin;
  }
  good = good && slice.flat_begin < slice.flat_end && slice.flat_end <= slice.size.numel();
  if (!good) {
    throw CheckpointError(format(
        "{}: a piece lies outside its tensor {}: begin {}, size {}, flat {}..{}", where,
        to_string(slice.global), format_shape({slice.begin.data(), slice.size.dims().size()}),
        to_string(slice.size), slice.flat_begin, slice.flat_end));
  }
}

Piece piece_of(const Json& json, const Shape& global, std::size_t files, const std::string& where) {
  JsonObject object(json, where);
  Piece piece;
  piece.file = object.count("file");
  piece.dataset = object.text("dataset");
  piece.digest = object.hex_64("xxh64");
  piece.slice.global = global;
  const auto begin = counts_of(object.array("begin"), where, kMaxRank);
  const auto flat = counts_of(object.array("flat"), where, 2);
  piece.slice.size = shape_of(object.array("size"), where);
  object.finish();
  if (begin.size() != global.dims().size() || flat.size() != 2 ||
      piece.file >= static_cast<std::int64_t>(files)) {
    throw CheckpointError(where + ": a piece has the wrong rank or an unknown file");
  }
  std::ranges::copy(begin, piece.slice.begin.begin());
  piece.slice.flat_begin = flat[0];
  piece.slice.flat_end = flat[1];
  check_slice(piece.slice, where);
  return piece;
}

TensorRecord tensor_of(const Json& json, std::size_t files, const std::string& where) {
  JsonObject object(json, where);
  TensorRecord tensor;
  tensor.info.shape = shape_of(object.array("shape"), where + ": shape");
  const std::string dtype = object.text("dtype");
  const auto known = dtype_from(dtype);
  if (!known) throw CheckpointError(format("{}: unknown dtype '{}'", where, dtype));
  tensor.info.dtype = *known;
  tensor.info.attributes = texts_of(object.object("attributes"), where + ": attributes");
  tensor.digest = object.hex_64("digest");
  for (const Json& piece : object.array("pieces")) {
    tensor.pieces.push_back(piece_of(piece, tensor.info.shape, files, where));
  }
  object.finish();
  return tensor;
}

Header header_of(JsonObject& object) {
  Header header;
  header.step = object.count("step");
  header.consumed_samples = object.count("consumed_samples");
  header.consumed_tokens = object.count("consumed_tokens");
  for (const auto& [key, value] : object.object("world").items()) {
    header.world[key] = json_count(value, object.where() + ": world: " + key);
  }
  header.versions = texts_of(object.object("versions"), object.where() + ": versions");
  header.config = object.text("config");
  if (object.text("config_xxh128") != digest_of(header.config)) {
    throw CheckpointError(object.where() + ": config_xxh128 does not fit the config");
  }
  header.model = object.object("model").dump();
  for (const auto& [key, value] : object.object("states").items()) {
    header.states[key] = value.dump();
  }
  return header;
}

void check_format(JsonObject& object) {
  if (object.text("format") != kFormatName) {
    throw CheckpointError(object.where() + ": not a manifest of a moe-train checkpoint");
  }
  const std::int64_t version = object.count("format_version");
  if (version != kFormatVersion) {
    throw CheckpointError(
        format("{}: format version {}, this program reads {}; use the version "
               "that wrote it",
               object.where(), version, kFormatVersion));
  }
  const Json& complete = object.field("complete");
  if (!complete.is_boolean() || !complete.get<bool>()) {
    throw CheckpointError(object.where() + ": complete: expected true");
  }
}

void check_seal(std::string_view text, const std::string& where) {
  if (text.size() < kSealBytes) {
    throw CheckpointError(format("{}: {} bytes are too few for a manifest", where, text.size()));
  }
  const std::string_view body = text.substr(0, text.size() - kSealBytes);
  const std::string seal = format("{}{}{}", kSealBegin, digest_of(body), kSealEnd);
  if (text.substr(body.size()) != seal) {
    throw CheckpointError(format("{}: damaged or cut short: its own digest does not fit", where));
  }
}

}  // namespace

std::string manifest_text(const Manifest& manifest) {
  std::string text = "{\n";
  try {
    append_field(text, "format", kFormatName);
    append_field(text, "format_version", kFormatVersion);
    append_field(text, "complete", true);
    append_header(text, manifest.header);
    append_field(text, "files", to_json(manifest.files));
    append_field(text, "attachments", to_json(manifest.attachments));
    append_tensors(text, manifest);
  } catch (const Json::exception& error) {
    throw CheckpointError(format("manifest: a text is not UTF-8: {}", error.what()));
  }
  return text + format("{}{}{}", kSealBegin, digest_of(text), kSealEnd);
}

Manifest parse_manifest(std::string_view text, const std::string& where) {
  check_seal(text, where);
  const Json json = parse_json(text, where);
  JsonObject object(json, where);
  check_format(object);
  Manifest manifest;
  manifest.header = header_of(object);
  std::set<std::string> names{kManifestName};
  manifest.files = files_of(object.array("files"), where + ": files", names);
  manifest.attachments = files_of(object.array("attachments"), where + ": attachments", names);
  for (const auto& [name, tensor] : object.object("tensors").items()) {
    if (!is_tensor_name(name))
      throw CheckpointError(format("{}: bad tensor name '{}'", where, name));
    manifest.tensors[name] = tensor_of(tensor, manifest.files.size(), where + ": " + name);
  }
  object.text("manifest_xxh128");
  object.finish();
  return manifest;
}

}  // namespace moe::checkpoint
