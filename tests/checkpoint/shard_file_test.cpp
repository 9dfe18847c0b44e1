// Files that HDF5 would read but that no save of ours makes are refused.
#include "checkpoint/shard_file.h"

#include <gtest/gtest.h>
#include <hdf5.h>

#include <fstream>

#include "base/error.h"
#include "checkpoint/shard_image.h"
#include "checkpoint/support.h"

namespace moe::checkpoint {
namespace {

using testing::TemporaryFolder;

const std::vector<float> kValues{1, 2, 3, 4, 5};

void write_shard(const Path& path) {
  ShardImage image(ShardImage::bytes_of(DType::F32, 5));
  image.add("w", flat_view(kValues.data(), DType::F32, 5));
  const FileImage file = image.finish();
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(file.bytes().data()),
             static_cast<std::streamsize>(file.bytes().size()));
}

TEST(ShardFile, ReadsWhatTheImageHolds) {
  const TemporaryFolder folder;
  const Path path = folder.path() / "x.h5";
  write_shard(path);
  const ShardFile shard(path, {{"w", DType::F32, 5}});
  std::vector<float> found(3);
  shard.read("w", 1, flat_view(found.data(), DType::F32, 3));
  EXPECT_EQ(found, (std::vector<float>{2, 3, 4}));
}

TEST(ShardFile, IsOfTheLatestFormatAndEndsWhereItsSuperblockSays) {
  const TemporaryFolder folder;
  const Path path = folder.path() / "x.h5";
  write_shard(path);
  const std::string bytes = read_file(path);
  EXPECT_EQ(bytes.substr(0, 8), "\x89HDF\r\n\x1a\n");
  EXPECT_EQ(bytes[8], 3);  // superblock version
  EXPECT_EQ(bytes[11], 0) << "no flag says that it is open for writing";
}

std::string refusal(const Path& path, const std::vector<ExpectedDataset>& expected) {
  try {
    const ShardFile shard(path, expected);
  } catch (const CheckpointError& error) {
    return error.what();
  }
  return "";
}

TEST(ShardFile, RefusesADatasetThatTheManifestDescribesOtherwise) {
  const TemporaryFolder folder;
  const Path path = folder.path() / "x.h5";
  write_shard(path);
  struct Row {
    std::vector<ExpectedDataset> expected;
    const char* phrase;
  };
  const Row rows[] = {
      {{{"w", DType::F64, 5}}, "not that of f64"},
      {{{"w", DType::I32, 5}}, "not that of i32"},
      {{{"w", DType::BF16, 10}}, "not that of bf16"},
      {{{"w", DType::F32, 6}}, "expected 6 elements, found 5"},
      {{{"v", DType::F32, 5}}, "cannot find the dataset"},
      {{}, "expected 0 datasets, found 1"},
      {{{"w", DType::F32, 5}, {"v", DType::F32, 5}}, "expected 2 datasets, found 1"},
  };
  for (const Row& row : rows) {
    EXPECT_NE(refusal(path, row.expected).find(row.phrase), std::string::npos)
        << row.phrase << ": " << refusal(path, row.expected);
  }
  EXPECT_NE(refusal(folder.path() / "absent.h5", {}), "");
  std::ofstream(folder.path() / "text.h5") << "not HDF5 at all";
  EXPECT_NE(refusal(folder.path() / "text.h5", {}).find("cannot open"), std::string::npos);
}

/// Builds an unusual file through HDF5 itself.
void craft(const Path& path, const std::function<void(hid_t file)>& body) {
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access);
  body(file);
  H5Fclose(file);
  H5Pclose(access);
}

struct DatasetTweak {
  std::function<void(hid_t properties)> properties = [](hid_t id) {
    const hsize_t chunk = 5;
    H5Pset_chunk(id, 1, &chunk);
    H5Pset_fletcher32(id);
  };
  const char* dtype = "f32";
  hsize_t limit = 5;
};

