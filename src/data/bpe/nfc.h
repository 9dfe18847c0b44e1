/// Unicode normalisation form C.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace moe::data::bpe {

/// As the `tokenizers` library has it: the marks of Unicode 10 and later are left alone.
/// Bytes that are no UTF-8 stay as they are, and nothing is joined across them.
/// @thread any, after construction
class Nfc {
 public:
  Nfc();
  /// False where `normal_form` might differ from `text`.
  bool is_normal(std::string_view text) const;
  /// @cost linear
  std::string normal_form(std::string_view text) const;

 private:
  bool may_change(char32_t code) const { return flags_[code]; }

  std::vector<bool> flags_;  // may change, or may change what stands before it
  std::vector<bool> inert_;  // neither, though utf8proc thinks otherwise
};

}  // namespace moe::data::bpe
