#include <algorithm>
#include <bit>
#include <cstring>

#include "base/error.h"
#include "base/format.h"
#include "interop/contained_file.h"
#include "interop/safetensors.h"
#include "tensor/convert.h"

namespace moe::interop {
namespace {

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::int64_t kWindowBytes = std::int64_t{1} << 20;

std::span<std::byte> bytes_of(const View& view) {
  return {view.as<std::byte>(), static_cast<std::size_t>(view.bytes())};
}

SafetensorsHeader read_header(const ContainedFile& file, std::uint64_t& data_begin) {
  static_assert(std::endian::native == std::endian::little);
  const std::string where = file.path().string();
  std::uint64_t length = 0;
  if (file.size() < kLengthBytes) {
    throw CheckpointError(
        format("{}: {} bytes are too few for a safetensors file", where, file.size()));
  }
  file.read(0, std::as_writable_bytes(std::span(&length, 1)));
  if (length > kMaxSafetensorsHeader || length > file.size() - kLengthBytes) {
    throw CheckpointError(
        format("{}: its header would be {} bytes long; the limit is {}, the file "
               "has {}",
               where, length, kMaxSafetensorsHeader, file.size()));
  }
  std::string json(static_cast<std::size_t>(length), '\0');
  file.read(kLengthBytes, std::as_writable_bytes(std::span(json)));
  data_begin = kLengthBytes + length;
  return parse_safetensors_header(json, file.size() - data_begin, where);
}

/// Reads rising, possibly scattered ranges: long ones straight to their place, short ones through a
/// window.
class RunReader {
 public:
  RunReader(const ContainedFile& file, std::uint64_t offset, DType dtype, std::int64_t end)
      : file_(file), offset_(offset), dtype_(dtype), last_(end) {}

  void read(std::int64_t at, const View& out) {
    if (out.dtype == dtype_ && out.bytes() >= kWindowBytes) {
      file_.read(byte_of(at), bytes_of(out));
      return;
    }
    for (std::int64_t done = 0; done < out.numel();) {
      const std::int64_t from = at + done;
      if (from < begin_ || from >= end_) load(from);
      const std::int64_t count = std::min(out.numel() - done, end_ - from);
      convert_elements(checkpoint::flat_part(window(), from - begin_, count),
                       checkpoint::flat_part(out, done, count));
      done += count;
    }
  }

 private:
  std::uint64_t byte_of(std::int64_t element) const {
    return offset_ + static_cast<std::uint64_t>(element * size_of(dtype_));
  }
  View window() const { return checkpoint::flat_view(bytes_.data(), dtype_, end_ - begin_); }
  void load(std::int64_t at) {
    begin_ = at;
    end_ = std::min(last_, at + kWindowBytes / size_of(dtype_));
    bytes_.resize(static_cast<std::size_t>((end_ - begin_) * size_of(dtype_)));
    file_.read(byte_of(begin_), bytes_);
  }

  const ContainedFile& file_;
  std::uint64_t offset_;
  DType dtype_;
  std::int64_t last_;  // elements that the slice needs at most
  std::int64_t begin_ = 0;
  std::int64_t end_ = 0;
  std::vector<std::byte> bytes_;
};

}  // namespace

SafetensorsFile::SafetensorsFile(const Path& path)
    : SafetensorsFile(std::make_shared<const ContainedFile>(path)) {}

SafetensorsFile::SafetensorsFile(std::shared_ptr<const ContainedFile> file)
    : file_(std::move(file)) {
  std::uint64_t data_begin = 0;
  header_ = read_header(*file_, data_begin);
  for (const SafetensorsEntry& entry : header_.entries) {
    const auto dtype = dtype_of_safetensors(entry.dtype);
    if (!dtype) {
      throw CheckpointError(
          format("{}: tensor '{}' is {}, which this program cannot hold; convert "
                 "it to F32, BF16 or F16",
                 description(), entry.name, entry.dtype));
    }
    tensors_[entry.name] = {{entry.shape, *dtype, {}}, data_begin + entry.begin};
  }
  for (const auto& [name, stored] : tensors_) names_.push_back(name);
}

std::string SafetensorsFile::description() const {
  return file_->path().string();
}

const checkpoint::TensorInfo* SafetensorsFile::find(const std::string& name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second.info;
}

std::optional<std::string> SafetensorsFile::metadata(const std::string& key) const {
  const auto found = header_.metadata.find(key);
  if (found == header_.metadata.end()) return {};
  return found->second;
}

void SafetensorsFile::read_slice(const std::string& name, const checkpoint::TensorInfo& info,
                                 const Slice& slice, const View& out) const {
  const std::int64_t end = global_index(slice, slice.flat_end - 1) + 1;
  RunReader reader(*file_, tensors_.at(name).offset, info.dtype, end);
  for_each_run(slice, [&](std::int64_t global, std::int64_t box, std::int64_t count) {
    reader.read(global, checkpoint::flat_part(out, box - slice.flat_begin, count));
  });
}

}  // namespace moe::interop
