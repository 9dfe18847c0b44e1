#include "data/bpe/description.h"

#include "data/bpe/json_view.h"
#include "data/bpe/steps_json.h"
#include "data/bpe/vocabulary_json.h"

namespace moe::data::bpe {

std::optional<std::int32_t> Description::find(const std::string& content) const {
  for (const AddedToken& token : added) {
    if (token.content == content) return token.id;
  }
  const auto found = vocabulary.ids.find(content);
  if (found == vocabulary.ids.end()) return std::nullopt;
  return found->second;
}

Description read_description(const std::string& text, const std::string& origin) {
  const nlohmann::json json = parse_json(text, origin);
  const JsonView file = JsonView::of_file(json, origin);
  // Cut off texts, padding and decoding are not the tokenizer's business here.
  file.allow_only({"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
                   "post_processor", "decoder", "model"});
  if (const auto version = file.find("version"); version && version->text() != "1.0") {
    version->fail("\"1.0\"");
  }
  Description description;
  description.nfc = read_normalizer(file.find("normalizer"));
  description.steps = read_pre_tokenizer(file.at("pre_tokenizer"));
  check_post_processor(file.find("post_processor"));
  description.vocabulary = read_model(file.at("model").require_object());
  if (const auto added = file.find("added_tokens")) {
    description.added = read_added_tokens(*added, description.vocabulary);
  }
  return description;
}

}  // namespace moe::data::bpe
