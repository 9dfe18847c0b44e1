#include "checkpoint/shard_image.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/format.h"
#include "checkpoint/durable.h"
#include "checkpoint/fletcher32.h"
#include "checkpoint/hdf5_handle.h"

namespace moe::checkpoint {
namespace {

constexpr const char* kWhere = "checkpoint image";
// Superblock, root group, and the space that HDF5 sets aside for small things.
constexpr std::size_t kMetadataReserve = std::size_t{1} << 16;
constexpr std::int64_t kDatasetMetadata = 2048;  // header, attribute, link
constexpr std::int64_t kChunkMetadata = 32;      // in the dataset's index
constexpr std::size_t kEndOfFileOffset = 28;  // in the superblock of versions 2 and 3

/// The memory behind HDF5's core driver. Owned here, so that closing the file leaves it to us.
struct Memory {
  void* data = nullptr;
  std::size_t size = 0;
  FileImage spent = {};  ///< memory to begin with
};

/// Huge pages where there are any: an image is written once, so page faults are much of its cost.
void* allocate_pages(std::size_t size) {
  constexpr std::size_t kHugePage = std::size_t{2} << 20;
  if (size < kHugePage) return std::malloc(size);
  void* data = std::aligned_alloc(kHugePage, (size + kHugePage - 1) / kHugePage * kHugePage);
  if (data != nullptr) ::madvise(data, size, MADV_HUGEPAGE);
  return data;
}

void* resize_memory(void* data, std::size_t size, H5FD_file_image_op_t, void* user) {
  auto* memory = static_cast<Memory*>(user);
  const bool reuses = data == nullptr && size <= memory->spent.capacity();
  if (!reuses) memory->spent = {};  // before there is other memory beside it
  void* moved = reuses ? memory->spent.release() : allocate_pages(size);
  if (moved == nullptr) return nullptr;
  if (data != nullptr) std::memcpy(moved, data, std::min(size, memory->size));
  std::free(data);
  memory->data = moved;
  memory->size = size;
  return moved;
}

void* allocate_memory(std::size_t size, H5FD_file_image_op_t operation, void* user) {
  return resize_memory(nullptr, size, operation, user);
}

void* copy_memory(void* to, const void* from, std::size_t size, H5FD_file_image_op_t, void*) {
  return std::memcpy(to, from, size);
}

herr_t keep_memory(void*, H5FD_file_image_op_t, void*) {
  return 0;
}
void* share_user(void* user) {
  return user;
}
herr_t release_user(void*) {
  return 0;
}

Handle memory_access(Memory& memory, std::size_t reserve) {
  Handle access = latest_format_access();
  H5FD_file_image_callbacks_t callbacks{allocate_memory, copy_memory,  resize_memory, keep_memory,
                                        share_user,      release_user, &memory};
  require_hdf5(H5Pset_fapl_core(access.get(), reserve, 0) >= 0 &&
                   H5Pset_file_image_callbacks(access.get(), &callbacks) >= 0,
               kWhere, "set up the core driver");
  return access;
}

Handle dataset_properties(DType dtype, hsize_t count) {
  Handle properties = checked(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, kWhere, "create properties");
  const hsize_t chunk = chunk_elements(dtype, count);
  const hid_t id = properties.get();
  const bool good = H5Pset_chunk(id, 1, &chunk) >= 0 && H5Pset_fletcher32(id) >= 0 &&
                    H5Pset_fill_time(id, H5D_FILL_TIME_NEVER) >= 0 &&
                    H5Pset_alloc_time(id, H5D_ALLOC_TIME_EARLY) >= 0 &&
                    H5Pset_obj_track_times(id, false) >= 0;
  require_hdf5(good, kWhere, "describe a dataset");
  return properties;
}

void write_dtype_attribute(hid_t dataset, DType dtype, const std::string& name) {
  const std::string_view text = to_string(dtype);
  const Handle type = checked(H5Tcopy(H5T_C_S1), H5Tclose, name, "copy a type");
  require_hdf5(H5Tset_size(type.get(), text.size()) >= 0, name, "size a text");
  const Handle space = checked(H5Screate(H5S_SCALAR), H5Sclose, name, "create a space");
  const Handle attribute = checked(
      H5Acreate2(dataset, kDTypeAttribute, type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT),
      H5Aclose, name, "create its dtype attribute");
  require_hdf5(H5Awrite(attribute.get(), type.get(), text.data()) >= 0, name,
               "write its dtype attribute");
}

/// Chunk by chunk as they stand in the file, past HDF5's filters: most of a save's time went there. The
/// last chunk is filled up with zeros.
void write_chunks(hid_t dataset, const View& data, const std::string& name) {
  const auto count = static_cast<hsize_t>(data.numel());
  const hsize_t chunk = chunk_elements(data.dtype, count);
  const auto element = static_cast<std::size_t>(size_of(data.dtype));
  const std::size_t chunk_bytes = static_cast<std::size_t>(chunk) * element;
  std::vector<std::byte> stored(chunk_bytes + kFletcherBytes);
  const std::span<const std::byte> payload(stored.data(), chunk_bytes);
  for (hsize_t at = 0; at < count; at += chunk) {
    const std::size_t bytes = static_cast<std::size_t>(std::min(chunk, count - at)) * element;
    std::memcpy(stored.data(), data.as<std::byte>() + static_cast<std::size_t>(at) * element, bytes);
    std::memset(stored.data() + bytes, 0, chunk_bytes - bytes);
    static_assert(std::endian::native == std::endian::little);
    const std::uint32_t checksum = fletcher32(payload);
    std::memcpy(stored.data() + chunk_bytes, &checksum, kFletcherBytes);
    require_hdf5(H5Dwrite_chunk(dataset, H5P_DEFAULT, 0, &at, stored.size(), stored.data()) >= 0,
                 name, "write the dataset");
  }
}

}  // namespace

struct ShardImage::State {
  Memory memory;
  Handle file;
  ~State() {
    file.reset();
    std::free(memory.data);
  }
};

std::int64_t ShardImage::bytes_of(DType dtype, std::int64_t elements) {
  const auto chunk = static_cast<std::int64_t>(chunk_elements(dtype, static_cast<hsize_t>(elements)));
  const std::int64_t chunks = (elements + chunk - 1) / chunk;
  return chunks * (chunk * size_of(dtype) + static_cast<std::int64_t>(kFletcherBytes) + kChunkMetadata) + kDatasetMetadata;
}

ShardImage::ShardImage(std::int64_t bytes, FileImage spent) : state_(std::make_unique<State>()) {
  prepare_hdf5();
  state_->memory.spent = std::move(spent);
  // Were it too little, HDF5 would move the image into twice the memory.
  const Handle access = memory_access(state_->memory, static_cast<std::size_t>(bytes) + kMetadataReserve);
  // The core driver tells open files apart by name, in the whole process.
  const std::string name = "image-" + unique_suffix();
  state_->file = checked(H5Fcreate(name.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get()),
                         H5Fclose, kWhere, "create a file in memory");
}

ShardImage::~ShardImage() = default;

void ShardImage::add(const std::string& dataset, const View& data) {
  prepare_hdf5();
  const auto count = static_cast<hsize_t>(data.numel());
  const Handle type = hdf5_type(data.dtype);
  const Handle space =
      checked(H5Screate_simple(1, &count, nullptr), H5Sclose, dataset, "create a space");
  const Handle properties = dataset_properties(data.dtype, count);
  const Handle created =
      checked(H5Dcreate2(state_->file.get(), dataset.c_str(), type.get(), space.get(), H5P_DEFAULT,
                         properties.get(), H5P_DEFAULT),
              H5Dclose, dataset, "create the dataset");
  write_dtype_attribute(created.get(), data.dtype, dataset);
  write_chunks(created.get(), data, dataset);
}

FileImage ShardImage::finish() {
  prepare_hdf5();
  require_hdf5(state_->file.reset(), kWhere, "close the file in memory");
  Memory& memory = state_->memory;
  std::uint64_t end = 0;
  if (memory.size >= kEndOfFileOffset + sizeof end) {
    std::memcpy(&end, static_cast<const char*>(memory.data) + kEndOfFileOffset, sizeof end);
  }
  if (end == 0 || end > memory.size) {
    throw CheckpointError(
        format("{}: HDF5 says it ends at byte {} of {}", kWhere, end, memory.size));
  }
  return {std::exchange(memory.data, nullptr), static_cast<std::size_t>(end), memory.size};
}

std::string hdf5_version() {
  unsigned major = 0;
  unsigned minor = 0;
  unsigned release = 0;
  prepare_hdf5();
  H5get_libversion(&major, &minor, &release);
  return format("{}.{}.{}", major, minor, release);
}

}  // namespace moe::checkpoint
