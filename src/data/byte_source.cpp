#include "data/byte_source.h"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/error.h"
#include "base/format.h"

namespace moe::data {
namespace {

constexpr std::size_t kBlockBytes = std::size_t{1} << 18;

/// Unbuffered reads of a file, one block at a time.
class File {
 public:
  explicit File(const Path& path)
      : path_(path), descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)), block_(kBlockBytes) {
    if (descriptor_ < 0) fail(format("cannot open: {}", std::strerror(errno)));
  }
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  /// Bytes read and not taken; reads when there are none. Empty at the end.
  std::string_view peek() {
    if (begin_ == end_) {
      begin_ = 0;
      end_ = read_some();
    }
    return {block_.data() + begin_, end_ - begin_};
  }
  void take(std::size_t count) {
    begin_ += count;
    consumed_ += static_cast<std::int64_t>(count);
  }
  std::int64_t consumed() const { return consumed_; }

  [[noreturn]] void fail(const std::string& reason) const {
    throw DataError(format("{}: byte {}: {}", path_.string(), consumed_, reason));
  }

 private:
  std::size_t read_some() {
    while (true) {
      const ssize_t got = ::read(descriptor_, block_.data(), block_.size());
      if (got >= 0) return static_cast<std::size_t>(got);
      if (errno != EINTR) fail(format("cannot read: {}", std::strerror(errno)));
    }
  }
  Path path_;
  int descriptor_;
  std::vector<char> block_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::int64_t consumed_ = 0;
};

class PlainSource final : public ByteSource {
 public:
  explicit PlainSource(std::unique_ptr<File> file) : file_(std::move(file)) {}
  std::size_t read(std::span<char> out) override {
    const std::string_view ready = file_->peek();
    const std::size_t count = std::min(ready.size(), out.size());
    std::copy_n(ready.data(), count, out.data());
    file_->take(count);
    return count;
  }
  std::int64_t consumed() const override { return file_->consumed(); }

 private:
  std::unique_ptr<File> file_;
};

class GzipSource final : public ByteSource {
 public:
  explicit GzipSource(std::unique_ptr<File> file) : file_(std::move(file)) {
    constexpr int kGzipOnly = 15 + 16;
    if (inflateInit2(&stream_, kGzipOnly) != Z_OK) file_->fail("cannot start zlib");
  }
  ~GzipSource() override { inflateEnd(&stream_); }

  std::size_t read(std::span<char> out) override {
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(out.size());
    while (stream_.avail_out == out.size() && step()) {
    }
    return out.size() - stream_.avail_out;
  }
  std::int64_t consumed() const override { return file_->consumed(); }

 private:
  /// Inflates once; false at the end of the file.
  bool step() {
    const std::string_view ready = file_->peek();
    if (ready.empty()) {
      if (inside_) file_->fail("truncated gzip data: expected more bytes, found the end of the file");
      return false;
    }
    if (!inside_) inflateReset(&stream_);
    inside_ = true;
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(ready.data()));
    stream_.avail_in = static_cast<uInt>(ready.size());
    const int status = inflate(&stream_, Z_NO_FLUSH);
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) {
      file_->fail(format("damaged gzip data: {}",
                         stream_.msg != nullptr ? stream_.msg : "unexpected content"));
    }
    file_->take(ready.size() - stream_.avail_in);
    if (status == Z_STREAM_END) inside_ = false;  // another member may follow
    return true;
  }

  std::unique_ptr<File> file_;
  z_stream stream_{};
  bool inside_ = false;
};

class ZstdSource final : public ByteSource {
 public:
  explicit ZstdSource(std::unique_ptr<File> file)
      : file_(std::move(file)), stream_(ZSTD_createDStream(), &ZSTD_freeDStream) {
    if (!stream_) file_->fail("cannot start zstd");
  }

  std::size_t read(std::span<char> out) override {
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    while (to.pos == 0 && step(to)) {
    }
    return to.pos;
  }
  std::int64_t consumed() const override { return file_->consumed(); }

 private:
  bool step(ZSTD_outBuffer& to) {
    const std::string_view ready = file_->peek();
    if (ready.empty() && !inside_) return false;
    ZSTD_inBuffer from{ready.data(), ready.size(), 0};
    const std::size_t left = ZSTD_decompressStream(stream_.get(), &to, &from);
    if (ZSTD_isError(left) != 0) {
      file_->fail(format("damaged zstd data: {}", ZSTD_getErrorName(left)));
    }
    file_->take(from.pos);
    inside_ = left != 0;
    if (ready.empty() && inside_ && to.pos == 0) {
      file_->fail("truncated zstd data: expected more bytes, found the end of the file");
    }
    return true;
  }

