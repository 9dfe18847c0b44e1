/// Where a stream of text may be cut without changing tokens.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "data/bpe/added_tokens.h"
#include "data/bpe/pre_tokenizer.h"

namespace moe::data::bpe {

/// Derived from what is known of the patterns; where one is unknown there is no such place.
/// @thread any
class CutPlaces {
 public:
  CutPlaces(const PreTokenizer::Steps& steps, const std::vector<AddedToken>& added);

  /// See Tokenizer::safe_cut. @cost linear in what follows the place
  std::size_t last(std::string_view text) const;

 private:
  void respect(const AddedToken& token);
  bool fits(std::string_view text, std::size_t at) const;

  bool before_space_ = false;
  bool before_line_end_ = false;
  bool after_line_end_ = false;
};

}  // namespace moe::data::bpe
