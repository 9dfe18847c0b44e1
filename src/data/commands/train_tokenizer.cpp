#include "data/commands/train_tokenizer.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/format.h"
#include "base/log.h"
#include "base/random.h"
#include "data/byte_source.h"
#include "data/pending_file.h"
#include "data/tokenizer.h"

namespace moe::data {
namespace {

constexpr std::size_t kBlockBytes = 2048;
constexpr std::size_t kLongestBlock = 8192;
constexpr std::int64_t kSmallestSample = 100'000;

/// A fair sample of blocks of bounded number (reservoir sampling).
class BlockSampler {
 public:
  BlockSampler(std::int64_t bytes, std::uint64_t seed)
      : capacity_(static_cast<std::size_t>(bytes) / kBlockBytes + 1),
        random_(seed, "data.tokenizer.sample") {}

  void add(std::string block) {
    if (blocks_.size() < capacity_) {
      blocks_.push_back(std::move(block));
    } else if (const std::uint64_t at = random_.below(seen_ + 1, seen_); at < capacity_) {
      blocks_[at] = std::move(block);
    }
    ++seen_;
  }
  std::vector<std::string> take() { return std::move(blocks_); }

 private:
  std::size_t capacity_;
  Random random_;
  std::vector<std::string> blocks_;
  std::uint64_t seen_ = 0;
};

/// Cuts text into blocks of some lines.
class BlockCutter {
 public:
  explicit BlockCutter(BlockSampler& sampler) : sampler_(sampler) {}

  void add(const TextPiece& piece) {
    carry_ += piece.text;
    std::size_t begin = 0;
    while (carry_.size() - begin >= kLongestBlock) {
      const std::size_t line_end = carry_.find('\n', begin + kBlockBytes);
      const std::size_t size = std::min(kLongestBlock, line_end == std::string::npos
                                                           ? kLongestBlock
                                                           : line_end + 1 - begin);
      sampler_.add(carry_.substr(begin, size));
      begin += size;
    }
    carry_.erase(0, begin);
    if (piece.ends_document && !carry_.empty()) sampler_.add(std::exchange(carry_, {}));
  }

 private:
  BlockSampler& sampler_;
  std::string carry_;
};

std::int64_t total_bytes(const std::vector<std::string>& blocks) {
  std::int64_t bytes = 0;
  for (const std::string& block : blocks) bytes += static_cast<std::int64_t>(block.size());
  return bytes;
}

std::vector<std::string> sample_text(const TrainTokenizerOptions& options,
                                     const ProgressOptions& progress, std::int64_t& text_bytes) {
  const std::vector<Path> files = list_inputs(options.inputs);
  ProgressBar bar("read", total_size(files), ProgressUnit::Bytes, progress);
  BlockSampler sampler(options.sample_bytes, options.seed);
  BlockCutter cutter(sampler);
  const auto reader = read_documents(files, options.read);
  TextPiece piece;
  while (reader->next(piece)) {
    text_bytes += static_cast<std::int64_t>(piece.text.size());
    cutter.add(piece);
    bar.update(reader->consumed());
  }
  bar.update(reader->consumed());
  bar.finish();
  return sampler.take();
}

}  // namespace

TrainTokenizerResult train_tokenizer(const TrainTokenizerOptions& options,
                                     const ProgressOptions& progress) {
  const Stopwatch watch;
  if (options.sample_bytes < kSmallestSample) {
    throw ConfigError(format("--sample-bytes: expected at least {}, found {}", kSmallestSample,
                             options.sample_bytes));
  }
  TrainTokenizerResult result;
  const std::vector<std::string> blocks = sample_text(options, progress, result.text_bytes);
  result.sample_bytes = total_bytes(blocks);
  log_info(format("training {} pieces ({}) on {} of {}", options.training.vocab_size,
                  options.training.model_type,
                  human_bytes(static_cast<double>(result.sample_bytes)),
                  human_bytes(static_cast<double>(result.text_bytes))));
  const std::string model = train_sentencepiece(blocks, options.training);
  // A model that cannot be loaded must not be written.
  const auto tokenizer = make_tokenizer("sentencepiece", model, options.output.string());
  std::vector<std::int32_t> ids;
  std::int64_t measured = 0;
  for (std::size_t i = 0; i < blocks.size(); i += 1 + blocks.size() / 512) {
    tokenizer->encode(blocks[i], ids);
    measured += static_cast<std::int64_t>(blocks[i].size());
  }
  result.bytes_per_token = static_cast<double>(measured) / static_cast<double>(ids.size());
  create_folder_of(options.output);
  write_file_atomically(options.output, model);
  result.seconds = watch.seconds();
  return result;
}

}  // namespace moe::data
