#include "metrics/sink_set.h"

#include <exception>
#include <utility>

#include "base/format.h"
#include "base/log.h"
#include "metrics/sink_registry.h"

namespace moe::metrics {
namespace {

void warn(std::string_view sink, const std::exception& error) {
  log_warning(format("metrics: {} is switched off for this run: {}", sink, error.what()));
}

}  // namespace

SinkSet::SinkSet(const SinkContext& context) {
  for (const SinkEntry& entry : sink_registry()) {
    if (!context.config.writes(entry.name)) continue;
    try {
      add(entry.name, entry.make(context));
    } catch (const std::exception& error) {
      warn(entry.name, error);
    }
  }
}

SinkSet::~SinkSet() { close(); }

SinkSet& SinkSet::operator=(SinkSet&& other) noexcept {
  if (this != &other) {
    close();
    sinks_ = std::exchange(other.sinks_, {});
  }
  return *this;
}

template <class Action>
void SinkSet::for_each(Action&& action) {
  std::erase_if(sinks_, [&](Named& named) {
    try {
      action(*named.sink);
      return false;
    } catch (const std::exception& error) {
      warn(named.name, error);
      return true;
    }
  });
}

void SinkSet::add(std::string name, std::unique_ptr<MetricSink> sink) {
  sinks_.push_back({std::move(name), std::move(sink)});
}

void SinkSet::write(const StepRecord& record) {
  for_each([&](MetricSink& sink) { sink.write(record); });
}

void SinkSet::message(std::string_view text) {
  for_each([&](MetricSink& sink) { sink.message(text); });
}

void SinkSet::close() {
  for_each([](MetricSink& sink) { sink.close(); });
  sinks_.clear();
}

std::vector<std::string> SinkSet::names() const {
  std::vector<std::string> names;
  for (const Named& named : sinks_) names.push_back(named.name);
  return names;
}

}  // namespace moe::metrics
