/// moe-data: text to token shards, tokenizers, and what they hold.
#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>

#include "base/error.h"
#include "base/format.h"
#include "data/commands/inspect.h"
#include "data/commands/prepare.h"
#include "data/commands/split.h"
#include "data/commands/train_tokenizer.h"
#include "run/unigram.h"

namespace moe::data {
namespace {

constexpr int kExitUsage = 64;
constexpr int kExitUnexpected = 70;

/// Options that say how text is read, shared by the commands that read it.
struct ReadFlags {
  std::string format = "auto";
  std::string split = "none";
  std::string json_key = "text";

  void add_to(CLI::App& app) {
    app.add_option("--format", format, "auto (.jsonl and .ndjson are JSONL), text or jsonl")
        ->check(CLI::IsMember({"auto", "text", "jsonl"}))
        ->capture_default_str();
    app.add_option("--split-documents", split,
                   "what a document is in a text file: none (the file), blank-lines or lines")
        ->check(CLI::IsMember({"none", "blank-lines", "lines"}))
        ->capture_default_str();
    app.add_option("--json-key", json_key, "key of the text in JSONL")->capture_default_str();
  }
  ReadOptions options() const {
    return {parse_text_format(format), parse_document_split(split), json_key};
  }
};

constexpr const char* kInputHelp =
    "files (also .gz, .zst) and folders (all files below, sorted, without hidden ones)";

void add_prepare(CLI::App& program) {
  auto options = std::make_shared<PrepareOptions>();
  auto flags = std::make_shared<ReadFlags>();
  auto output = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  auto no_eod = std::make_shared<bool>(false);
  CLI::App* app = program.add_subcommand("prepare", "turn text into the token shard PREFIX.bin/.idx");
  app->add_option("--input", options->inputs, kInputHelp)->required();
  app->add_option("--tokenizer", options->tokenizer,
                  "bytes, or a tokenizer.json, a SentencePiece .model, or a folder that holds one")
      ->required();
  app->add_option("--output", *output, "PREFIX of the files to write")->required();
  flags->add_to(*app);
  app->add_option("--held-out-fraction", options->held_out_fraction,
                  "share of the documents that goes to PREFIX_held_out")
      ->check(CLI::Range(0.0, 0.9))
      ->capture_default_str();
  app->add_option("--seed", options->seed, "chooses the held-out documents")->capture_default_str();
  app->add_flag("--no-eod", *no_eod, "append no end-of-document token");
  app->add_option("--threads", options->threads, "0 = one per core")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app->add_flag("--json", *json, "print what was written as JSON");
  app->callback([=] {
    options->read = flags->options();
    options->output = *output;
    options->append_eod = !*no_eod;
    const PrepareResult result = prepare(*options);
    if (*json) {
      std::cout << to_json(result.train);
      return;
    }
    const auto say = [](const Path& prefix, const ShardInfo& info) {
      std::cout << format("{}: {} documents, {} tokens, {} bytes of text ({:.3f} bytes a token)\n",
                          prefix.string(), with_thousands(info.documents), with_thousands(info.tokens),
                          with_thousands(info.bytes),
                          static_cast<double>(info.bytes) / static_cast<double>(info.tokens));
    };
    say(options->output, result.train);
    if (result.held_out) say(held_out_prefix(options->output), *result.held_out);
  });
}

void add_train_tokenizer(CLI::App& program) {
  auto options = std::make_shared<TrainTokenizerOptions>();
  auto flags = std::make_shared<ReadFlags>();
  auto output = std::make_shared<std::string>();
  CLI::App* app = program.add_subcommand(
      "train-tokenizer", "train a lossless SentencePiece model with byte fallback");
  app->add_option("--input", options->inputs, kInputHelp)->required();
  app->add_option("--vocab-size", options->training.vocab_size,
                  "pieces, with 3 special ones and the 256 bytes")
      ->check(CLI::Range(std::int64_t{300}, std::int64_t{1} << 20))
      ->capture_default_str();
  app->add_option("--output", *output, "the .model file to write")->required();
  flags->add_to(*app);
  app->add_option("--sample-bytes", options->sample_bytes, "train on an even sample of about this size")
      ->capture_default_str();
  app->add_option("--model-type", options->training.model_type, "bpe or unigram")
      ->check(CLI::IsMember({"bpe", "unigram"}))
      ->capture_default_str();
  app->add_option("--split-digits", options->training.split_digits, "make each digit a token")
      ->capture_default_str();
  app->add_option("--character-coverage", options->training.character_coverage,
                  "share of the characters that get pieces; the rest is left to bytes")
      ->check(CLI::Range(0.98, 1.0))
      ->capture_default_str();
  app->add_option("--seed", options->seed, "chooses the sample")->capture_default_str();
  app->callback([=] {
    options->read = flags->options();
    options->output = *output;
    const TrainTokenizerResult result = train_tokenizer(*options);
    std::cout << format("{}: {} pieces, {:.3f} bytes a token, trained on {} bytes in {}\n", *output,
                        options->training.vocab_size, result.bytes_per_token,
                        with_thousands(result.sample_bytes), human_duration(result.seconds));
  });
}

void add_inspect(CLI::App& program) {
  auto prefix = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  auto documents = std::make_shared<std::int64_t>(0);
  CLI::App* app = program.add_subcommand("inspect", "say what a token shard holds");
  app->add_option("PREFIX", *prefix, "of PREFIX.bin and PREFIX.idx")->required();
  app->add_flag("--json", *json, "one JSON object");
  app->add_option("--show", *documents, "show the beginning of the first N documents")
      ->check(CLI::NonNegativeNumber);
  app->callback([=] { std::cout << inspect_report(*prefix, *json, *documents); });
}

void add_verify(CLI::App& program) {
  auto prefix = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  auto vocab_size = std::make_shared<std::int64_t>(0);
  CLI::App* app = program.add_subcommand("verify", "read every byte of a token shard and check it");
  app->add_option("PREFIX", *prefix, "of PREFIX.bin and PREFIX.idx")->required();
  app->add_flag("--json", *json, "one JSON object");
  app->add_option("--vocab-size", *vocab_size, "tokens must be below; default: as PREFIX.json says")
      ->check(CLI::NonNegativeNumber);
  app->callback([=] { std::cout << verify_report(*prefix, *json, *vocab_size); });
}

void add_unigram(CLI::App& program) {
  auto train = std::make_shared<std::string>();
  auto held_out = std::make_shared<std::string>();
  CLI::App* app = program.add_subcommand(
      "unigram", "bits per byte of held-out tokens under the training tokens' frequencies");
  app->add_option("--train", *train, "PREFIX of the training shard")->required();
  app->add_option("--held-out", *held_out, "PREFIX of the held-out shard")->required();
  app->callback(
      [=] { std::cout << format("{:.4f}\n", run::unigram_of_shards(*train, *held_out)); });
}

void add_split(CLI::App& program) {
  auto options = std::make_shared<SplitOptions>();
  auto train = std::make_shared<std::string>();
  auto held_out = std::make_shared<std::string>();
  CLI::App* app = program.add_subcommand("split", "keep the end of every text out of training");
  app->add_option("--input", options->inputs, kInputHelp)->required();
  app->add_option("--train", *train, "file for all beginnings, joined")->required();
  app->add_option("--held-out", *held_out, "file for all ends, joined")->required();
  app->add_option("--fraction", options->fraction, "of each source that is held out")
      ->check(CLI::Range(0.0, 0.5))
      ->capture_default_str();
  app->add_option("--min-bytes", options->min_bytes, "hold out at least this much in all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app->callback([=] {
    options->train = *train;
    options->held_out = *held_out;
    const SplitResult result = split_text(*options);
    std::cout << format("{}: {} bytes\n{}: {} bytes, the end of each of {} sources\n", *train,
                        with_thousands(result.train_bytes), *held_out,
                        with_thousands(result.held_out_bytes), result.sources);
  });
}

int run(int argc, char** argv) {
  CLI::App program("Turns text into token shards, trains tokenizers, inspects and verifies shards.",
                   "moe-data");
  program.set_version_flag("--version", "moe-data " MOE_VERSION);
  program.require_subcommand(1);
  add_prepare(program);
  add_train_tokenizer(program);
  add_inspect(program);
  add_verify(program);
  add_split(program);
  add_unigram(program);
  for (CLI::App* app : program.get_subcommands({})) {
    app->set_version_flag("--version", "moe-data " MOE_VERSION);
  }
  try {
    program.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help, --version
    return program.exit(asked);
  } catch (const CLI::ParseError& error) {
    std::cerr << "error: " << error.what() << "; see moe-data --help\n";
    return kExitUsage;
  }
  return 0;
}

}  // namespace
}  // namespace moe::data

int main(int argc, char** argv) {
  try {
    return moe::data::run(argc, argv);
  } catch (const moe::Error& error) {
    std::cerr << "error: " << error.what() << "\n";
    return error.exit_code();
  } catch (const std::bad_alloc&) {
    std::cerr << "error: out of memory\n";
    return 71;
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return moe::data::kExitUnexpected;
  }
}
