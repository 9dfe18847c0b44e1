#include "data/commands/prepare.h"

#include <algorithm>
#include <memory>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/format.h"
#include "base/random.h"
#include "data/byte_source.h"
#include "data/token_shard_writer.h"
#include "data/tokenizer.h"
#include "device/worker_pool.h"

namespace moe::data {
namespace {

constexpr std::size_t kRoundBytes = std::size_t{8} << 20;

/// A part of a document that is encoded by itself.
struct Part {
  std::string text;
  bool ends_document = false;
  std::vector<std::int32_t> ids;
};

/// Cuts documents where the tokenizer allows, so that parts can be encoded side by side.
class PartReader {
 public:
  PartReader(std::vector<Path> files, const ReadOptions& options, const Tokenizer& tokenizer)
      : reader_(read_documents(std::move(files), options)), tokenizer_(tokenizer) {}

  /// About `kRoundBytes` of text, more where it cannot be cut; none at the end.
  std::vector<Part> next_round() {
    std::vector<Part> parts;
    std::size_t bytes = 0;
    TextPiece piece;
    while ((bytes < kRoundBytes || parts.empty()) && reader_->next(piece)) {
      bytes += piece.text.size();
      if (carry_.empty()) {
        carry_ = std::move(piece.text);
      } else {
        carry_ += piece.text;
      }
      if (piece.ends_document) {
        parts.push_back({std::exchange(carry_, {}), true, {}});
        searched_ = 0;
        continue;
      }
      // Where there was no place to cut, twice the text is awaited: all searches together stay linear.
      if (carry_.size() < 2 * searched_) continue;
      const std::size_t cut = tokenizer_.safe_cut(carry_);
      searched_ = cut == 0 ? carry_.size() : 0;
      if (cut == 0) continue;
      std::string rest = carry_.substr(cut);
      carry_.resize(cut);
      parts.push_back({std::exchange(carry_, std::move(rest)), false, {}});
    }
    return parts;
  }
  std::int64_t consumed() const { return reader_->consumed(); }

 private:
  std::unique_ptr<DocumentReader> reader_;
  const Tokenizer& tokenizer_;
  std::string carry_;
  std::size_t searched_ = 0;  // bytes of `carry_` without a place to cut
};

/// One of the shards that are written.
class Output {
 public:
  Output(const Path& prefix, const Tokenizer& tokenizer, bool append_eod)
      : tokenizer_(tokenizer),
        writer_(prefix, tokenizer.vocab_size()),
        eod_(append_eod ? tokenizer.eod_id() : -1) {}

  void add(const Part& part) {
    writer_.append(part.ids);
    bytes_ += static_cast<std::int64_t>(part.text.size());
    open_ = open_ || !part.ids.empty();
    if (!part.ends_document) return;
    if (open_ && eod_ >= 0) writer_.append({&eod_, 1});
    writer_.end_document();
    open_ = false;
  }
  bool empty() const { return writer_.tokens() == 0; }
  std::int64_t tokens() const { return writer_.tokens(); }
  ShardInfo finish() { return writer_.finish(tokenizer_, bytes_, eod_); }

 private:
  const Tokenizer& tokenizer_;
  TokenShardWriter writer_;
  std::int32_t eod_;
  std::int64_t bytes_ = 0;
  bool open_ = false;
};

class Preparation {
 public:
  Preparation(const PrepareOptions& options, const Tokenizer& tokenizer)
      : options_(options),
        held_out_random_(options.seed, "data.held_out"),
        train_(options.output, tokenizer, options.append_eod) {
    if (options.held_out_fraction > 0) {
      held_out_ = std::make_unique<Output>(held_out_prefix(options.output), tokenizer,
                                           options.append_eod);
    }
  }

  void add(const Part& part) {
    const bool held_out =
        held_out_ != nullptr && held_out_random_.uniform(document_) < options_.held_out_fraction;
    (held_out ? *held_out_ : train_).add(part);
    if (part.ends_document) ++document_;
  }

  std::int64_t tokens() const {
    return train_.tokens() + (held_out_ != nullptr ? held_out_->tokens() : 0);
  }

  PrepareResult finish() {
    if (tokens() == 0) {
      throw DataError(format("{}: expected text, found none; no shard was written",
                             fmt::join(options_.inputs, ", ")));
    }
    if (held_out_ != nullptr && (held_out_->empty() || train_.empty())) {
      throw DataError(format(
          "{}: cannot hold out {} of {} documents: one side would be empty; split large documents "
          "(--split-documents), or cut the text itself with moe-data split",
          fmt::join(options_.inputs, ", "), options_.held_out_fraction, document_));
    }
    PrepareResult result;
    if (held_out_ != nullptr) result.held_out = held_out_->finish();
    result.train = train_.finish();
    return result;
  }

 private:
  const PrepareOptions& options_;
  Random held_out_random_;
  Output train_;
  std::unique_ptr<Output> held_out_;
  std::uint64_t document_ = 0;
};

int thread_count(int wanted) {
  if (wanted > 0) return wanted;
  return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

}  // namespace

Path held_out_prefix(const Path& prefix) {
  Path path = prefix;
  path += "_held_out";
  return path;
}

PrepareResult prepare(const PrepareOptions& options, const ProgressOptions& progress) {
  const auto tokenizer = load_tokenizer(options.tokenizer);
  const std::vector<Path> files = list_inputs(options.inputs);
  ProgressBar bar("prepare", total_size(files), ProgressUnit::Bytes, progress);
  PartReader reader(files, options.read, *tokenizer);
  Preparation preparation(options, *tokenizer);
  WorkerPool pool(thread_count(options.threads));
  while (true) {
    std::vector<Part> parts = reader.next_round();
    if (parts.empty()) break;
    pool.parallel_for(static_cast<std::int64_t>(parts.size()), [&](std::int64_t i) {
      Part& part = parts[static_cast<std::size_t>(i)];
      tokenizer->encode(part.text, part.ids);
    });
    for (const Part& part : parts) preparation.add(part);
    bar.update(reader.consumed(), with_thousands(preparation.tokens()) + " tokens");
  }
  PrepareResult result = preparation.finish();
  bar.update(reader.consumed());
  bar.finish(with_thousands(preparation.tokens()) + " tokens");
  return result;
}

}  // namespace moe::data
