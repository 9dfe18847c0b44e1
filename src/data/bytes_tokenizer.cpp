#include "data/bytes_tokenizer.h"

#include <array>

#include "base/error.h"
#include "base/format.h"

namespace moe::data {
namespace {

constexpr std::int32_t kBytes = 256;

constexpr std::array<char, kBytes> kAllBytes = [] {
  std::array<char, kBytes> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i);
  return bytes;
}();

class BytesTokenizer final : public Tokenizer {
 public:
  std::string_view name() const override { return "bytes"; }
  std::int64_t vocab_size() const override { return kBytes + 1; }
  std::int32_t eod_id() const override { return kBytes; }

  using Tokenizer::encode;
  void encode(std::string_view text, std::vector<std::int32_t>& ids) const override {
    const std::size_t before = ids.size();
    ids.resize(before + text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
      ids[before + i] = static_cast<unsigned char>(text[i]);
    }
  }

  std::string_view token_bytes(std::int32_t id) const override {
    if (id == kBytes) return {};
    if (id < 0 || id > kBytes) {
      throw DataError(format("tokenizer bytes: expected a token in [0, {}], found {}", kBytes, id));
    }
    return {&kAllBytes[static_cast<std::size_t>(id)], 1};
  }

  std::size_t safe_cut(std::string_view text) const override { return text.size(); }
  std::string model() const override { return {}; }
};

}  // namespace

std::shared_ptr<const Tokenizer> make_bytes_tokenizer(const std::string& model,
                                                      const std::string& origin) {
  if (!model.empty()) {
    throw DataError(
        format("{}: the tokenizer bytes has no model file, found {} bytes", origin, model.size()));
  }
  return std::make_shared<BytesTokenizer>();
}

}  // namespace moe::data
