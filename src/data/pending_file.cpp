#include "data/pending_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/format.h"

namespace moe::data {

Path temporary_name(const Path& path) {
  Path name = path;
  name += format(".tmp-{}", ::getpid());
  return name;
}

Path folder_of(const Path& path) { return path.has_parent_path() ? path.parent_path() : Path("."); }

void create_folder_of(const Path& path) {
  std::error_code error;
  std::filesystem::create_directories(folder_of(path), error);
  if (error) {
    throw DataError(
        format("{}: cannot create the folder: {}", folder_of(path).string(), error.message()));
  }
}

void rename_file(const Path& from, const Path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) {
    throw DataError(format("{}: cannot rename into place: {}", to.string(), std::strerror(errno)));
  }
}

PendingFile::PendingFile(const Path& path) : path_(path), temporary_(temporary_name(path)) {
  create_folder_of(path);
  writer_ = std::make_unique<FileWriter>(temporary_);
}

PendingFile::~PendingFile() {
  writer_.reset();
  ::unlink(temporary_.c_str());
}

void PendingFile::commit() {
  writer_->finish();
  writer_.reset();
  rename_file(temporary_, path_);
  sync_folder(folder_of(path_));
}

}  // namespace moe::data
