#include "data/bpe/steps_json.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/format.h"

namespace moe::data::bpe {
namespace {

constexpr int kDeepest = 16;        // sequences inside sequences
constexpr std::size_t kMostSteps = 64;

/// Punctuation that the library's step of that name, whose table is of Unicode 8, does not know. (Two characters
/// were punctuation then and are no longer.)
constexpr std::string_view kNoPunctuation =
    "\\x{61D}\\x{9FD}\\x{A76}\\x{C77}\\x{C84}\\x{1B7D}-\\x{1B7E}\\x{2E43}-\\x{2E4F}\\x{2E52}-\\x{2E5D}"
    "\\x{10EAD}\\x{10F55}-\\x{10F59}\\x{10F86}-\\x{10F89}\\x{1144B}-\\x{1144F}\\x{1145A}-\\x{1145B}\\x{1145D}"
    "\\x{11660}-\\x{1166C}\\x{116B9}\\x{1183B}\\x{11944}-\\x{11946}\\x{119E2}\\x{11A3F}-\\x{11A46}"
    "\\x{11A9A}-\\x{11A9C}\\x{11A9E}-\\x{11AA2}\\x{11C41}-\\x{11C45}\\x{11C70}-\\x{11C71}\\x{11EF7}-\\x{11EF8}"
    "\\x{11FFF}\\x{12FF1}-\\x{12FF2}\\x{16E97}-\\x{16E9A}\\x{16FE2}\\x{1E95E}-\\x{1E95F}";

void check_depth(const JsonView& at, int depth) {
  if (depth > kDeepest) at.fail(format("at most {} sequences inside each other", kDeepest));
}

bool nfc_of(const JsonView& normalizer, int depth) {
  check_depth(normalizer, depth);
  const std::string type = normalizer.text("type");
  if (type == "NFC") return true;
  if (type != "Sequence") {
    normalizer.at("type").fail("\"NFC\", a \"Sequence\" of it, or no normalizer (others change or lose text)");
  }
  const JsonView list = normalizer.at("normalizers").require_array();
  bool nfc = false;
  for (std::size_t i = 0; i < list.json().size(); ++i) nfc = nfc_of(list.at(i), depth + 1) || nfc;
  return nfc;
}

class StepsReader {
 public:
  PreTokenizer::Steps run(const JsonView& pre_tokenizer) {
    if (!pre_tokenizer.is_null()) read(pre_tokenizer, 0);
    if (!ended_) {
      pre_tokenizer.fail("\"ByteLevel\" as the last step: only byte-level BPE is supported (SentencePiece's own models "
                         "come as tokenizer.model)");
    }
    return std::move(steps_);
  }

 private:
  void read(const JsonView& step, int depth) {
    check_depth(step, depth);
    if (ended_) step.fail("no step after ByteLevel");
    if (steps_.splits.size() >= kMostSteps) step.fail(format("at most {} steps", kMostSteps));
    const std::string type = step.text("type");
    if (type == "Sequence") {
      read_sequence(step, depth);
    } else if (type == "ByteLevel") {
      read_byte_level(step);
    } else if (type == "Split") {
      read_split(step);
    } else if (type == "Digits") {
      read_digits(step);
    } else if (type == "Punctuation") {
      read_punctuation(step);
    } else {
      step.at("type").fail("\"Sequence\", \"Split\", \"Digits\", \"Punctuation\" or \"ByteLevel\"");
    }
  }

  void read_sequence(const JsonView& step, int depth) {
    step.allow_only({"type", "pretokenizers"});
    const JsonView list = step.at("pretokenizers").require_array();
    for (std::size_t i = 0; i < list.json().size(); ++i) read(list.at(i), depth + 1);
  }

  void read_byte_level(const JsonView& step) {
    step.allow_only({"type", "add_prefix_space", "trim_offsets", "use_regex"});
    ended_ = true;
    steps_.prefix_space = step.boolean("add_prefix_space", true);
    steps_.before_prefix = steps_.splits.size();
    if (!step.boolean("use_regex", true)) return;
    add_regex(byte_level_pattern(), step.where(), SplitBehavior::Isolated);
  }

