#include "metrics/event_file.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <system_error>

#include "base/clock.h"
#include "base/error.h"
#include "base/format.h"
#include "metrics/crc32c.h"

namespace moe::metrics {
namespace {

constexpr std::string_view kPrefix = "events.out.tfevents.";

// ---- protobuf's wire format, the little of it that events need ----

void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

template <class Bits>
void put_fixed(std::string& out, Bits bits) {
  for (std::size_t i = 0; i < sizeof(Bits); ++i) out += static_cast<char>(bits >> (8 * i));
}

enum WireType : std::uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

void put_key(std::string& out, std::uint32_t field, WireType type) {
  put_varint(out, (field << 3) | type);
}

void put_bytes(std::string& out, std::uint32_t field, std::string_view bytes) {
  put_key(out, field, kBytes);
  put_varint(out, bytes.size());
  out += bytes;
}

// ---- Event{wall_time = 1, step = 2, file_version = 3, summary = 5, session_log = 7} ----

std::string event_head(std::int64_t step) {
  std::string event;
  put_key(event, 1, kFixed64);
  put_fixed(event, std::bit_cast<std::uint64_t>(wall_seconds()));
  put_key(event, 2, kVarint);
  put_varint(event, static_cast<std::uint64_t>(step));
  return event;
}

std::string version_event() {
  std::string event = event_head(0);
  put_bytes(event, 3, "brain.Event:2");
  return event;
}

std::string restart_event(std::int64_t first_step) {
  std::string event = event_head(first_step);
  std::string session_log;
  put_key(session_log, 1, kVarint);
  put_varint(session_log, 1);  // status START
  put_bytes(event, 7, session_log);
  return event;
}

std::string summary_event(std::int64_t step, const std::vector<Scalar>& scalars) {
  std::string summary;
  std::string value;
  for (const Scalar& scalar : scalars) {
    value.clear();
    put_bytes(value, 1, scalar.tag);
    put_key(value, 2, kFixed32);
    put_fixed(value, std::bit_cast<std::uint32_t>(static_cast<float>(scalar.value)));
    put_bytes(summary, 1, value);
  }
  std::string event = event_head(step);
  put_bytes(event, 5, summary);
  return event;
}

// ---- the file's name ----

/// The time in the name of an event file, or 0.
std::int64_t time_of(const Path& file) {
  const std::string name = file.filename().string();
  std::int64_t seconds = 0;
  if (name.starts_with(kPrefix)) {
    std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), seconds);
  }
  return seconds;
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "localhost";
  return name.data();
}

Path next_path(const Path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw DataError(format("{}: cannot create: {}", folder.string(), error.message()));
  auto seconds = static_cast<std::int64_t>(wall_seconds());
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    seconds = std::max(seconds, time_of(entry.path()) + 1);
  }
  if (error) throw DataError(format("{}: cannot list: {}", folder.string(), error.message()));
  return folder / format("{}{:010}.{}.{}.0", kPrefix, seconds, host_name(), ::getpid());
}

}  // namespace

EventFile::EventFile(const Path& folder, std::int64_t first_step)
    : path_(next_path(folder)), file_(path_, AppendFile::Mode::CreateNew) {
  append_record(version_event());
  append_record(restart_event(first_step));
  flush();
}

void EventFile::add(std::int64_t step, const std::vector<Scalar>& scalars) {
  append_record(summary_event(step, scalars));
}

void EventFile::append_record(const std::string& event) {
  std::string record;
  put_fixed(record, static_cast<std::uint64_t>(event.size()));
  put_fixed(record, masked_crc32c(record));
  record += event;
  put_fixed(record, masked_crc32c(event));
  file_.append(record);
}

}  // namespace moe::metrics
