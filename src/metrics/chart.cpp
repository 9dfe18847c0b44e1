#include "metrics/chart.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

#include "base/check.h"
#include "base/format.h"
#include "metrics/escape.h"

namespace moe::metrics {
namespace {

constexpr std::array<const char*, 6> kPalette{"#2563eb", "#ea580c", "#059669",
                                              "#9333ea", "#ca8a04", "#475569"};
constexpr const char* kInk = "#1f2937";
constexpr const char* kFaintInk = "#6b7280";
constexpr const char* kGrid = "#e5e7eb";

/// From a value to a pixel.
struct Axis {
  double low = 0;
  double high = 1;
  double first_pixel = 0;
  double last_pixel = 1;
  bool log = false;

  bool shows(double value) const { return std::isfinite(value) && (!log || value > 0); }
  double at(double value) const {
    const double share = log ? std::log(value / low) / std::log(high / low)
                             : (value - low) / (high - low);
    return first_pixel + share * (last_pixel - first_pixel);
  }
};

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

struct Frame {
  double left, top, right, bottom;
};

/// A range of no width gets one, an empty one becomes 0..1 (1..10 on a log axis).
Range widened(Range range, bool log) {
  if (range.low > range.high) return log ? Range{1, 10} : Range{0, 1};
  if (range.low < range.high) return range;
  if (log) return {range.low / 2, range.high * 2};
  const double margin = range.low == 0 ? 1 : std::abs(range.low) / 10;
  return {range.low - margin, range.high + margin};
}

Axis make_x_axis(const std::vector<ChartSeries>& series, bool log, const Frame& frame) {
  Axis axis{.first_pixel = frame.left, .last_pixel = frame.right, .log = log};
  Range range;
  for (const ChartSeries& line : series) {
    for (const double x : line.x) {
      if (axis.shows(x)) range.include(x);
    }
  }
  range = widened(range, log);
  axis.low = range.low;
  axis.high = range.high;
  return axis;
}

Axis make_y_axis(const std::vector<ChartSeries>& series, const Axis& x_axis, const Frame& frame) {
  Axis axis{.first_pixel = frame.bottom, .last_pixel = frame.top};
  Range range;
  for (const ChartSeries& line : series) {
    for (std::size_t i = 0; i < line.y.size(); ++i) {
      if (x_axis.shows(line.x[i]) && axis.shows(line.y[i])) range.include(line.y[i]);
    }
  }
  range = widened(range, false);
  const double margin = 0.04 * (range.high - range.low);
  axis.low = range.low - margin;
  axis.high = range.high + margin;
  return axis;
}

// ---- ticks ----

std::vector<double> log_ticks(const Axis& axis) {
  const bool few = axis.high / axis.low < 200;
  std::vector<double> ticks;
  for (int power = static_cast<int>(std::floor(std::log10(axis.low)));
       power <= static_cast<int>(std::ceil(std::log10(axis.high))); ++power) {
    for (const int digit : {1, 2, 5}) {
      const double value = digit * std::pow(10.0, power);
      if (value < axis.low || value > axis.high || (!few && digit != 1)) continue;
      ticks.push_back(value);
    }
  }
  return ticks;
}

std::vector<double> ticks_of(const Axis& axis, int wanted) {
  return axis.log ? log_ticks(axis) : chart_ticks(axis.low, axis.high, wanted);
}

/// "12.5 M": one unit for values of this size, as many decimals as `step` needs.
std::string tick_label(double value, double largest, double step) {
  double unit = 1;
  const char* suffix = "";
  for (const auto& [size, name] : {std::pair{1e9, " B"}, {1e6, " M"}, {1e4, " K"}}) {
    if (largest >= size) {
      unit = size == 1e4 ? 1e3 : size;
      suffix = name;
      break;
    }
  }
  if (value == 0) return "0";
  const int decimals =
      std::clamp(static_cast<int>(std::ceil(-std::log10(step / unit) - 1e-9)), 0, 9);
  return format("{:.{}f}{}", value / unit, decimals, suffix);
}

std::vector<std::string> labels_of(const Axis& axis, const std::vector<double>& ticks) {
  std::vector<std::string> labels;
  const double largest = std::max(std::abs(axis.low), std::abs(axis.high));
  for (const double tick : ticks) {
    const double step = ticks.size() > 1 ? ticks[1] - ticks[0] : std::abs(tick);
    labels.push_back(axis.log ? tick_label(tick, tick, tick) : tick_label(tick, largest, step));
  }
  return labels;
}

// ---- pieces of the document ----

std::string text_at(double x, double y, const std::string& style, const std::string& text) {
  return format("<text x=\"{:.1f}\" y=\"{:.1f}\" {}>{}</text>\n", x, y, style, xml_text(text));
}

std::string draw_axes(const Axis& x_axis, const Axis& y_axis, const Frame& frame) {
  std::string svg;
  const std::vector<double> y_ticks = ticks_of(y_axis, 6);
  const std::vector<std::string> y_labels = labels_of(y_axis, y_ticks);
  for (std::size_t i = 0; i < y_ticks.size(); ++i) {
    const double y = y_axis.at(y_ticks[i]);
    svg += format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\"/>\n",
                  frame.left, y, frame.right, y, kGrid);
    svg += text_at(frame.left - 9, y + 4, "class=\"tick\" text-anchor=\"end\"", y_labels[i]);
  }
  const std::vector<double> x_ticks = ticks_of(x_axis, 8);
  const std::vector<std::string> x_labels = labels_of(x_axis, x_ticks);
  for (std::size_t i = 0; i < x_ticks.size(); ++i) {
    const double x = x_axis.at(x_ticks[i]);
    svg += format("<line x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{0:.1f}\" y2=\"{2:.1f}\" stroke=\"{3}\"/>\n",
                  x, frame.bottom, frame.bottom + 5, kFaintInk);
    svg += text_at(x, frame.bottom + 20, "class=\"tick\" text-anchor=\"middle\"", x_labels[i]);
  }
  svg += format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\"/>\n",
                frame.left, frame.bottom, frame.right, frame.bottom, kFaintInk);
  return svg;
}

