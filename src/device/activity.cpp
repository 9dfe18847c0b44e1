#include "device/activity.h"

#include "base/clock.h"

namespace moe {

void ActivitySpan::begin(Stream& stream, const char* family, const char* name) {
  stream_ = &stream;
  family_ = family;
  name_ = name;
  stream.busy_ = true;
  start_ = monotonic_seconds();
}

void ActivitySpan::end() {
  stream_->busy_ = false;
  if (stream_->observer() == nullptr) return;  // it left meanwhile
  stream_->observer()->ended(
      {.family = family_, .name = name_, .part = stream_->part_, .start = start_, .end = monotonic_seconds()});
}

}  // namespace moe