  std::unique_ptr<File> file_;
  std::unique_ptr<ZSTD_DStream, decltype(&ZSTD_freeDStream)> stream_;
  bool inside_ = false;
};

struct Unsupported {
  std::string_view magic;
  const char* name;
  const char* command;
};
constexpr Unsupported kUnsupported[] = {
    {{"\xfd\x37\x7a\x58\x5a\x00", 6}, "xz", "xz -dk"},
    {{"BZh91AY&SY", 10}, "bzip2", "bzip2 -dk"},
    {{"\x04\x22\x4d\x18", 4}, "lz4", "lz4 -dk"},
    {{"PK\x03\x04", 4}, "zip", "unzip"},
    {{"PAR1", 4}, "Parquet", "python3 -c 'import pandas, sys; "
                             "pandas.read_parquet(sys.argv[1]).to_json(sys.argv[2], "
                             "orient=\"records\", lines=True)'"},
};

}  // namespace

std::unique_ptr<ByteSource> open_bytes(const Path& path) {
  auto file = std::make_unique<File>(path);
  const std::string_view first = file->peek();
  for (const Unsupported& format_row : kUnsupported) {
    if (first.starts_with(format_row.magic)) {
      file->fail(format("expected text, gzip or zstd, found {}; convert it first, e.g. with {}",
                        format_row.name, format_row.command));
    }
  }
  if (first.starts_with("\x1f\x8b")) return std::make_unique<GzipSource>(std::move(file));
  if (first.starts_with("\x28\xb5\x2f\xfd")) return std::make_unique<ZstdSource>(std::move(file));
  return std::make_unique<PlainSource>(std::move(file));
}

namespace {

bool hidden(const Path& path) { return path.filename().string().starts_with("."); }

void list_folder(const Path& folder, std::vector<Path>& files) {
  namespace fs = std::filesystem;
  std::error_code error;
  std::vector<Path> found;
  auto entry = fs::recursive_directory_iterator(folder, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    if (hidden(entry->path())) {
      entry.disable_recursion_pending();
    } else if (entry->is_regular_file()) {
      found.push_back(entry->path());
    }
  }
  if (error) {
    throw DataError(format("{}: cannot list the folder: {}", folder.string(), error.message()));
  }
  if (found.empty()) throw DataError(format("{}: expected files, found none", folder.string()));
  std::sort(found.begin(), found.end());
  files.insert(files.end(), found.begin(), found.end());
}

}  // namespace

std::vector<Path> list_inputs(std::span<const std::string> inputs) {
  std::vector<Path> files;
  for (const std::string& input : inputs) {
    if (!std::filesystem::exists(input)) {
      throw DataError(format("{}: expected a file or folder, found nothing", input));
    }
    if (std::filesystem::is_directory(input)) {
      list_folder(input, files);
    } else {
      files.emplace_back(input);
    }
  }
  return files;
}

std::int64_t total_size(std::span<const Path> files) {
  std::int64_t total = 0;
  for (const Path& file : files) {
    std::error_code error;
    const auto size = std::filesystem::file_size(file, error);
    if (!error) total += static_cast<std::int64_t>(size);
  }
  return total;
}

LineReader::LineReader(ByteSource& source, std::size_t longest)
    : source_(source), longest_(longest), buffer_(kBlockBytes) {}

bool LineReader::refill() {
  begin_ = 0;
  end_ = source_.read(buffer_);
  return end_ > 0;
}

bool LineReader::next(std::string& line, bool& ended) {
  line.clear();
  ended = false;
  while (line.size() < longest_) {
    if (begin_ == end_ && !refill()) return !line.empty();
    const std::size_t room = std::min(end_ - begin_, longest_ - line.size());
    const char* from = buffer_.data() + begin_;
    const void* found = std::memchr(from, '\n', room);
    if (found != nullptr) {
      const auto size = static_cast<std::size_t>(static_cast<const char*>(found) - from);
      line.append(from, size);
      begin_ += size + 1;
      ended = true;
      return true;
    }
    line.append(from, room);
    begin_ += room;
  }
  return true;
}

}  // namespace moe::data
