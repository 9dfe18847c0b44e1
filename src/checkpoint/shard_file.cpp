#include "checkpoint/shard_file.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>

#include "base/format.h"
#include "checkpoint/fletcher32.h"
#include "checkpoint/hdf5_handle.h"
#include "checkpoint/tensor_source.h"

namespace moe::checkpoint {
namespace {

[[noreturn]] void refuse(const std::string& where, const std::string& reason) {
  throw CheckpointError(format("{}: {}", where, reason));
}

void check_link(hid_t file, const char* name, const std::string& where) {
  H5L_info_t link;
  require_hdf5(H5Lget_info(file, name, &link, H5P_DEFAULT) >= 0, where, "find the dataset");
  if (link.type != H5L_TYPE_HARD)
    refuse(where, "is a soft or external link; only datasets may be here");
}

void check_type(hid_t dataset, DType dtype, const std::string& where) {
  const Handle found = checked(H5Dget_type(dataset), H5Tclose, where, "read its type");
  const Handle wanted = hdf5_type(dtype);
  if (H5Tequal(found.get(), wanted.get()) <= 0) {
    refuse(where, format("its HDF5 type is not that of {}", to_string(dtype)));
  }
}

void check_space(hid_t dataset, std::int64_t count, const std::string& where) {
  const Handle space = checked(H5Dget_space(dataset), H5Sclose, where, "read its space");
  const int rank = H5Sget_simple_extent_ndims(space.get());
  if (rank != 1) refuse(where, format("expected rank 1, found {}", rank));
  hsize_t dims = 0;
  hsize_t limit = 0;
  require_hdf5(H5Sget_simple_extent_dims(space.get(), &dims, &limit) == 1, where, "read its size");
  if (dims != static_cast<hsize_t>(count) || limit != dims) {
    refuse(where, format("expected {} elements, found {} of at most {}", count, dims, limit));
  }
}

void check_filters(hid_t properties, const std::string& where) {
  if (H5Pget_external_count(properties) != 0) refuse(where, "has external storage");
  if (H5Pget_layout(properties) != H5D_CHUNKED) refuse(where, "is not chunked");
  unsigned flags = 0;
  unsigned config = 0;
  std::size_t values = 0;
  if (H5Pget_nfilters(properties) != 1 ||
      H5Pget_filter2(properties, 0, &flags, &values, nullptr, 0, nullptr, &config) !=
          H5Z_FILTER_FLETCHER32) {
    refuse(where, "has filters other than Fletcher32 alone");
  }
}

void check_storage(hid_t dataset, const ExpectedDataset& expected, std::uint64_t file_bytes,
                   const std::string& where) {
  const Handle properties =
      checked(H5Dget_create_plist(dataset), H5Pclose, where, "read its properties");
  check_filters(properties.get(), where);
  hsize_t chunk = 0;
  const hsize_t wanted = chunk_elements(expected.dtype, static_cast<hsize_t>(expected.count));
  if (H5Pget_chunk(properties.get(), 1, &chunk) != 1 || chunk != wanted) {
    refuse(where, format("expected chunks of {} elements, found {}", wanted, chunk));
  }
  const hsize_t stored = H5Dget_storage_size(dataset);
  const auto payload = static_cast<hsize_t>(expected.count * size_of(expected.dtype));
  if (stored < payload || stored > file_bytes) {
    refuse(where, format("stores {} bytes of {} in a file of {}", stored, payload, file_bytes));
  }
}

void check_attribute(hid_t dataset, DType dtype, const std::string& where) {
  H5O_info_t object;
  require_hdf5(H5Oget_info2(dataset, &object, H5O_INFO_NUM_ATTRS) >= 0, where, "inspect it");
  if (object.num_attrs != 1 || H5Aexists(dataset, kDTypeAttribute) <= 0) {
    refuse(where, "expected one attribute, dtype");
  }
  const Handle attribute =
      checked(H5Aopen(dataset, kDTypeAttribute, H5P_DEFAULT), H5Aclose, where, "open dtype");
  const Handle type = checked(H5Aget_type(attribute.get()), H5Tclose, where, "read dtype's type");
  const std::string_view wanted = to_string(dtype);
  const Handle space =
      checked(H5Aget_space(attribute.get()), H5Sclose, where, "read dtype's space");
  std::string found(wanted.size(), '\0');
  const bool fits = H5Tget_class(type.get()) == H5T_STRING && H5Tis_variable_str(type.get()) == 0 &&
                    H5Tget_size(type.get()) == wanted.size() &&
                    H5Sget_simple_extent_npoints(space.get()) == 1;
  if (!fits || H5Aread(attribute.get(), type.get(), found.data()) < 0 || found != wanted) {
    refuse(where, format("its attribute dtype is not '{}'", wanted));
  }
}

void check_file(hid_t file, std::size_t datasets, const std::string& where) {
  H5G_info_t group;
  require_hdf5(H5Gget_info(file, &group) >= 0, where, "read the root group");
  if (group.nlinks != datasets) {
    refuse(where, format("expected {} datasets, found {}", datasets, group.nlinks));
  }
  H5O_info_t root;
  require_hdf5(H5Oget_info2(file, &root, H5O_INFO_NUM_ATTRS) >= 0, where, "inspect the root group");
  if (root.num_attrs != 0) refuse(where, "has attributes of its own");
}

}  // namespace

struct ShardFile::State {
  Path path;
  Handle file;
  std::map<std::string, Handle> datasets;
  Handle open_checked(const ExpectedDataset& expected, std::uint64_t file_bytes) const {
    const std::string where = format("{}: {}", path.string(), expected.name);
    check_link(file.get(), expected.name.c_str(), where);
    Handle dataset = checked(H5Dopen2(file.get(), expected.name.c_str(), H5P_DEFAULT), H5Dclose,
                             where, "open the dataset");
    check_type(dataset.get(), expected.dtype, where);
    check_space(dataset.get(), expected.count, where);
    check_storage(dataset.get(), expected, file_bytes, where);
    check_attribute(dataset.get(), expected.dtype, where);
    return dataset;
  }
};

ShardFile::ShardFile(const Path& path, const std::vector<ExpectedDataset>& expected)
    : state_(std::make_unique<State>()) {
  prepare_hdf5();
  state_->path = path;
  const Handle access = latest_format_access();
  const std::string where = path.string();
  state_->file = checked(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get()), H5Fclose, where,
                         "open the HDF5 file");
  check_file(state_->file.get(), expected.size(), where);
  const std::uint64_t bytes = std::filesystem::file_size(path);
  for (const ExpectedDataset& dataset : expected) {
    state_->datasets[dataset.name] = state_->open_checked(dataset, bytes);
  }
}

