#include "data/loader.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/format.h"

namespace moe::data {
namespace {

/// How often the files are compared with what was opened. @unit steps
constexpr std::int64_t kStepsBetweenChecks = 64;

}  // namespace

void BatchLayout::check() const {
  if (global_batch >= 1 && micro_batch >= 1 && readers >= 1 &&
      global_batch % readers == 0 && (global_batch / readers) % micro_batch == 0) {
    MOE_CHECK(0 <= reader && reader < readers);
    return;
  }
  throw ConfigError(format(
      "training.global_batch_size: expected a multiple of {} = {} data readers x micro_batch_size {}, "
      "found {}",
      readers * micro_batch, readers, micro_batch, global_batch));
}

struct Loader::Ahead {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<StepBatches> ready;
  std::exception_ptr failure;
  bool stop = false;
  std::thread thread;
};

Loader::Loader(std::shared_ptr<const SampleSource> source, const Options& options, Cursor cursor)
    : source_(std::move(source)), options_(options), cursor_(cursor) {
  options_.layout.check();
  MOE_CHECK(options_.sequence_length > 0 && cursor_.samples_consumed >= 0);
  if (options_.prefetch == 0) return;
  ahead_ = std::make_unique<Ahead>();
  ahead_->thread = std::thread([this, first = cursor.samples_consumed] { run_ahead(first); });
}

Loader::~Loader() {
  if (ahead_ == nullptr) return;
  {
    const std::scoped_lock lock(ahead_->mutex);
    ahead_->stop = true;
  }
  ahead_->changed.notify_all();
  ahead_->thread.join();
}

StepBatches Loader::read_step(std::int64_t first_sample) const {
  const BatchLayout& layout = options_.layout;
  if (first_sample / layout.global_batch % kStepsBetweenChecks == 0) source_->check_unchanged();
  StepBatches step;
  step.first_sample = first_sample;
  std::vector<std::int32_t> starts;
  for (std::int64_t micro = 0; micro < layout.micro_batches(); ++micro) {
    Batch batch = make_batch(layout.micro_batch, options_.sequence_length);
    for (std::int64_t row = 0; row < layout.micro_batch; ++row) {
      const std::int64_t sample = layout.sample(first_sample, micro, row);
      source_->read(sample, row_view(batch, row, starts));
      close_row(batch, row, starts);
      batch.sample_ids[static_cast<std::size_t>(row)] = sample;
    }
    step.target_count += batch.target_count;
    step.micro_batches.push_back(std::move(batch));
  }
  return step;
}

void Loader::run_ahead(std::int64_t first_sample) {
  while (true) {
    StepBatches step;
    std::exception_ptr failure;
    try {
      step = read_step(first_sample);
    } catch (...) {
      failure = std::current_exception();
    }
    std::unique_lock lock(ahead_->mutex);
    ahead_->changed.wait(lock, [&] {
      return ahead_->stop || static_cast<std::int64_t>(ahead_->ready.size()) < options_.prefetch;
    });
    if (ahead_->stop) return;
    if (failure != nullptr) {
      ahead_->failure = failure;
    } else {
      ahead_->ready.push_back(std::move(step));
    }
    ahead_->changed.notify_all();
    if (failure != nullptr) return;
    first_sample += options_.layout.global_batch;
  }
}

StepBatches Loader::next_step() {
  StepBatches step;
  if (ahead_ == nullptr) {
    step = read_step(cursor_.samples_consumed);
  } else {
    std::unique_lock lock(ahead_->mutex);
    ahead_->changed.wait(lock, [&] { return !ahead_->ready.empty() || ahead_->failure != nullptr; });
    // Steps that were read before the failure are handed out first.
    if (ahead_->ready.empty()) std::rethrow_exception(ahead_->failure);
    step = std::move(ahead_->ready.front());
    ahead_->ready.pop_front();
    ahead_->changed.notify_all();
  }
  cursor_.samples_consumed += options_.layout.global_batch;
  return step;
}

HeldOutLoader::HeldOutLoader(std::shared_ptr<const HeldOut> held_out, const BatchLayout& layout,
                             std::int64_t sequence_length)
    : held_out_(std::move(held_out)), layout_(layout), sequence_length_(sequence_length) {
  MOE_CHECK(layout.micro_batch >= 1 && 0 <= layout.reader && layout.reader < layout.readers);
  const std::int64_t round = layout.micro_batch * layout.readers;
  batches_ = (held_out_->windows() + round - 1) / round;
}

Batch HeldOutLoader::batch(std::int64_t i) const {
  MOE_CHECK(0 <= i && i < batches_);
  Batch batch = make_batch(layout_.micro_batch, sequence_length_);
  std::vector<std::int32_t> starts;
  for (std::int64_t row = 0; row < layout_.micro_batch; ++row) {
    const std::int64_t window =
        (i * layout_.readers + layout_.reader) * layout_.micro_batch + row;
    const SequenceView view = row_view(batch, row, starts);
    if (window < held_out_->windows()) {
      held_out_->read(window, view);
      batch.sample_ids[static_cast<std::size_t>(row)] = window;
    } else {
      std::fill(view.targets.begin(), view.targets.end(), kIgnoredTarget);
      starts.assign(1, 0);
      number_positions(view);
    }
    close_row(batch, row, starts);
  }
  return batch;
}

}  // namespace moe::data
