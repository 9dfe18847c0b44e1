/// Regular expressions as the `tokenizers` library means them, run by PCRE2.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace moe::data::bpe {

/// A compiled pattern. @thread any
class Pattern {
 public:
  /// In Oniguruma's Ruby syntax, which is what tokenizer.json holds. `where` names file and key in errors.
  /// @throws DataError(where, reason): not a pattern, too large, or a feature that is not supported
  static Pattern regex(std::string_view pattern, const std::string& where);
  /// Matches `text` itself.
  static Pattern literal(std::string_view text, const std::string& where);

  struct Match {
    std::size_t begin, end;
  };
  /// What a search needs besides the pattern; one for each thread, for any number of patterns.
  class Scratch {
   public:
    Scratch();
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

   private:
    friend class Pattern;
    struct Parts;
    std::unique_ptr<Parts> parts_;
  };
  /// The first match at or after `from`. `subject` is valid UTF-8.
  /// @throws DataError(where, reason) when the search takes too long
  std::optional<Match> find(std::string_view subject, std::size_t from, Scratch& scratch) const;

 private:
  struct Code;
  explicit Pattern(std::shared_ptr<const Code> code) : code_(std::move(code)) {}
  std::shared_ptr<const Code> code_;
};

}  // namespace moe::data::bpe
