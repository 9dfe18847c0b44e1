/// What a rank's computing thread is busy with (kernels, waits for other ranks), told to whoever watches. Nobody does
/// unless a run is profiled; then every span costs two readings of the clock, else one test of a pointer.
#pragma once

#include "device/stream.h"

namespace moe {

struct Activity {
  const char* family;  ///< of kernels their folder ("gemm", "norm"), else "wait"; a literal
  const char* name;    ///< the kernel, or what is waited for; a literal
  const char* part;    ///< the part of the model that asked for it ("lm_head"), or null; a literal
  double start;        ///< of monotonic_seconds()
  double end;
};

class ActivityObserver {
 public:
  virtual ~ActivityObserver() = default;
  /// @thread the rank's computing thread
  virtual void ended(const Activity& activity) = 0;
};

/// Reports its own lifetime. Of nested spans only the outermost is told, so times add up to no more than the wall's.
class ActivitySpan {
 public:
  ActivitySpan(Stream& stream, const char* family, const char* name) {
    if (stream.observer() == nullptr || stream.busy_) return;
    begin(stream, family, name);
  }
  ~ActivitySpan() {
    if (stream_ != nullptr) end();
  }
  ActivitySpan(const ActivitySpan&) = delete;
  ActivitySpan& operator=(const ActivitySpan&) = delete;

 private:
  void begin(Stream& stream, const char* family, const char* name);
  void end();

  Stream* stream_ = nullptr;
  const char* family_ = nullptr;
  const char* name_ = nullptr;
  double start_ = 0.0;
};

/// Names the part of the model whose kernels run in a scope, where a kernel's own name would not tell.
class ActivityPart {
 public:
  ActivityPart(Stream& stream, const char* part) : stream_(stream), before_(stream.part_) { stream.part_ = part; }
  ~ActivityPart() { stream_.part_ = before_; }
  ActivityPart(const ActivityPart&) = delete;
  ActivityPart& operator=(const ActivityPart&) = delete;

 private:
  Stream& stream_;
  const char* before_;
};

}  // namespace moe
