#include <algorithm>
#include <array>
#include <tuple>
#include <unordered_set>

#include "base/error.h"
#include "base/format.h"
#include "interop/safetensors.h"
#include "interop/sax_base.h"

namespace moe::interop {
namespace {

constexpr std::array<SafetensorsDType, 22> kDTypes{{
    {"BOOL", 8},        {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
    {"I8", 8},          {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
    {"F8_E5M2FNUZ", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16},    {"BF16", 16},
    {"I32", 32},        {"U32", 32},    {"F32", 32},    {"C64", 64},    {"F64", 64},
    {"I64", 64},        {"U64", 64},
}};

constexpr std::uint64_t kMaxTensorBits = std::uint64_t{1} << 61;  // Shape counts to 2^59 elements
constexpr const char* kMetadataKey = "__metadata__";

bool has_control_bytes(std::string_view text) {
  return std::ranges::any_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

/// A tensor as the header describes it, before any arithmetic.
struct RawEntry {
  std::string name;
  std::optional<std::string> dtype;
  std::optional<std::vector<std::uint64_t>> shape;
  std::optional<std::vector<std::uint64_t>> offsets;
};

/// Takes the header apart event by event; anything that is not expected at its place is refused at
/// once, so depth and memory are bounded by the header's own length.
class HeaderParser : public SaxBase {
 public:
  explicit HeaderParser(const std::string& where) : SaxBase(where) {}

  bool start_object(std::size_t) override {
    switch (place_) {
      case Place::Start:
        place_ = Place::Top;
        return true;
      case Place::Tensor:
        place_ = Place::Fields;
        return true;
      case Place::MetadataValue:
        place_ = Place::Metadata;
        return true;
      default:
        refuse_value("an object");
    }
  }

  bool key(string_t& text) override {
    switch (place_) {
      case Place::Top:
        begin_entry(text);
        return true;
      case Place::Fields:
        begin_field(text);
        return true;
      case Place::Metadata:
        begin_metadata(text);
        return true;
      default:
        refuse_value("a key");
    }
  }

  bool end_object() override {
    if (place_ == Place::Fields) {
      finish_entry();
      place_ = Place::Top;
    } else if (place_ == Place::Metadata) {
      place_ = Place::Top;
    } else {
      place_ = Place::End;
    }
    return true;
  }

  bool string(string_t& text) override {
    if (place_ == Place::DType) {
      entries_.back().dtype = text.substr(0, 40);
      place_ = Place::Fields;
    } else if (place_ == Place::MetadataText) {
      metadata_[metadata_key_] = text;
      place_ = Place::Metadata;
    } else {
      refuse_value("a text");
    }
    return true;
  }

  bool start_array(std::size_t) override {
    if (place_ == Place::Shape) {
      entries_.back().shape.emplace();
      place_ = Place::ShapeNumbers;
    } else if (place_ == Place::Offsets) {
      entries_.back().offsets.emplace();
      place_ = Place::OffsetNumbers;
    } else {
      refuse_value("an array");
    }
    return true;
  }

  bool number_unsigned(number_unsigned_t number) override {
    if (place_ != Place::ShapeNumbers && place_ != Place::OffsetNumbers) refuse_value("a number");
    RawEntry& entry = entries_.back();
    auto& numbers = place_ == Place::ShapeNumbers ? *entry.shape : *entry.offsets;
    const std::size_t limit = place_ == Place::ShapeNumbers ? std::size_t{kMaxRank} : 2;
    if (numbers.size() == limit) {
      refuse(format("tensor '{}': more than {} numbers in {}", shown(entry.name), limit,
                    place_ == Place::ShapeNumbers ? "shape" : "data_offsets"));
    }
    numbers.push_back(number);
    return true;
  }

  bool end_array() override {
    place_ = Place::Fields;
    return true;
  }

  std::vector<RawEntry>& entries() { return entries_; }
  std::map<std::string, std::string>& metadata() { return metadata_; }

 private:
  enum class Place {
    Start,
    Top,
    Tensor,
    Fields,
    DType,
    Shape,
    ShapeNumbers,
    Offsets,
    OffsetNumbers,
    MetadataValue,
    Metadata,
    MetadataText,
    End
  };

  std::string expectation() const override {
    const std::string tensor =
        entries_.empty() ? "" : format(" of tensor '{}'", shown(entries_.back().name));
    switch (place_) {
      case Place::Start:
        return "an object";
      case Place::Tensor:
        return "an object" + tensor;
      case Place::DType:
        return "a text as dtype" + tensor;
      case Place::Shape:
        return "an array as shape" + tensor;
      case Place::Offsets:
        return "an array as data_offsets" + tensor;
      case Place::ShapeNumbers:
        return "an integer >= 0 below 2^64 in shape" + tensor;
      case Place::OffsetNumbers:
        return "an integer >= 0 below 2^64 in data_offsets" + tensor;
      case Place::MetadataValue:
        return "an object as __metadata__";
      case Place::MetadataText:
        return format("a text as __metadata__ '{}'", shown(metadata_key_));
      default:
        return "a key";
    }
  }

  void begin_entry(const std::string& name) {
    if (name.size() > kMaxTensorNameBytes) refuse("a tensor name is longer than 4096 bytes");
    if (has_control_bytes(name)) refuse("a tensor name has control bytes");
    if (!names_.insert(name).second) refuse(format("the key '{}' stands twice", shown(name)));
    if (name == kMetadataKey) {
      place_ = Place::MetadataValue;
      return;
    }
    if (entries_.size() == kMaxSafetensorsTensors) refuse("more than 1,000,000 tensors");
    entries_.push_back({name, {}, {}, {}});
    place_ = Place::Tensor;
  }

  void begin_field(const std::string& field) {
    const RawEntry& entry = entries_.back();
    const bool repeated = (field == "dtype" && entry.dtype) || (field == "shape" && entry.shape) ||
                          (field == "data_offsets" && entry.offsets);
    if (repeated) refuse(format("tensor '{}': '{}' stands twice", shown(entry.name), field));
    if (field == "dtype") {
      place_ = Place::DType;
    } else if (field == "shape") {
      place_ = Place::Shape;
    } else if (field == "data_offsets") {
      place_ = Place::Offsets;
    } else {
      refuse(format("tensor '{}': unknown field '{}'", shown(entry.name), shown(field)));
    }
  }

  void begin_metadata(const std::string& key) {
    if (metadata_.contains(key)) refuse(format("__metadata__: '{}' stands twice", shown(key)));
    metadata_key_ = key;
    place_ = Place::MetadataText;
  }

  void finish_entry() {
    const RawEntry& entry = entries_.back();
    if (!entry.dtype || !entry.shape || !entry.offsets || entry.offsets->size() != 2) {
      refuse(format("tensor '{}': expected dtype, shape and two data_offsets", shown(entry.name)));
    }
  }

  Place place_ = Place::Start;
  std::vector<RawEntry> entries_;
  std::unordered_set<std::string> names_;
  std::map<std::string, std::string> metadata_;
  std::string metadata_key_;
};

std::int64_t bits_of(const RawEntry& entry, const std::string& where) {
  const auto known =
      std::ranges::find(kDTypes, std::string_view(*entry.dtype), &SafetensorsDType::name);
  if (known == kDTypes.end()) {
    throw CheckpointError(format("{}: tensor '{}': unknown dtype '{}'", where, shown(entry.name),
                                 shown(*entry.dtype)));
  }
  return known->bits;
}

/// Bytes by shape and dtype. Zeroes count as ones in the check of overflow: no product may hide
/// behind one.
std::uint64_t bytes_of(const RawEntry& entry, const std::string& where) {
  std::uint64_t bits = static_cast<std::uint64_t>(bits_of(entry, where));
  bool empty = false;
  for (const std::uint64_t size : *entry.shape) {
    empty = empty || size == 0;
    const bool overflow = __builtin_mul_overflow(bits, std::max<std::uint64_t>(size, 1), &bits) ||
                          bits > kMaxTensorBits;
    if (overflow) {
      throw CheckpointError(
          format("{}: tensor '{}': its size overflows", where, shown(entry.name)));
    }
  }
  if (empty) return 0;
  if (bits % 8 != 0) {
    throw CheckpointError(
        format("{}: tensor '{}': {} bits do not end on a byte", where, shown(entry.name), bits));
  }
  return bits / 8;
}

SafetensorsEntry checked_entry(const RawEntry& raw, const std::string& where) {
  SafetensorsEntry entry;
  const std::uint64_t bytes = bytes_of(raw, where);
  entry.name = raw.name;
  entry.dtype = *raw.dtype;
  entry.begin = (*raw.offsets)[0];
  entry.end = (*raw.offsets)[1];
  if (entry.begin > entry.end || entry.end - entry.begin != bytes) {
    throw CheckpointError(
        format("{}: tensor '{}': data_offsets [{}, {}] do not hold the {} bytes "
               "of its shape and dtype",
               where, shown(raw.name), entry.begin, entry.end, bytes));
  }
  std::vector<std::int64_t> dims(raw.shape->begin(), raw.shape->end());
  entry.shape = Shape(std::span<const std::int64_t>(dims));
  return entry;
}

/// In the order of offsets, each entry begins where the last one ended, and the last ends with the
/// file.
void check_offsets(const std::vector<SafetensorsEntry>& entries, std::uint64_t data_bytes,
                   const std::string& where) {
  std::uint64_t at = 0;
  for (const SafetensorsEntry& entry : entries) {
    if (entry.begin != at) {
      throw CheckpointError(format("{}: tensor '{}' begins at byte {}, expected {}: {}", where,
                                   shown(entry.name), entry.begin, at,
                                   entry.begin > at ? "a hole" : "an overlap"));
    }
    at = entry.end;
  }
  if (at != data_bytes) {
    throw CheckpointError(format("{}: the tensors end at byte {} of the data, the file holds {}",
                                 where, at, data_bytes));
  }
}

void check_text(std::string_view json, const std::string& where) {
  if (json.empty() || json.front() != '{') {
    throw CheckpointError(where + ": the header does not begin with '{'");
  }
  const std::size_t last = json.find_last_not_of(' ');
  if (json[last] != '}') {
    throw CheckpointError(where + ": the header does not end with '}' and spaces");
  }
}

}  // namespace

std::vector<SafetensorsDType> safetensors_dtypes() {
  return {kDTypes.begin(), kDTypes.end()};
}

std::string_view safetensors_name(DType dtype) {
  switch (dtype) {
    case DType::F32:
      return "F32";
    case DType::BF16:
      return "BF16";
    case DType::F64:
      return "F64";
    case DType::I32:
      return "I32";
    case DType::I64:
      return "I64";
    case DType::U8:
      return "U8";
    case DType::U16:
      return "U16";
    case DType::F16:
      return "F16";
  }
  throw InternalError("unknown dtype");
}

std::optional<DType> dtype_of_safetensors(std::string_view name) {
  if (name == "BOOL") return DType::U8;
  for (const DType dtype : {DType::F32, DType::BF16, DType::F64, DType::I32, DType::I64, DType::U8,
                            DType::U16, DType::F16}) {
    if (safetensors_name(dtype) == name) return dtype;
  }
  return {};
}

SafetensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t data_bytes,
                                           const std::string& where) {
  check_text(json, where);
  HeaderParser parser(where);
  nlohmann::json::sax_parse(json, &parser);
  SafetensorsHeader header;
  header.metadata = std::move(parser.metadata());
  for (const RawEntry& raw : parser.entries()) header.entries.push_back(checked_entry(raw, where));
  std::ranges::sort(header.entries, {}, [](const SafetensorsEntry& entry) {
    return std::tuple(entry.begin, entry.end, std::string_view(entry.name));
  });
  check_offsets(header.entries, data_bytes, where);
  return header;
}

}  // namespace moe::interop
