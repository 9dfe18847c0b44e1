/// A text between added tokens, made ready for patterns.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace moe::data::bpe {

/// Which characters patterns must not see as they are.
/// @thread any, after construction
class OddCharacters {
 public:
  OddCharacters();
  bool contain(char32_t code) const { return odd_[code]; }

 private:
  std::vector<bool> odd_;
};

/// What patterns match on, and the bytes behind it. Patterns need valid UTF-8 of characters they know:
/// each broken character is shown to them as U+FFFD, as Python's errors="replace" does, and new ones as
/// older ones of their category; the bytes stay what they were.
class Subject {
 public:
  /// `text` must outlive it.
  Subject(std::string_view text, const OddCharacters& odd);
  Subject(const Subject&) = delete;
  Subject& operator=(const Subject&) = delete;

  std::string_view shape() const { return shape_; }
  /// The bytes behind [begin, end) of the shape, which begins and ends between characters. To be asked
  /// for from left to right.
  std::string_view bytes(std::size_t begin, std::size_t end);

 private:
  struct Broken {
    std::size_t at;     // of its U+FFFD in the shape
    std::size_t extra;  // by how much U+FFFD is longer than the bytes
  };
  void replace_from(std::size_t at, const OddCharacters& odd);
  std::size_t to_bytes(std::size_t at);

  std::string_view shape_;
  std::string_view bytes_;
  std::string own_shape_;
  std::vector<Broken> broken_;
  std::size_t passed_ = 0;  // broken characters before the place asked for last
  std::size_t extra_ = 0;   // of these
};

}  // namespace moe::data::bpe
