/// The printable characters that stand for bytes in the vocabulary of a byte-level BPE.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace moe::data::bpe {

/// The byte that a character stands for, or -1. Bytes 33-126, 161-172 and 174-255 stand for
/// themselves, the other 68 are U+0100 and up in order.
int byte_of_character(char32_t code);

/// The bytes that a vocabulary entry stands for; nothing when it holds another character (special
/// tokens do).
std::optional<std::string> bytes_of_entry(std::string_view entry);

/// The inverse: how bytes are written in a vocabulary.
std::string entry_of_bytes(std::string_view bytes);

}  // namespace moe::data::bpe