  void add_regex(std::string_view regex, const std::string& where, SplitBehavior behavior,
                 bool invert = false) {
    const bool isolated = behavior == SplitBehavior::Isolated;
    steps_.splits.push_back({Pattern::regex(regex, where), behavior, invert,
                             isolated ? cut_facts_of(regex) : CutFacts{}});
  }

  void read_split(const JsonView& step) {
    step.allow_only({"type", "pattern", "behavior", "invert"});
    const bool invert = step.boolean("invert", false);
    const JsonView pattern = step.at("pattern").require_object();
    const auto regex = pattern.find("Regex");
    const bool covers = regex && invert && cut_facts_of(regex->text()).covers;
    const SplitBehavior behavior = behavior_of(step.at("behavior"), covers);
    if (regex) {
      add_regex(regex->text(), regex->where(), behavior, invert);
    } else {
      const JsonView text = pattern.at("String");
      if (text.text().empty()) return;  // matches nothing
      steps_.splits.push_back({Pattern::literal(text.text(), text.where()), behavior, invert, {}});
    }
  }

  /// `covers`: there is nothing that Removed could remove.
  static SplitBehavior behavior_of(const JsonView& name, bool covers) {
    const std::string text = name.text();
    if (text == "Isolated" || (text == "Removed" && covers)) return SplitBehavior::Isolated;
    if (text == "MergedWithPrevious") return SplitBehavior::MergedWithPrevious;
    if (text == "MergedWithNext") return SplitBehavior::MergedWithNext;
    if (text == "Contiguous") return SplitBehavior::Contiguous;
    name.fail("\"Isolated\", \"MergedWithPrevious\", \"MergedWithNext\" or \"Contiguous\" (\"Removed\" loses text)");
  }

  void read_digits(const JsonView& step) {
    step.allow_only({"type", "individual_digits"});
    const bool each = step.boolean("individual_digits", false);
    add_regex(each ? "\\p{N}" : "\\p{N}+", step.where(), SplitBehavior::Isolated);
  }

  void read_punctuation(const JsonView& step) {
    step.allow_only({"type", "behavior"});
    const auto behavior = step.find("behavior");
    add_regex(format("(?![{}])[!-/:-@\\[-`{{-~\\p{{P}}\\x{{166D}}\\x{{111C9}}]", kNoPunctuation), step.where(),
              behavior ? behavior_of(*behavior, false) : SplitBehavior::Isolated);
  }

  PreTokenizer::Steps steps_;
  bool ended_ = false;
};

void check_processor(const JsonView& processor, int depth) {
  check_depth(processor, depth);
  static constexpr std::array<std::string_view, 4> kKnown{"ByteLevel", "TemplateProcessing",
                                                          "RobertaProcessing", "BertProcessing"};
  const JsonView type = processor.at("type");
  if (type.text() == "Sequence") {
    const JsonView list = processor.at("processors").require_array();
    for (std::size_t i = 0; i < list.json().size(); ++i) check_processor(list.at(i), depth + 1);
  } else if (std::find(kKnown.begin(), kKnown.end(), type.text()) == kKnown.end()) {
    type.fail("\"ByteLevel\", \"TemplateProcessing\", \"RobertaProcessing\", \"BertProcessing\" or \"Sequence\"");
  }
}

}  // namespace

bool read_normalizer(const std::optional<JsonView>& normalizer) {
  return normalizer && nfc_of(*normalizer, 0);
}

PreTokenizer::Steps read_pre_tokenizer(const JsonView& pre_tokenizer) {
  return StepsReader().run(pre_tokenizer);
}

void check_post_processor(const std::optional<JsonView>& post_processor) {
  if (post_processor) check_processor(*post_processor, 0);
}

}  // namespace moe::data::bpe