/// The points of one pixel column, of which only the lowest and the highest can be seen.
class ColumnThinner {
 public:
  explicit ColumnThinner(std::string& path) : path_(path) {}

  void point(double x, double y) {
    if (column_ && std::floor(x) != *column_) emit();
    if (!column_) {
      column_ = std::floor(x);
      first_ = low_ = high_ = last_ = {x, y};
    }
    last_ = {x, y};
    if (y < low_.y) low_ = last_;
    if (y > high_.y) high_ = last_;
  }
  void gap() {
    emit();
    pen_down_ = false;
  }

 private:
  struct Point {
    double x, y;
  };
  void emit() {
    if (!column_) return;
    std::array<Point, 4> points{first_, low_, high_, last_};
    if (low_.x > high_.x) std::swap(points[1], points[2]);
    for (std::size_t i = 0; i < points.size(); ++i) {
      const bool repeated =
          i > 0 && points[i].x == points[i - 1].x && points[i].y == points[i - 1].y;
      if (repeated) continue;
      path_ += format("{}{:.1f} {:.1f}", pen_down_ ? "L" : "M", points[i].x, points[i].y);
      pen_down_ = true;
    }
    column_.reset();
  }

  std::string& path_;
  std::optional<double> column_;
  Point first_{}, low_{}, high_{}, last_{};
  bool pen_down_ = false;
};

std::string color_of(const std::vector<ChartSeries>& series, std::size_t index) {
  return series[index].color.empty() ? kPalette[index % kPalette.size()] : series[index].color;
}

std::string draw_series(const ChartSeries& line, const std::string& color, const Axis& x_axis,
                        const Axis& y_axis) {
  MOE_CHECK_EQ(line.x.size(), line.y.size());
  std::string path;
  std::string dots;
  ColumnThinner thinner(path);
  for (std::size_t i = 0; i < line.x.size(); ++i) {
    if (!x_axis.shows(line.x[i]) || !y_axis.shows(line.y[i])) {
      thinner.gap();
      continue;
    }
    const double x = x_axis.at(line.x[i]);
    const double y = y_axis.at(line.y[i]);
    thinner.point(x, y);
    if (line.markers) {
      dots += format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\" fill=\"{}\" stroke=\"#fff\"/>\n",
                     x, y, xml_text(color));
    }
  }
  thinner.gap();
  return format(
             "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\" stroke-opacity=\"{}\" "
             "stroke-linejoin=\"round\" stroke-linecap=\"round\"/>\n",
             path, xml_text(color), line.width, line.opacity) +
         dots;
}

