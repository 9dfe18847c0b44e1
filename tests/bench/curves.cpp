// Draws the metrics.jsonl of several runs into one picture:
//   curves --out FILE.svg --title T [--x tokens|seconds|steps] [--y eval_loss|loss]
//     --series "MoE 8x2=runs/a/metrics.jsonl,runs/b/metrics.jsonl" --series ... [--rates R ...]
// Several files of a series are its seeds: their mean is drawn thick, each of them thin. --rates are tokens a second, one a
// series: then seconds are tokens at that rate, else those the runs took.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/format.h"
#include "metrics/chart.h"

namespace {

struct Options {
  std::string out;
  std::string title;
  std::string subtitle;
  std::string x = "tokens";
  std::string y = "eval_loss";
  std::vector<std::string> series;
  std::vector<double> rates;
};

struct Point {
  std::int64_t step;
  double x;
  double y;
};
using Curve = std::vector<Point>;

/// Lines without the value (no evaluation that step) are left out; seconds are of training alone, or with a `rate` above 0
/// those of its tokens.
Curve read_curve(const std::string& file, const Options& options, double rate) {
  std::ifstream in(file);
  if (!in) throw moe::DataError(moe::format("{}: cannot be read", file));
  Curve curve;
  double seconds = 0.0;
  for (std::string text; std::getline(in, text);) {
    const auto line = nlohmann::json::parse(text);
    seconds += line.value("step_seconds", 0.0);
    if (!line.contains(options.y) || line.at(options.y).is_null()) continue;
    const auto tokens = line.at("tokens").get<double>();
    const double x = options.x == "seconds" ? (rate > 0 ? tokens / rate : seconds)
                     : options.x == "steps" ? line.at("step").get<double>()
                                            : tokens;
    curve.push_back({line.at("step").get<std::int64_t>(), x, line.at(options.y).get<double>()});
  }
  return curve;
}

moe::metrics::ChartSeries drawn(const Curve& curve) {
  moe::metrics::ChartSeries series;
  for (const auto& [step, x, y] : curve) {
    series.x.push_back(x);
    series.y.push_back(y);
  }
  return series;
}

/// At the steps where all of them have a point.
Curve mean_of(const std::vector<Curve>& curves) {
  std::map<std::int64_t, std::vector<Point>> at;
  for (const Curve& curve : curves) {
    for (const Point& point : curve) at[point.step].push_back(point);
  }
  Curve mean;
  const auto n = static_cast<double>(curves.size());
  for (const auto& [step, points] : at) {
    if (points.size() < curves.size()) continue;
    Point sum{step, 0.0, 0.0};
    for (const Point& point : points) sum = {step, sum.x + point.x, sum.y + point.y};
    mean.push_back({step, sum.x / n, sum.y / n});
  }
  return mean;
}

void add_series(const std::string& text, const Options& options, std::size_t index,
                std::vector<moe::metrics::ChartSeries>& all) {
  static const char* const kColors[] = {"#1f77b4", "#d62728", "#2ca02c", "#9467bd",
                                        "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f"};
  const std::string color = kColors[index % std::size(kColors)];
  const std::size_t equals = text.rfind('=');
  if (equals == std::string::npos) throw moe::ConfigError("--series: expected NAME=FILE[,FILE...], got " + text);
  std::vector<Curve> curves;
  const double rate = options.rates.empty() ? 0.0 : options.rates[index];
  std::istringstream files(text.substr(equals + 1));
  for (std::string file; std::getline(files, file, ',');) curves.push_back(read_curve(file, options, rate));
  auto mean = drawn(mean_of(curves));
  mean.name = text.substr(0, equals);
  mean.color = color;
  all.push_back(std::move(mean));
  for (const Curve& curve : curves) {
    if (curves.size() < 2) break;
    auto seed = drawn(curve);
    seed.color = color;
    seed.width = 1;
    seed.opacity = 0.35;
    all.push_back(std::move(seed));
  }
}

std::string label_of(const std::string& name) {
  static const std::map<std::string, std::string> kLabels = {
      {"tokens", "training tokens"},        {"seconds", "seconds of training"},
      {"steps", "steps"},                   {"eval_loss", "held-out loss, nats per token"},
      {"loss", "training loss, nats per token"}};
  const auto found = kLabels.find(name);
  return found == kLabels.end() ? name : found->second;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Several runs' metrics.jsonl in one picture.");
  app.add_option("--out", options.out, "the SVG to write")->required();
  app.add_option("--title", options.title);
  app.add_option("--subtitle", options.subtitle);
  app.add_option("--x", options.x)->check(CLI::IsMember({"tokens", "seconds", "steps"}));
  app.add_option("--y", options.y, "a key of metrics.jsonl");
  app.add_option("--series", options.series, "NAME=FILE[,FILE...]")->required();
  app.add_option("--rates", options.rates, "tokens a second, one a series");
  CLI11_PARSE(app, argc, argv);
  if (!options.rates.empty() && options.rates.size() != options.series.size()) {
    std::fprintf(stderr, "curves: expected one of --rates for each of %zu series, found %zu\n", options.series.size(),
                 options.rates.size());
    return 64;
  }
  try {
    std::vector<moe::metrics::ChartSeries> all;
    for (std::size_t i = 0; i < options.series.size(); ++i) {
      add_series(options.series[i], options, i, all);
    }
    moe::write_file_atomically(
        options.out, moe::metrics::line_chart(all, {.title = options.title,
                                                    .subtitle = options.subtitle,
                                                    .x_label = label_of(options.x),
                                                    .y_label = label_of(options.y)}));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "curves: %s\n", error.what());
    return 66;
  }
  return 0;
}