void craft_dataset(hid_t file, const char* name, const DatasetTweak& tweak) {
  const hsize_t count = 5;
  const hid_t space = H5Screate_simple(1, &count, &tweak.limit);
  const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
  tweak.properties(properties);
  const hid_t dataset =
      H5Dcreate2(file, name, H5T_IEEE_F32LE, space, H5P_DEFAULT, properties, H5P_DEFAULT);
  H5Dwrite(dataset, H5T_IEEE_F32LE, H5S_ALL, H5S_ALL, H5P_DEFAULT, kValues.data());
  if (tweak.dtype != nullptr) {
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, std::string(tweak.dtype).size());
    const hid_t scalar = H5Screate(H5S_SCALAR);
    const hid_t attribute = H5Acreate2(dataset, "dtype", type, scalar, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(attribute, type, tweak.dtype);
    H5Aclose(attribute);
    H5Sclose(scalar);
    H5Tclose(type);
  }
  H5Dclose(dataset);
  H5Pclose(properties);
  H5Sclose(space);
}

TEST(ShardFile, RefusesLinksFiltersExternalStorageAndStrangeAttributes) {
  const TemporaryFolder folder;
  const Path path = folder.path() / "x.h5";
  struct Row {
    const char* phrase;
    std::function<void(hid_t)> body;
  };
  const auto tweaked = [](const DatasetTweak& tweak) {
    return [tweak](hid_t file) { craft_dataset(file, "w", tweak); };
  };
  const Row rows[] = {
      {"soft or external link",
       [](hid_t file) { H5Lcreate_soft("/elsewhere", file, "w", H5P_DEFAULT, H5P_DEFAULT); }},
      {"soft or external link",
       [](hid_t file) {
         H5Lcreate_external("/etc/passwd", "/", file, "w", H5P_DEFAULT, H5P_DEFAULT);
       }},
      {"cannot open the dataset",
       [](hid_t file) { H5Gclose(H5Gcreate2(file, "w", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT)); }},
      {"external storage", tweaked({[](hid_t id) { H5Pset_external(id, "/etc/passwd", 0, 20); }})},
      {"not chunked", tweaked({[](hid_t) {}})},
      {"other than Fletcher32", tweaked({[](hid_t id) {
         const hsize_t chunk = 5;
         H5Pset_chunk(id, 1, &chunk);
       }})},
      {"other than Fletcher32", tweaked({[](hid_t id) {
         const hsize_t chunk = 5;
         H5Pset_chunk(id, 1, &chunk);
         H5Pset_deflate(id, 1);
       }})},
      {"other than Fletcher32", tweaked({[](hid_t id) {
         const hsize_t chunk = 5;
         H5Pset_chunk(id, 1, &chunk);
         H5Pset_shuffle(id);
         H5Pset_fletcher32(id);
       }})},
      {"chunks of 5 elements, found 2", tweaked({[](hid_t id) {
         const hsize_t chunk = 2;
         H5Pset_chunk(id, 1, &chunk);
         H5Pset_fletcher32(id);
       }})},
      {"of at most", tweaked({.limit = H5S_UNLIMITED})},
      {"expected one attribute", tweaked({.dtype = nullptr})},
      {"is not 'f32'", tweaked({.dtype = "f64"})},
      {"is not 'f32'", tweaked({.dtype = "float"})},
      {"attributes of its own",
       [&](hid_t file) {
         craft_dataset(file, "w", {});
         const hid_t scalar = H5Screate(H5S_SCALAR);
         H5Aclose(H5Acreate2(file, "note", H5T_STD_I32LE, scalar, H5P_DEFAULT, H5P_DEFAULT));
         H5Sclose(scalar);
       }},
  };
  for (const Row& row : rows) {
    craft(path, row.body);
    const std::string found = refusal(path, {{"w", DType::F32, 5}});
    EXPECT_NE(found.find(row.phrase), std::string::npos) << row.phrase << ": '" << found << "'";
  }
  craft(path, tweaked({}));
  EXPECT_EQ(refusal(path, {{"w", DType::F32, 5}}), "") << "the untweaked dataset is accepted";
}

TEST(ShardFile, AChangedChunkIsNoticedByItsChecksum) {
  const TemporaryFolder folder;
  const Path path = folder.path() / "x.h5";
  write_shard(path);
  std::string bytes = read_file(path);
  const std::string payload(reinterpret_cast<const char*>(kValues.data()), 20);
  const std::size_t at = bytes.find(payload);
  ASSERT_NE(at, std::string::npos);
  bytes[at + 3] ^= 1;
  std::ofstream(path, std::ios::binary) << bytes;
  const ShardFile shard(path, {{"w", DType::F32, 5}});
  std::vector<float> found(5);
  EXPECT_THROW(shard.read("w", 0, flat_view(found.data(), DType::F32, 5)), CheckpointError);
}

}  // namespace
}  // namespace moe::checkpoint
