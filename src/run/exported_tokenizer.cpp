#include "run/exported_tokenizer.h"

#include <nlohmann/json.hpp>

namespace moe::run {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kBytes = 256;
constexpr const char* kEndOfDocument = "<|endoftext|>";

void append_utf8(int code, std::string& text) {
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else {
    text += static_cast<char>(0xc0 | code >> 6);
    text += static_cast<char>(0x80 | (code & 0x3f));
  }
}

/// How byte-level tokenizers spell a byte: printable ones as they are, the others from U+0100 on.
std::vector<std::string> byte_characters() {
  std::vector<std::string> characters(kBytes);
  int next = 0x100;
  for (int byte = 0; byte < kBytes; ++byte) {
    const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    append_utf8(printable ? byte : next++, characters[static_cast<std::size_t>(byte)]);
  }
  return characters;
}

Json byte_level(bool cuts) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", cuts}};
}

/// A BPE of single bytes without merges.
std::string tokenizer_of_bytes() {
  Json vocabulary = Json::object();
  const auto characters = byte_characters();
  for (int byte = 0; byte < kBytes; ++byte) {
    vocabulary[characters[static_cast<std::size_t>(byte)]] = byte;
  }
  const Json end{{"id", kBytes},      {"content", kEndOfDocument}, {"single_word", false},
                 {"lstrip", false},   {"rstrip", false},           {"normalized", false},
                 {"special", true}};
  const Json model{{"type", "BPE"},
                   {"dropout", nullptr},
                   {"unk_token", nullptr},
                   {"continuing_subword_prefix", nullptr},
                   {"end_of_word_suffix", nullptr},
                   {"fuse_unk", false},
                   {"byte_fallback", false},
                   {"ignore_merges", false},
                   {"vocab", vocabulary},
                   {"merges", Json::array()}};
  return Json{{"version", "1.0"},
              {"truncation", nullptr},
              {"padding", nullptr},
              {"added_tokens", {end}},
              {"normalizer", nullptr},
              {"pre_tokenizer", byte_level(false)},
              {"post_processor", nullptr},
              {"decoder", byte_level(false)},
              {"model", model}}
             .dump(2) +
         "\n";
}

}  // namespace

void add_tokenizer_files(const std::string& name, ModelFiles& files) {
  if (name == "bytes" && !files.contains("tokenizer.json")) {
    files["tokenizer.json"] = tokenizer_of_bytes();
    files.emplace("tokenizer_config.json", Json{{"tokenizer_class", "PreTrainedTokenizerFast"},
                                                {"eos_token", kEndOfDocument},
                                                {"bos_token", kEndOfDocument}}
                                                   .dump(2) +
                                               "\n");
  }
  if (name == "sentencepiece" && !files.contains("tokenizer.json")) {
    // Our models are used without a normaliser; see data/sentencepiece_tokenizer.h.
    files.emplace("tokenizer_config.json", Json{{"tokenizer_class", "LlamaTokenizer"},
                                                {"add_bos_token", false},
                                                {"add_eos_token", false},
                                                {"add_prefix_space", false},
                                                {"legacy", false}}
                                                   .dump(2) +
                                               "\n");
  }
}

}  // namespace moe::run
