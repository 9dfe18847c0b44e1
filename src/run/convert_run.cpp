#include "run/convert_run.h"

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/format.h"
#include "base/progress.h"
#include "run/pending_folder.h"

namespace moe::run {
namespace {

using Json = nlohmann::ordered_json;

StoredModel open_source(const ConvertOptions& options) {
  std::optional<ProgressBar> bar;
  OpenModelOptions open{.follow_links = options.follow_links};
  open.progress = [&](std::int64_t done, std::int64_t total) {
    if (!options.write.progress) return;
    if (!bar) bar.emplace("verify", total, ProgressUnit::Bytes);
    bar->update(done);
  };
  StoredModel source = open_model(options.source, open);
  if (bar) bar->finish();
  if (source.has_weights) return source;
  throw CheckpointError(format("{}: expected weights, model.safetensors or "
                               "model.safetensors.index.json; found none (other formats are not read)",
                               options.source.string()));
}

Json origin(const StoredModel& source) {
  Json told{{"program", "moe-convert"},
            {"source", std::filesystem::absolute(source.path).string()},
            {"format", to_string(source.format)}};
  if (source.format == ModelFormat::Native) told["step"] = source.step;
  if (source.architecture) told["architecture"] = interop::to_string(*source.architecture);
  return told;
}

ModelToWrite to_write(const StoredModel& source) {
  ModelToWrite model{.model = source.model,
                     .files = source.files,
                     .architecture = source.architecture,
                     .run = source.run,
                     .states = {},
                     .reports = {}};
  model.states["origin"] = origin(source).dump();
  return model;
}

std::string as_json(const StoredModel& source, const WrittenModel& written,
                    const WriteModelOptions& options) {
  Json told{{"source", source.path.string()},
            {"from", to_string(source.format)},
            {"output", written.path.string()},
            {"to", to_string(options.format)},
            {"tensors", written.tensors},
            {"bytes", written.bytes},
            {"dtype", to_string(options.dtype.value_or(dominant_dtype(*source.model.weights)))},
            {"seconds", written.seconds}};
  if (written.architecture) told["architecture"] = interop::to_string(*written.architecture);
  return told.dump(2) + "\n";
}

std::string as_text(const WrittenModel& written, const WriteModelOptions& options) {
  const double bytes = static_cast<double>(written.bytes);
  return format("{}: {} of {} tensors{} in {} ({}/s)\n", written.path.string(), human_bytes(bytes),
                with_thousands(written.tensors),
                options.format == ModelFormat::Native
                    ? ""
                    : format(", {}", interop::to_string(*written.architecture)),
                human_duration(written.seconds),
                human_bytes(bytes / std::max(written.seconds, 1e-9)));
}

/// Bytes of a unit's name, 0 for none that is known.
double unit_bytes(std::string_view unit) {
  constexpr std::pair<std::string_view, double> kUnits[] = {
      {"", 1},       {"B", 1},       {"KB", 1e3},      {"MB", 1e6},
      {"GB", 1e9},   {"TB", 1e12},   {"KiB", 0x1p10},  {"MiB", 0x1p20},
      {"GiB", 0x1p30}, {"TiB", 0x1p40}};
  for (const auto& [name, bytes] : kUnits) {
    if (unit == name) return bytes;
  }
  return 0;
}

}  // namespace

std::string convert_model(const ConvertOptions& options) {
  require_free(options.write.output);
  const StoredModel source = open_source(options);
  if (options.before_writing) options.before_writing();
  const WrittenModel written = write_model(to_write(source), options.write);
  return options.json ? as_json(source, written, options.write) : as_text(written, options.write);
}

std::int64_t parse_size(const std::string& text) {
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  std::string_view unit(rest, static_cast<std::size_t>(end - rest));
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  const double bytes = error == std::errc{} ? std::floor(number * unit_bytes(unit)) : 0;
  if (bytes >= 1 && bytes < 0x1p62) return static_cast<std::int64_t>(bytes);
  throw ConfigError(format("expected a size like 5GB, 500MiB or 1000000 (bytes), found '{}'", text));
}

}  // namespace moe::run
