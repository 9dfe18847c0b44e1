#include "metrics/trace.h"

#include <map>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

#include "base/format.h"
#include "base/log.h"
#include "metrics/append_file.h"
#include "metrics/escape.h"

namespace moe::metrics {

/// Formats events under one lock; times are microseconds since the recorder was made.
class Trace::Recorder {
 public:
  Recorder(const Path& path, int rank) : rank_(rank) {
    std::filesystem::remove(path);
    file_.emplace(path, AppendFile::Mode::CreateNew);
    // The array format: a file without its last bracket (a killed run) still opens.
    file_->append("[\n");
    append(format(R"({{"ph": "M", "pid": {}, "name": "process_name", "args": {{"name": "rank {}"}}}})",
                  rank_, rank_));
  }

  void add_span(const char* name, double start, double end) {
    const std::lock_guard lock(mutex_);
    append(format(R"({{"ph": "X", "pid": {}, "tid": {}, "name": {}, "ts": {:.3f}, "dur": {:.3f}}})",
                  rank_, thread_number(), json_string(name), 1e6 * (start - origin_),
                  1e6 * (end - start)));
  }

  void add_counter(const char* name, double value) {
    const std::lock_guard lock(mutex_);
    append(format(R"({{"ph": "C", "pid": {}, "name": {}, "ts": {:.3f}, "args": {{"value": {}}}}})",
                  rank_, json_string(name), 1e6 * (monotonic_seconds() - origin_),
                  json_number(value)));
  }

  void name_thread(std::string_view name) {
    const std::lock_guard lock(mutex_);
    append(format(
        R"({{"ph": "M", "pid": {}, "tid": {}, "name": "thread_name", "args": {{"name": {}}}}})",
        rank_, thread_number(), json_string(name)));
  }

  void close() {
    const std::lock_guard lock(mutex_);
    guarded([&] {
      file_->append("\n]\n");
      file_->close();
    });
    file_.reset();
  }

 private:
  void append(const std::string& event) {
    guarded([&] {
      if (!first_) file_->append(",\n");
      first_ = false;
      file_->append(event);
    });
  }

  template <class Action>
  void guarded(Action&& action) {
    if (!file_) return;
    try {
      action();
    } catch (const std::exception& error) {
      log_warning(format("profile: the timeline ends here: {}", error.what()));
      file_.reset();
    }
  }

  int thread_number() {
    return threads_.try_emplace(std::this_thread::get_id(), static_cast<int>(threads_.size()))
        .first->second;
  }

  const double origin_ = monotonic_seconds();
  const int rank_;
  std::mutex mutex_;
  std::optional<AppendFile> file_;  // empty once closed or failed
  bool first_ = true;
  std::map<std::thread::id, int> threads_;
};

Trace::Trace() = default;

Trace::Trace(const Path& path, int rank) {
  try {
    recorder_ = std::make_unique<Recorder>(path, rank);
  } catch (const std::exception& error) {
    log_warning(format("profile: no timeline: {}", error.what()));
  }
}

Trace::~Trace() { close(); }

void Trace::add_span(const char* name, double start, double end) {
  if (recorder_) recorder_->add_span(name, start, end);
}

void Trace::counter(const char* name, double value) {
  if (recorder_) recorder_->add_counter(name, value);
}

void Trace::name_thread(std::string_view name) {
  if (recorder_) recorder_->name_thread(name);
}

void Trace::close() {
  if (recorder_) recorder_->close();
}

void TraceSpan::end() noexcept { trace_->recorder_->add_span(name_, start_, monotonic_seconds()); }

}  // namespace moe::metrics
