/// TensorBoard's event files: length-framed protobuf records with CRC-32C, written by hand.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "metrics/append_file.h"

namespace moe::metrics {

struct Scalar {
  std::string tag;
  double value = 0;
};

/// One new event file in a folder; TensorBoard reads the folder's files in name order.
class EventFile {
 public:
  /// Makes the folder and a file named after now (or later, so that it sorts last), and declares
  /// that what earlier files said about steps >= `first_step` is void.
  /// @throws DataError(path, reason)
  EventFile(const Path& folder, std::int64_t first_step);

  /// Buffered; values are stored as f32.
  void add(std::int64_t step, const std::vector<Scalar>& scalars);
  void flush() { file_.flush(); }
  void close() { file_.close(); }
  const Path& path() const { return path_; }

 private:
  void append_record(const std::string& event);

  Path path_;
  AppendFile file_;
};

}  // namespace moe::metrics
