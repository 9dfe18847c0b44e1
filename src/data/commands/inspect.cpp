#include "data/commands/inspect.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "base/format.h"
#include "data/token_shard.h"
#include "data/tokenizer.h"

namespace moe::data {
namespace {

using Json = nlohmann::ordered_json;

struct Lengths {
  std::int64_t shortest = 0;
  std::int64_t longest = 0;
};

Lengths document_lengths(const TokenShard& shard) {
  constexpr std::int64_t kTokens = std::int64_t{1} << 20;
  if (shard.documents() == 0) return {};
  Lengths lengths{shard.tokens(), 0};
  const auto count = [&lengths](std::int64_t length) {
    lengths = {std::min(lengths.shortest, length), std::max(lengths.longest, length)};
  };
  std::vector<std::int64_t> begins;
  std::int64_t open = 0;  // where the document not yet counted begins: the first one at 0
  bool first = true;
  for (std::int64_t at = 0; at <= shard.tokens(); at += kTokens) {
    shard.index().document_begins(at, at + kTokens, begins);
    for (const std::int64_t begin : begins) {
      if (!std::exchange(first, false)) count(begin - open);
      open = begin;
    }
  }
  count(shard.tokens() - open);
  return lengths;
}

Json facts_of(const TokenShard& shard) {
  const Lengths lengths = document_lengths(shard);
  Json facts{{"prefix", shard.prefix().string()},
             {"dtype", to_string(shard.type())},
             {"tokens", shard.tokens()},
             {"sequences", shard.sequences()},
             {"documents", shard.documents()},
             {"shortest_document", lengths.shortest},
             {"longest_document", lengths.longest},
             {"index_digest", shard.index_digest()}};
  if (!shard.info()) return facts;
  const ShardInfo& info = *shard.info();
  facts["tokenizer"] = info.tokenizer;
  facts["vocab_size"] = info.vocab_size;
  facts["eod"] = info.eod;
  facts["bytes"] = info.bytes;
  facts["bytes_per_token"] =
      static_cast<double>(info.bytes) / static_cast<double>(std::max<std::int64_t>(1, info.tokens));
  return facts;
}

/// Control characters as escapes, so that a shard cannot write to the terminal.
std::string printable(const std::string& text) {
  std::string line;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      line += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      line += format("\\x{:02x}", static_cast<unsigned>(byte));
    } else {
      line += c;
    }
  }
  return line;
}

std::string first_documents(const TokenShard& shard, std::int64_t count) {
  constexpr std::int64_t kShown = 64;
  const auto tokenizer = shard.info() ? load_tokenizer(shard.prefix().string()) : nullptr;
  std::string text;
  for (std::int64_t d = 0; d < std::min(count, shard.documents()); ++d) {
    const std::int64_t begin = shard.index().document_begin(d);
    const std::int64_t length = shard.index().document_begin(d + 1) - begin;
    std::vector<std::int32_t> tokens(static_cast<std::size_t>(std::min(length, kShown)));
    shard.read(begin, tokens);
    text += format("document {} ({} tokens): ", d, with_thousands(length));
    text += tokenizer ? printable(tokenizer->decode(tokens)) : format("{}", fmt::join(tokens, " "));
    text += length > kShown ? " ...\n" : "\n";
  }
  return text;
}

}  // namespace

std::string inspect_report(const Path& prefix, bool json, std::int64_t documents) {
  const TokenShard shard(prefix);
  const Json facts = facts_of(shard);
  if (json) return facts.dump(2) + "\n";
  std::string text;
  for (const auto& [key, value] : facts.items()) {
    text += format("{:<18} {}\n", key,
                   value.is_number_integer() ? with_thousands(value.get<std::int64_t>())
                   : value.is_string()       ? value.get<std::string>()
                                             : format("{:.3f}", value.get<double>()));
  }
  if (!shard.info()) text += "no .json file beside it: tokenizer, vocabulary and bytes are not known\n";
  return text + first_documents(shard, documents);
}

std::string verify_report(const Path& prefix, bool json, std::int64_t vocab_size) {
  const ShardVerdict verdict = verify_shard(prefix, vocab_size);
  if (json) {
    return Json{{"prefix", prefix.string()},
                {"valid", true},
                {"tokens", verdict.tokens},
                {"documents", verdict.documents},
                {"largest_token", verdict.largest_token},
                {"digests_checked", verdict.digests_checked},
                {"tokens_checked", verdict.tokens_checked}}
               .dump(2) +
           "\n";
  }
  std::string text = format("{}: valid: {} documents, {} tokens, largest token {}\n", prefix.string(),
                            with_thousands(verdict.documents), with_thousands(verdict.tokens),
                            verdict.largest_token);
  if (!verdict.digests_checked) text += "no .json file beside it: digests were not compared\n";
  if (!verdict.tokens_checked) text += "vocabulary not known: give --vocab-size to check the tokens\n";
  return text;
}

}  // namespace moe::data
