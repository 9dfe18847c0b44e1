#include "data/shard_info.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/format.h"

namespace moe::data {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kFormat = "moe token shard";
constexpr std::uint64_t kLimitBytes = std::uint64_t{1} << 20;

class Reader {
 public:
  Reader(const Path& path, const Json& object) : path_(path), object_(object) {}

  std::string text(const char* key) const {
    const Json& value = at(key);
    if (!value.is_string()) fail(key, "a string", value);
    return value.get<std::string>();
  }

  std::int64_t integer(const char* key, std::int64_t min, std::int64_t max) const {
    const Json& value = at(key);
    const auto expected = [&] { return format("an integer in [{}, {}]", min, max); };
    if (!value.is_number_integer()) fail(key, expected(), value);
    if (value.is_number_unsigned() &&
        value.get<std::uint64_t>() > static_cast<std::uint64_t>(max)) {
      fail(key, expected(), value);
    }
    const auto number = value.get<std::int64_t>();
    if (number < min || number > max) fail(key, expected(), value);
    return number;
  }

 private:
  const Json& at(const char* key) const {
    const auto found = object_.find(key);
    if (found == object_.end()) {
      throw DataError(format("{}: expected the key \"{}\", found none", path_.string(), key));
    }
    return *found;
  }

  [[noreturn]] void fail(const char* key, const std::string& expected, const Json& value) const {
    throw DataError(format("{}: \"{}\": expected {}, found {}", path_.string(), key, expected,
                           value.dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 80)));
  }

  const Path& path_;
  const Json& object_;
};

Json parse(const Path& path) {
  const std::string text = read_file(path, kLimitBytes);
  try {
    Json object = Json::parse(text);
    if (object.is_object()) return object;
  } catch (const nlohmann::json::exception& error) {
    throw DataError(format("{}: expected JSON: {}", path.string(), error.what()));
  }
  throw DataError(format("{}: expected a JSON object", path.string()));
}

}  // namespace

std::string to_json(const ShardInfo& info) {
  const Json object{{"format", kFormat},
                    {"version", 1},
                    {"tokenizer", info.tokenizer},
                    {"tokenizer_digest", info.tokenizer_digest},
                    {"vocab_size", info.vocab_size},
                    {"eod", info.eod},
                    {"bytes", info.bytes},
                    {"documents", info.documents},
                    {"tokens", info.tokens},
                    {"bin_digest", info.bin_digest},
                    {"idx_digest", info.idx_digest}};
  return object.dump(2) + "\n";
}

ShardInfo read_shard_info(const Path& path) {
  const Json object = parse(path);
  const Reader reader(path, object);
  constexpr auto kMany = std::numeric_limits<std::int64_t>::max();
  if (const std::string found = reader.text("format"); found != kFormat) {
    throw DataError(
        format("{}: \"format\": expected \"{}\", found \"{}\"", path.string(), kFormat, found));
  }
  reader.integer("version", 1, 1);
  ShardInfo info;
  info.tokenizer = reader.text("tokenizer");
  info.tokenizer_digest = reader.text("tokenizer_digest");
  info.vocab_size = reader.integer("vocab_size", 1, std::numeric_limits<std::int32_t>::max());
  info.eod = static_cast<std::int32_t>(reader.integer("eod", -1, info.vocab_size - 1));
  info.bytes = reader.integer("bytes", 0, kMany);
  info.documents = reader.integer("documents", 0, kMany);
  info.tokens = reader.integer("tokens", 0, kMany);
  info.bin_digest = reader.text("bin_digest");
  info.idx_digest = reader.text("idx_digest");
  return info;
}

}  // namespace moe::data
