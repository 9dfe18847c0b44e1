#include "run/token_probe.h"

#include <algorithm>
#include <fstream>

#include "base/error.h"
#include "base/format.h"
#include "base/random.h"

namespace moe::run {
namespace {

/// More bytes than any tokenizer of ours makes one token of, on average over a text.
constexpr std::int64_t kBytesPerToken = 32;
constexpr std::int64_t kLeastBytes = 1 << 20;
/// The built-in probe is the same for every plan, so that its losses can be compared.
constexpr std::uint64_t kProbeSeed = 1;

std::string start_of(const Path& path, std::int64_t bytes) {
  std::ifstream file(path, std::ios::binary);
  std::string text(static_cast<std::size_t>(bytes), '\0');
  if (!file) throw DataError(format("{}: cannot be read", path.string()));
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) throw DataError(format("{}: cannot be read", path.string()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

}  // namespace

ModelProbe::ModelProbe(const StoredModel& source)
    : where_(source.description()),
      vocab_size_(source.model.config.vocab_size),
      tokenizer_(tokenizer_in(source.files, where_)) {}

std::vector<std::int32_t> ModelProbe::tokens(const growth::CalibrationConfig& calibration) const {
  std::vector<std::int32_t> ids;
  const auto wanted = static_cast<std::size_t>(calibration.tokens);
  if (calibration.text.empty()) {
    const Random random(kProbeSeed, "growth.probe");
    for (std::size_t i = 0; i < wanted; ++i) {
      ids.push_back(static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(vocab_size_), i)));
    }
    return ids;
  }
  if (tokenizer_ == nullptr) {
    throw DataError(format("{}: carries no tokenizer, so {} cannot be read. HINT: without a text a built-in probe "
                           "of random tokens is used",
                           where_, calibration.text));
  }
  tokenizer_->encode(
      start_of(calibration.text, std::max(kLeastBytes, calibration.tokens * kBytesPerToken)), ids);
  ids.resize(std::min(ids.size(), wanted));
  if (ids.size() < 2) {
    throw DataError(format("{}: expected text of at least two tokens, found {}", calibration.text, ids.size()));
  }
  const auto largest = std::ranges::max(ids);
  if (largest >= vocab_size_) {
    throw DataError(format("{}: its tokenizer gives token {}, beyond the model's vocab_size {}", where_, largest,
                           vocab_size_));
  }
  return ids;
}

}  // namespace moe::run
