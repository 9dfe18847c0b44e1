/// Where training sequences come from.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "data/sample.h"

namespace moe::data {

/// An endless numbered supply of sequences.
/// @invariant sequence n is a pure function of the source's files and seed, and of n
/// @thread any
class SampleSource {
 public:
  virtual ~SampleSource() = default;
  /// Sequences until the source repeats itself.
  virtual std::int64_t samples_per_epoch() const = 0;
  /// Fills `out` with sequence `n` >= 0; epochs follow each other.
  /// @throws DataError(path, byte offset) for a token outside the vocabulary
  virtual void read(std::int64_t n, const SequenceView& out) const = 0;
  /// Digest of what is read (not of where it lies), to notice that a resumed run has other data.
  virtual std::string fingerprint() const = 0;
  /// @throws DataError(path, expected, found) if a file was replaced since it was opened
  virtual void check_unchanged() const {}
};

/// Text that is kept out of training, as windows that cover it.
/// @invariant every token is the target of exactly one position of one window
/// @thread any
class HeldOut {
 public:
  virtual ~HeldOut() = default;
  virtual std::int64_t windows() const = 0;
  /// Tokens that are predicted.
  virtual std::int64_t tokens() const = 0;
  /// Bytes of the text those tokens stand for, for bits per byte; -1 when not known.
  virtual std::int64_t bytes() const = 0;
  virtual void read(std::int64_t window, const SequenceView& out) const = 0;
};

}  // namespace moe::data
