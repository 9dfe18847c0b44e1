#include "metrics/profile.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/format.h"

namespace moe::metrics {
namespace {

/// "gemm gemm" would say the same twice.
std::string title(const char* part, std::string_view family, std::string_view name) {
  const std::string kernel = family == name ? std::string(name) : format("{} {}", family, name);
  return part == nullptr ? kernel : format("{} {}", part, kernel);
}

}  // namespace

void Profile::ended(const Activity& activity) {
  trace_.add_span(activity.name, activity.start, activity.end);
  if (!in_step_ || !warm_) return;
  Sum& sum = sums_[{activity.part, activity.family, activity.name}];
  ++sum.calls;
  sum.seconds += activity.end - activity.start;
  if (std::string_view(activity.name) == "gradient_sum") {
    step_gradient_wait_ += activity.end - activity.start;
  }
}

void Profile::begin_step() {
  in_step_ = true;
  step_gradient_wait_ = 0.0;
}

void Profile::end_step(double seconds, double data_wait_seconds) {
  in_step_ = false;
  if (!std::exchange(warm_, true)) return;
  ++steps_;
  seconds_ += seconds;
  data_wait_seconds_ += data_wait_seconds;
  gradient_waits_.push_back(step_gradient_wait_);
}

std::vector<Profile::Row> Profile::rows() const {
  // Literals of several translation units may have several addresses.
  std::map<std::string, Row> by_title;
  double told = data_wait_seconds_;
  for (const auto& [key, sum] : sums_) {
    Row& row = by_title[title(std::get<0>(key), std::get<1>(key), std::get<2>(key))];
    row.calls += sum.calls;
    row.seconds += sum.seconds;
    told += sum.seconds;
  }
  by_title["wait data"] = {.calls = steps_, .seconds = data_wait_seconds_};
  by_title["other"] = {.calls = steps_, .seconds = std::max(0.0, seconds_ - told)};
  std::vector<Row> rows;
  for (auto& [name, row] : by_title) {
    row.name = name;
    rows.push_back(row);
  }
  std::ranges::stable_sort(rows, std::ranges::greater(), &Row::seconds);
  return rows;
}

std::string Profile::table() const {
  if (steps_ == 0) return "profile: too few steps to tell; the first one only warms up";
  const auto steps = static_cast<double>(steps_);
  std::string text = format("profile: {} steps of {:.1f} ms\n{:>10} {:>7} {:>9}  activity", steps_,
                            1e3 * seconds_ / steps, "ms a step", "share", "calls");
  for (const Row& row : rows()) {
    text += format("\n{:>10.2f} {:>6.1f}% {:>9.1f}  {}", 1e3 * row.seconds / steps, 100.0 * row.seconds / seconds_,
                   static_cast<double>(row.calls) / steps, row.name);
  }
  if (gradient_sum_alone_ > 0.0) {
    const double wait = seconds_a_step("wait gradient_sum");
    text += format("\nwaiting for gradient sums: {:.2f} ms a step; of these the sums' own, which the last rank to come "
                   "waited too: {:.2f} ms, {:.0f} % of the {:.2f} ms they take alone",
                   1e3 * wait, 1e3 * gradient_sum_exposed_,
                   100.0 * gradient_sum_exposed_ / gradient_sum_alone_, 1e3 * gradient_sum_alone_);
  }
  if (bandwidth_ > 0.0 && optimizer_bandwidth() > 0.0) {
    text += format("\noptimizer: {:.1f} GB/s, {:.0f} % of the memory bandwidth measured here ({:.1f} GB/s)",
                   1e-9 * optimizer_bandwidth(), 100.0 * optimizer_bandwidth() / bandwidth_, 1e-9 * bandwidth_);
  }
  return text;
}

double Profile::seconds_a_step(std::string_view name) const {
  for (const Row& row : rows()) {
    if (row.name == name) return row.seconds / std::max(1.0, static_cast<double>(steps_));
  }
  return 0.0;
}

double Profile::optimizer_bandwidth() const {
  const double seconds = seconds_a_step("optim adamw");
  return seconds > 0.0 ? optimizer_bytes_ / seconds : 0.0;
}

std::string Profile::json() const {
  const double steps = std::max(1.0, static_cast<double>(steps_));
  nlohmann::ordered_json all = {{"steps", steps_}, {"step_seconds", seconds_ / steps}};
  all["activities"] = nlohmann::ordered_json::array();
  for (const Row& row : rows()) {
    all["activities"].push_back({{"name", row.name},
                                 {"calls", static_cast<double>(row.calls) / steps},
                                 {"seconds", row.seconds / steps},
                                 {"share", seconds_ > 0 ? row.seconds / seconds_ : 0.0}});
  }
  if (gradient_sum_alone_ > 0.0) {
    all["gradient_sum_wait"] = seconds_a_step("wait gradient_sum");
    all["gradient_sum_exposed"] = gradient_sum_exposed_;
    all["gradient_sum_alone"] = gradient_sum_alone_;
  }
  if (bandwidth_ > 0.0) {
    all["optimizer_bandwidth"] = optimizer_bandwidth();
    all["memory_bandwidth"] = bandwidth_;
  }
  return all.dump(2) + "\n";
}

}  // namespace moe::metrics
