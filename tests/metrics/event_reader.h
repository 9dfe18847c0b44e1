/// A reader of TensorBoard's files that shares no code with the writer.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace moe::testing {

struct DecodedEvent {
  double wall_time = 0;
  std::int64_t step = 0;
  std::string file_version;
  bool session_start = false;
  std::map<std::string, float> scalars;
};

/// Fields of a protobuf message, in order: (number, raw bytes or little-endian number).
class ProtoFields {
 public:
  explicit ProtoFields(std::string_view message) : left_(message) {}
  bool next() {
    if (left_.empty()) return false;
    const std::uint64_t key = varint();
    number = static_cast<int>(key >> 3);
    const auto type = key & 7;
    if (type == 0) {
      value = varint();
    } else if (type == 1) {
      bytes = take(8);
    } else if (type == 2) {
      bytes = take(varint());
    } else if (type == 5) {
      bytes = take(4);
    } else {
      throw std::runtime_error("unknown wire type");
    }
    return true;
  }
  template <class T>
  T as() const {
    T result;
    if (bytes.size() != sizeof(T)) throw std::runtime_error("wrong size of a fixed field");
    std::memcpy(&result, bytes.data(), sizeof(T));
    return result;
  }

  int number = 0;
  std::uint64_t value = 0;
  std::string_view bytes;

 private:
  std::string_view take(std::uint64_t count) {
    if (count > left_.size()) throw std::runtime_error("message ends early");
    const std::string_view taken = left_.substr(0, count);
    left_.remove_prefix(count);
    return taken;
  }
  std::uint64_t varint() {
    std::uint64_t result = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      result |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return result;
    }
    throw std::runtime_error("varint too long");
  }
  std::string_view left_;
};

/// Bit by bit, from the definition of the reflected polynomial.
inline std::uint32_t slow_masked_crc32c(std::string_view bytes) {
  std::uint32_t crc = 0xffffffffU;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int i = 0; i < 8; ++i) crc = (crc & 1U) != 0 ? (crc >> 1) ^ 0x82F63B78U : crc >> 1;
  }
  crc = ~crc;
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8U;
}

inline void decode_summary(std::string_view bytes, std::map<std::string, float>& scalars) {
  ProtoFields summary(bytes);
  while (summary.next()) {
    ProtoFields value(summary.bytes);
    std::string tag;
    while (value.next()) {
      if (value.number == 1) tag = value.bytes;
      if (value.number == 2) scalars[tag] = value.as<float>();
    }
  }
}

inline DecodedEvent decode_event(std::string_view bytes) {
  DecodedEvent event;
  ProtoFields fields(bytes);
  while (fields.next()) {
    switch (fields.number) {
      case 1: event.wall_time = fields.as<double>(); break;
      case 2: event.step = static_cast<std::int64_t>(fields.value); break;
      case 3: event.file_version = fields.bytes; break;
      case 5: decode_summary(fields.bytes, event.scalars); break;
      case 7: {
        ProtoFields log(fields.bytes);
        while (log.next()) event.session_start = log.number == 1 && log.value == 1;
        break;
      }
      default: throw std::runtime_error("unknown field of an event");
    }
  }
  return event;
}

/// @throws std::runtime_error on a wrong length or checksum
inline std::vector<DecodedEvent> decode_events(std::string_view file) {
  std::vector<DecodedEvent> events;
  while (!file.empty()) {
    if (file.size() < 16) throw std::runtime_error("record ends early");
    std::uint64_t size = 0;
    std::uint32_t size_crc = 0;
    std::uint32_t data_crc = 0;
    std::memcpy(&size, file.data(), 8);
    std::memcpy(&size_crc, file.data() + 8, 4);
    if (size_crc != slow_masked_crc32c(file.substr(0, 8))) throw std::runtime_error("length crc");
    if (file.size() < size + 16) throw std::runtime_error("data ends early");
    const std::string_view data = file.substr(12, size);
    std::memcpy(&data_crc, file.data() + 12 + size, 4);
    if (data_crc != slow_masked_crc32c(data)) throw std::runtime_error("data crc");
    events.push_back(decode_event(data));
    file.remove_prefix(size + 16);
  }
  return events;
}

}  // namespace moe::testing
