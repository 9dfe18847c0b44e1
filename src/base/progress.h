/// Progress of a long job: one line that redraws itself on a terminal, a plain line now and then in
/// a file.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>

namespace moe {

enum class ProgressUnit { Items, Bytes };

/// What one line of progress says.
struct ProgressState {
  std::string label;
  std::int64_t done = 0;
  std::int64_t total = 0;  ///< 0: not known
  double seconds = 0;      ///< since the start
  ProgressUnit unit = ProgressUnit::Items;
  std::string note;  ///< free text after the figures
};

/// "prepare  42% 12.3 MiB/29.0 MiB  8.2 MiB/s  ETA 2 s  note", at most `width` columns when width > 0;
/// with `bar` a bar of 20 cells follows the label.
std::string progress_line(const ProgressState& state, bool bar, int width = 0);

struct ProgressOptions {
  std::ostream* out = nullptr;    ///< standard error when null
  bool terminal = false;          ///< used with `out` only; standard error is asked itself
  bool colour = false;            ///< likewise; NO_COLOR turns it off
  double terminal_interval = 0.1; ///< @unit seconds between redraws
  double plain_interval = 5;      ///< @unit seconds between plain lines
};

/// @thread one
class ProgressBar {
 public:
  ProgressBar(std::string label, std::int64_t total, ProgressUnit unit = ProgressUnit::Items,
              ProgressOptions options = {});
  /// Ends the line, if one is open; says nothing more.
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  /// Tells how much is done by now; draws only when the interval has passed.
  void update(std::int64_t done, const std::string& note = {});
  /// Draws the final state and ends the line.
  void finish(const std::string& note = {});

 private:
  void draw(bool last);

  ProgressOptions options_;
  ProgressState state_;
  double start_;
  double drawn_at_;
  bool line_open_ = false;
  bool finished_ = false;
};

}  // namespace moe