ShardFile::~ShardFile() = default;
ShardFile::ShardFile(ShardFile&&) noexcept = default;

namespace {

/// Through HDF5's filters, any range.
void read_range(hid_t id, hsize_t start, const View& out, const std::string& where) {
  const auto count = static_cast<hsize_t>(out.numel());
  const Handle stored = checked(H5Dget_space(id), H5Sclose, where, "read its space");
  const Handle memory =
      checked(H5Screate_simple(1, &count, nullptr), H5Sclose, where, "create a space");
  require_hdf5(
      H5Sselect_hyperslab(stored.get(), H5S_SELECT_SET, &start, nullptr, &count, nullptr) >= 0,
      where, "select elements");
  const Handle type = hdf5_type(out.dtype);
  require_hdf5(H5Dread(id, type.get(), memory.get(), stored.get(), H5P_DEFAULT, out.data) >= 0,
               where, "read elements");
}

/// One whole chunk as it stands in the file, its checksum compared here: most of a load's time went into
/// HDF5's filters.
void read_chunk(hid_t id, hsize_t start, const View& out, std::vector<std::byte>& stored,
                const std::string& where) {
  const auto bytes = static_cast<std::size_t>(out.bytes());
  hsize_t size = 0;
  require_hdf5(H5Dget_chunk_storage_size(id, &start, &size) >= 0, where, "find a chunk");
  if (size != bytes + kFletcherBytes) {
    refuse(where, format("expected a chunk of {} bytes, found {}", bytes + kFletcherBytes, size));
  }
  stored.resize(bytes + kFletcherBytes);
  std::uint32_t filters = 0;
  require_hdf5(H5Dread_chunk(id, H5P_DEFAULT, &start, &filters, stored.data()) >= 0, where,
               "read a chunk");
  std::uint32_t checksum = 0;
  std::memcpy(&checksum, stored.data() + bytes, kFletcherBytes);
  if (filters != 0 || checksum != fletcher32(std::span(stored).first(bytes))) {
    refuse(where, format("damaged: the checksum of the chunk at element {} does not fit", start));
  }
  std::memcpy(out.data, stored.data(), bytes);
}

}  // namespace

void ShardFile::read(const std::string& dataset, std::int64_t begin, const View& out) const {
  prepare_hdf5();
  const std::string where = format("{}: {}", state_->path.string(), dataset);
  const hid_t id = state_->datasets.at(dataset).get();
  const std::int64_t chunk = shard_chunk_elements(out.dtype);
  std::vector<std::byte> stored;
  for (std::int64_t done = 0; done < out.numel();) {
    const std::int64_t at = begin + done;
    const std::int64_t left = out.numel() - done;
    // Up to the next chunk, or the rest, or a whole chunk.
    const bool whole = at % chunk == 0 && left >= chunk;
    const std::int64_t count = at % chunk != 0 ? std::min(left, chunk - at % chunk)
                               : whole         ? chunk
                                               : left;
    const View part =
        flat_view(out.as<std::byte>() + done * size_of(out.dtype), out.dtype, count);
    if (whole) {
      read_chunk(id, static_cast<hsize_t>(at), part, stored, where);
    } else {
      read_range(id, static_cast<hsize_t>(at), part, where);
    }
    done += count;
  }
}

std::int64_t shard_chunk_elements(DType dtype) {
  return static_cast<std::int64_t>(chunk_elements(dtype, std::numeric_limits<hsize_t>::max()));
}

}  // namespace moe::checkpoint