/// One row, right-aligned over the plot; widths are estimated, for want of a font.
std::string draw_legend(const std::vector<ChartSeries>& series, double right, double y) {
  constexpr double kCharacter = 6.9;
  std::string svg;
  for (std::size_t i = series.size(); i-- > 0;) {
    if (series[i].name.empty()) continue;
    right -= kCharacter * static_cast<double>(series[i].name.size());
    svg += text_at(right, y, "class=\"legend\"", series[i].name);
    svg += format(
        "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\" "
        "stroke-width=\"{}\" stroke-opacity=\"{}\" stroke-linecap=\"round\"/>\n",
        right - 28, y - 4, right - 8, y - 4, xml_text(color_of(series, i)),
        std::max(2.0, series[i].width), series[i].opacity);
    right -= 46;
  }
  return svg;
}

std::string document_head(const ChartOptions& options) {
  return format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" "
      "viewBox=\"0 0 {0} {1}\" role=\"img\" font-family=\"system-ui, -apple-system, 'Segoe UI', "
      "Helvetica, Arial, sans-serif\">\n<title>{2}</title>\n<style>\n"
      ".title {{ font-size: 17px; font-weight: 600; fill: {3}; }}\n"
      ".subtitle, .label {{ font-size: 13px; fill: {4}; }}\n"
      ".tick, .legend {{ font-size: 12.5px; fill: {3}; }}\n</style>\n"
      "<rect width=\"{0}\" height=\"{1}\" rx=\"8\" fill=\"#ffffff\"/>\n",
      options.width, options.height, xml_text(options.title), kInk, kFaintInk);
}

}  // namespace

std::vector<double> chart_ticks(double low, double high, int wanted) {
  MOE_CHECK_GE(wanted, 1);
  if (!(low < high) || !std::isfinite(high - low)) return {};
  const double rough = (high - low) / wanted;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  const double digit = rough / power;
  const double step = power * (digit <= 1.5 ? 1 : digit <= 3.5 ? 2 : digit <= 7.5 ? 5 : 10);
  std::vector<double> ticks;
  const double last = std::floor(high / step + 1e-9);
  for (double at = std::ceil(low / step - 1e-9); at <= last; ++at) {
    // `at + 0.0` turns -0 into 0.
    ticks.push_back((at + 0.0) * step);
    if (ticks.size() > 100) break;
  }
  return ticks;
}

std::string line_chart(const std::vector<ChartSeries>& series, const ChartOptions& options) {
  const bool heading = !options.subtitle.empty();
  const Frame frame{76, heading ? 84.0 : 64.0, options.width - 28.0, options.height - 62.0};
  const Axis x_axis = make_x_axis(series, options.log_x, frame);
  const Axis y_axis = make_y_axis(series, x_axis, frame);

  std::string svg = document_head(options);
  svg += text_at(24, 32, "class=\"title\"", options.title);
  if (heading) svg += text_at(24, 53, "class=\"subtitle\"", options.subtitle);
  svg += draw_legend(series, frame.right, frame.top - 12);
  svg += draw_axes(x_axis, y_axis, frame);
  for (std::size_t i = 0; i < series.size(); ++i) {
    svg += draw_series(series[i], color_of(series, i), x_axis, y_axis);
  }
  const double middle = (frame.top + frame.bottom) / 2;
  svg += text_at((frame.left + frame.right) / 2, frame.bottom + 44,
                 "class=\"label\" text-anchor=\"middle\"", options.x_label);
  svg += text_at(22, middle,
                 format("class=\"label\" text-anchor=\"middle\" transform=\"rotate(-90 22 {:.1f})\"",
                        middle),
                 options.y_label);
  return svg + "</svg>\n";
}

}  // namespace moe::metrics
