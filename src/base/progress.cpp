#include "base/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <utility>

#include "base/clock.h"
#include "base/format.h"

namespace moe {
namespace {

constexpr int kBarCells = 20;
constexpr int kFallbackWidth = 100;

std::string amount(double value, ProgressUnit unit) {
  return unit == ProgressUnit::Bytes ? human_bytes(value)
                                     : with_thousands(static_cast<std::int64_t>(value));
}

std::string rate(const ProgressState& state) {
  const double per_second =
      state.seconds > 0 ? static_cast<double>(state.done) / state.seconds : 0;
  return state.unit == ProgressUnit::Bytes ? human_bytes(per_second) + "/s"
                                           : human_count(per_second) + "/s";
}

std::string eta(const ProgressState& state) {
  if (state.total <= 0 || state.done <= 0 || state.done >= state.total) return {};
  const double left = state.seconds * static_cast<double>(state.total - state.done) /
                      static_cast<double>(state.done);
  return "  ETA " + human_duration(left);
}

std::string cells(double share) {
  const int full = std::clamp(static_cast<int>(share * kBarCells), 0, kBarCells);
  return " [" + std::string(static_cast<std::size_t>(full), '#') +
         std::string(static_cast<std::size_t>(kBarCells - full), '.') + "]";
}

int terminal_width() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return kFallbackWidth;
}

}  // namespace

std::string progress_line(const ProgressState& state, bool bar, int width) {
  std::string line = state.label;
  if (state.total > 0) {
    const double share = std::clamp(
        static_cast<double>(state.done) / static_cast<double>(state.total), 0.0, 1.0);
    if (bar) line += cells(share);
    line += format(" {:3.0f}%", share * 100);
  }
  line += "  " + amount(static_cast<double>(state.done), state.unit);
  if (state.total > 0) line += "/" + amount(static_cast<double>(state.total), state.unit);
  line += "  " + rate(state) + eta(state);
  if (!state.note.empty()) line += "  " + state.note;
  if (width > 0 && static_cast<int>(line.size()) > width) {
    line.resize(static_cast<std::size_t>(width));
  }
  return line;
}

ProgressBar::ProgressBar(std::string label, std::int64_t total, ProgressUnit unit,
                         ProgressOptions options)
    : options_(options), start_(monotonic_seconds()), drawn_at_(start_) {
  state_.label = std::move(label);
  state_.total = total;
  state_.unit = unit;
  if (options_.out == nullptr) {
    options_.out = &std::cerr;
    options_.terminal = ::isatty(STDERR_FILENO) == 1;
    options_.colour = options_.terminal;
  }
  if (std::getenv("NO_COLOR") != nullptr) options_.colour = false;
}

ProgressBar::~ProgressBar() {
  if (line_open_) *options_.out << "\n" << std::flush;
}

void ProgressBar::update(std::int64_t done, const std::string& note) {
  state_.done = done;
  state_.note = note;
  const double now = monotonic_seconds();
  const double interval =
      options_.terminal ? options_.terminal_interval : options_.plain_interval;
  if (now - drawn_at_ < interval) return;
  drawn_at_ = now;
  draw(false);
}

void ProgressBar::finish(const std::string& note) {
  if (std::exchange(finished_, true)) return;
  state_.note = note;
  draw(true);
}

void ProgressBar::draw(bool last) {
  state_.seconds = monotonic_seconds() - start_;
  if (!options_.terminal) {
    *options_.out << progress_line(state_, false) << "\n" << std::flush;
    return;
  }
  const std::string line = progress_line(state_, true, terminal_width() - 1);
  // Clear to the end of the line: the new text may be shorter than the old.
  *options_.out << "\r" << (options_.colour ? "\x1b[36m" : "") << line
                << (options_.colour ? "\x1b[0m" : "") << "\x1b[K" << (last ? "\n" : "")
                << std::flush;
  line_open_ = !last;
}

}  // namespace moe
