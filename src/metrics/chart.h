/// Line charts as SVG, without any library: a picture of a run, made by the run.
#pragma once

#include <string>
#include <vector>

namespace moe::metrics {

/// One line. Points that are not finite (or not positive on a log axis) break it.
struct ChartSeries {
  std::string name{};  ///< in the legend; "" = not listed
  std::vector<double> x{};
  std::vector<double> y{};  ///< as many as x
  std::string color{};      ///< "" = the next of the palette
  double width = 2;       ///< of the line, in pixels
  double opacity = 1;
  bool markers = false;   ///< a dot at each point
};

struct ChartOptions {
  std::string title{};
  std::string subtitle{};
  std::string x_label{};
  std::string y_label{};
  bool log_x = false;
  int width = 860;
  int height = 460;
};

/// A complete SVG document.
std::string line_chart(const std::vector<ChartSeries>& series, const ChartOptions& options);

/// Round values that cover [low, high] in about `wanted` steps of 1, 2 or 5 times a power of ten.
std::vector<double> chart_ticks(double low, double high, int wanted);

}  // namespace moe::metrics
