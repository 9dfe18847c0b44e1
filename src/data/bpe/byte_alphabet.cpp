#include "data/bpe/byte_alphabet.h"

#include <array>

#include "data/utf8.h"

namespace moe::data::bpe {
namespace {

constexpr char32_t kShifted = 256;   // what stands for the first byte that is not printable
constexpr char32_t kCharacters = kShifted + 68;

constexpr bool stands_for_itself(int byte) {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

struct Tables {
  std::array<char32_t, 256> character{};
  std::array<std::int16_t, kCharacters> byte{};
};

constexpr Tables kTables = [] {
  Tables tables;
  tables.byte.fill(-1);
  char32_t next = kShifted;
  for (int byte = 0; byte < 256; ++byte) {
    const char32_t character = stands_for_itself(byte) ? static_cast<char32_t>(byte) : next++;
    tables.character[static_cast<std::size_t>(byte)] = character;
    tables.byte[character] = static_cast<std::int16_t>(byte);
  }
  return tables;
}();

}  // namespace

int byte_of_character(char32_t code) { return code < kCharacters ? kTables.byte[code] : -1; }

std::optional<std::string> bytes_of_entry(std::string_view entry) {
  std::string bytes;
  for (std::size_t at = 0; at < entry.size();) {
    const Utf8Char found = utf8_at(entry, at);
    const int byte = found.valid ? byte_of_character(found.code) : -1;
    if (byte < 0) return std::nullopt;
    bytes += static_cast<char>(byte);
    at += found.size;
  }
  return bytes;
}

std::string entry_of_bytes(std::string_view bytes) {
  std::string entry;
  for (const char byte : bytes) {
    append_utf8(kTables.character[static_cast<unsigned char>(byte)], entry);
  }
  return entry;
}

}  // namespace moe::data::bpe
