#include "data/commands/split.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/format.h"
#include "data/byte_source.h"
#include "data/pending_file.h"
#include "data/text_reader.h"
#include "data/utf8.h"

namespace moe::data {
namespace {

constexpr std::int64_t kWindow = std::int64_t{1} << 20;
constexpr std::size_t kBlock = std::size_t{1} << 18;

/// Reads exactly `count` bytes, or up to the end.
template <class Consume>
std::int64_t pass(ByteSource& source, std::int64_t count, const Consume& consume) {
  std::vector<char> block(kBlock);
  std::int64_t done = 0;
  while (done < count) {
    const auto room = static_cast<std::size_t>(
        std::min<std::int64_t>(count - done, static_cast<std::int64_t>(block.size())));
    const std::size_t got = source.read(std::span(block).first(room));
    if (got == 0) break;
    consume(std::string_view(block.data(), got));
    done += static_cast<std::int64_t>(got);
  }
  return done;
}

std::int64_t text_size(const Path& path) {
  const auto source = open_bytes(path);
  return pass(*source, INT64_MAX, [](std::string_view) {});
}

/// Where to cut in the bytes before the wanted cut.
std::size_t cut_in(const Path& path, std::string_view window, bool from_start, bool lines_only) {
  const std::size_t line_end = window.rfind('\n');
  if (line_end != std::string_view::npos) return line_end + 1;
  if (from_start && lines_only) return 0;
  if (lines_only) {
    throw DataError(format("{}: expected JSONL lines of at most {}, found a longer one at the cut",
                           path.string(), human_bytes(static_cast<double>(kWindow))));
  }
  return window.size() - utf8_open_tail(window);
}

void split_one(const Path& path, std::int64_t wanted, bool lines_only, PendingFile& train,
               PendingFile& held_out) {
  const auto source = open_bytes(path);
  const std::int64_t before = std::max<std::int64_t>(0, wanted - kWindow);
  pass(*source, before, [&](std::string_view text) { train.write(text); });
  std::string window;
  pass(*source, wanted - before, [&](std::string_view text) { window += text; });
  const std::size_t cut = cut_in(path, window, before == 0, lines_only);
  train.write(std::string_view(window).substr(0, cut));
  held_out.write(std::string_view(window).substr(cut));
  pass(*source, INT64_MAX, [&](std::string_view text) { held_out.write(text); });
}

bool all_jsonl(const std::vector<Path>& files) {
  const auto jsonl = [](const Path& path) { return reads_as_jsonl(path, TextFormat::Auto); };
  const auto count = std::count_if(files.begin(), files.end(), jsonl);
  if (count != 0 && count != static_cast<std::ptrdiff_t>(files.size())) {
    throw DataError("expected text files or JSONL files, found both; split them apart");
  }
  return count != 0;
}

double fraction_for(const SplitOptions& options, std::int64_t total) {
  const double needed = static_cast<double>(options.min_bytes) / static_cast<double>(total);
  if (total == 0 || needed > 0.5) {
    throw DataError(format(
        "{}: expected at least {} bytes of text, twice --min-bytes, found {}; give more text or a "
        "smaller --min-bytes",
        fmt::join(options.inputs, ", "), 2 * options.min_bytes, total));
  }
  return std::max(options.fraction, needed);
}

}  // namespace

SplitResult split_text(const SplitOptions& options) {
  const std::vector<Path> files = list_inputs(options.inputs);
  const bool jsonl = all_jsonl(files);
  for (const Path& output : {options.train, options.held_out}) {
    if (jsonl == reads_as_jsonl(output, TextFormat::Auto)) continue;
    throw ConfigError(format("{}: the inputs are {}, and so must be the outputs' names",
                             output.string(), jsonl ? "JSONL (.jsonl)" : "text (not .jsonl)"));
  }
  std::vector<std::int64_t> sizes;
  std::int64_t total = 0;
  for (const Path& file : files) {
    sizes.push_back(text_size(file));
    total += sizes.back();
  }
  const double fraction = fraction_for(options, total);
  PendingFile train(options.train);
  PendingFile held_out(options.held_out);
  for (std::size_t i = 0; i < files.size(); ++i) {
    const double keep = std::floor(static_cast<double>(sizes[i]) * (1 - fraction));
    split_one(files[i], static_cast<std::int64_t>(keep), jsonl, train, held_out);
  }
  const SplitResult result{static_cast<std::int64_t>(files.size()),
                           static_cast<std::int64_t>(train.size()),
                           static_cast<std::int64_t>(held_out.size())};
  train.commit();
  held_out.commit();
  return result;
}

}  // namespace moe::data
