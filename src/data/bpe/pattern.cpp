#include "data/bpe/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>
#include <utility>

#include "base/error.h"
#include "base/format.h"
#include "data/bpe/pattern_syntax.h"

namespace moe::data::bpe {
namespace {

constexpr std::size_t kLongestPattern = 65536;
constexpr std::size_t kLargestStack = std::size_t{8} << 20;
constexpr std::uint32_t kOptions = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE;

std::string message_of(int error) {
  std::array<PCRE2_UCHAR, 256> buffer{};
  pcre2_get_error_message(error, buffer.data(), buffer.size());
  return reinterpret_cast<const char*>(buffer.data());
}

}  // namespace

struct Pattern::Code {
  Code(std::string_view pattern, std::uint32_t options, std::string where_text)
      : where(std::move(where_text)) {
    if (pattern.size() > kLongestPattern) {
      throw DataError(format("{}: expected a pattern of at most {} bytes, found {}", where,
                             kLongestPattern, pattern.size()));
    }
    const std::unique_ptr<pcre2_compile_context, decltype(&pcre2_compile_context_free)> context(
        pcre2_compile_context_create(nullptr), &pcre2_compile_context_free);
    pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
    int error = 0;
    PCRE2_SIZE offset = 0;
    code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), options, &error,
                         &offset, context.get());
    if (code == nullptr) {
      throw DataError(
          format("{}: expected a regular expression: {} (at byte {})", where, message_of(error), offset));
    }
    fast = pcre2_jit_compile(code, PCRE2_JIT_COMPLETE) == 0;
  }
  ~Code() { pcre2_code_free(code); }
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;

  std::string where;
  pcre2_code* code = nullptr;
  bool fast = false;  // compiled to machine code
};

struct Pattern::Scratch::Parts {
  std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> found{
      pcre2_match_data_create(1, nullptr), &pcre2_match_data_free};
  std::unique_ptr<pcre2_match_context, decltype(&pcre2_match_context_free)> context{
      pcre2_match_context_create(nullptr), &pcre2_match_context_free};
  std::unique_ptr<pcre2_jit_stack, decltype(&pcre2_jit_stack_free)> stack{
      pcre2_jit_stack_create(32 * 1024, kLargestStack, nullptr), &pcre2_jit_stack_free};
};

Pattern::Scratch::Scratch() : parts_(std::make_unique<Parts>()) {
  if (!parts_->found || !parts_->context) throw std::bad_alloc();
  pcre2_jit_stack_assign(parts_->context.get(), nullptr, parts_->stack.get());
}
Pattern::Scratch::~Scratch() = default;

Pattern Pattern::regex(std::string_view pattern, const std::string& where) {
  if (pattern.size() > kLongestPattern) {
    throw DataError(format("{}: expected a pattern of at most {} bytes, found {}", where,
                           kLongestPattern, pattern.size()));
  }
  return Pattern(std::make_shared<Code>(to_pcre2(pattern, where), kOptions, where));
}

Pattern Pattern::literal(std::string_view text, const std::string& where) {
  return Pattern(std::make_shared<Code>(text, PCRE2_UTF | PCRE2_LITERAL, where));
}

std::optional<Pattern::Match> Pattern::find(std::string_view subject, std::size_t from,
                                            Scratch& scratch) const {
  const auto* text = reinterpret_cast<PCRE2_SPTR>(subject.data());
  auto* found = scratch.parts_->found.get();
  auto* context = scratch.parts_->context.get();
  int count = PCRE2_ERROR_JIT_STACKLIMIT;
  if (code_->fast) {
    count = pcre2_jit_match(code_->code, text, subject.size(), from, 0, found, context);
  }
  if (count == PCRE2_ERROR_JIT_STACKLIMIT) {
    count = pcre2_match(code_->code, text, subject.size(), from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, found,
                        context);
  }
  if (count == PCRE2_ERROR_NOMATCH) return std::nullopt;
  if (count < 0) {
    throw DataError(format("{}: the pattern cannot be matched on a text of {} bytes: {}", code_->where,
                           subject.size(), message_of(count)));
  }
  const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(found);
  return Match{offsets[0], offsets[1]};
}

}  // namespace moe::data::bpe
