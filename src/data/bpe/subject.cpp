#include "data/bpe/subject.h"

#include "data/bpe/characters.h"
#include "data/utf8.h"

namespace moe::data::bpe {
namespace {

constexpr char32_t kReplacement = 0xFFFD;
constexpr std::size_t kReplacementSize = 3;

}  // namespace

OddCharacters::OddCharacters() : odd_(0x110000, false) {
  for (const char32_t code : characters_with_stand_ins()) odd_[code] = true;
}

Subject::Subject(std::string_view text, const OddCharacters& odd) : shape_(text), bytes_(text) {
  for (std::size_t at = utf8_skip_ascii(text, 0); at < text.size();) {
    const Utf8Char found = utf8_at(text, at);
    if (!found.valid || odd.contain(found.code)) {
      replace_from(at, odd);
      return;
    }
    at = utf8_skip_ascii(text, at + found.size);
  }
}

void Subject::replace_from(std::size_t at, const OddCharacters& odd) {
  own_shape_.reserve(bytes_.size() + 16);
  own_shape_.assign(bytes_.substr(0, at));
  while (at < bytes_.size()) {
    const Utf8Char found = utf8_at(bytes_, at);
    if (!found.valid) {
      const std::size_t size = utf8_broken_size(bytes_, at);
      broken_.push_back({own_shape_.size(), kReplacementSize - size});
      append_utf8(kReplacement, own_shape_);
      at += size;
      continue;
    }
    if (odd.contain(found.code)) {
      append_utf8(stand_in_for(found.code), own_shape_);
    } else {
      own_shape_ += bytes_.substr(at, found.size);
    }
    at += found.size;
  }
  shape_ = own_shape_;
}

std::string_view Subject::bytes(std::size_t begin, std::size_t end) {
  if (broken_.empty()) return bytes_.substr(begin, end - begin);
  const std::size_t first = to_bytes(begin);
  return bytes_.substr(first, to_bytes(end) - first);
}

std::size_t Subject::to_bytes(std::size_t at) {
  while (passed_ < broken_.size() && broken_[passed_].at < at) extra_ += broken_[passed_++].extra;
  return at - extra_;
}

}  // namespace moe::data::bpe
