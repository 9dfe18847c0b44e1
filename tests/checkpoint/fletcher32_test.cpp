#include "checkpoint/fletcher32.h"

#include <gtest/gtest.h>
#include <hdf5.h>

#include <cstring>
#include <random>
#include <vector>

#include "checkpoint/hdf5_handle.h"

namespace moe::checkpoint {
namespace {

/// What HDF5 itself puts behind a chunk of these bytes.
std::uint32_t by_hdf5(const std::vector<unsigned char>& bytes) {
  prepare_hdf5();
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_fapl_core(access.get(), 1 << 16, 0);
  const Handle file(H5Fcreate("fletcher", H5F_ACC_TRUNC, H5P_DEFAULT, access.get()), H5Fclose);
  const hsize_t size = bytes.size();
  const Handle space(H5Screate_simple(1, &size, nullptr), H5Sclose);
  const Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_chunk(properties.get(), 1, &size);
  H5Pset_fletcher32(properties.get());
  const Handle data(H5Dcreate2(file.get(), "d", H5T_STD_U8LE, space.get(), H5P_DEFAULT,
                               properties.get(), H5P_DEFAULT),
                    H5Dclose);
  H5Dwrite(data.get(), H5T_STD_U8LE, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data());
  H5Dflush(data.get());
  std::vector<unsigned char> stored(bytes.size() + kFletcherBytes);
  const hsize_t start = 0;
  std::uint32_t filters = 1;
  EXPECT_GE(H5Dread_chunk(data.get(), H5P_DEFAULT, &start, &filters, stored.data()), 0);
  EXPECT_EQ(filters, 0U);
  std::uint32_t checksum = 0;
  std::memcpy(&checksum, stored.data() + bytes.size(), kFletcherBytes);
  return checksum;
}

TEST(Fletcher32, IsWhatHdf5Computes) {
  std::mt19937 random(7);
  for (const std::size_t size : {1, 2, 3, 7, 719, 720, 721, 4095, 4096, 4097, 8192, 100'001}) {
    for (const int kind : {0, 1, 2, 3}) {
      std::vector<unsigned char> bytes(size);
      for (unsigned char& byte : bytes) {
        const auto drawn = static_cast<unsigned char>(random());
        byte = kind == 0 ? drawn : kind == 1 ? 0xff : kind == 2 ? 0 : drawn < 8 ? drawn : 0;
      }
      EXPECT_EQ(fletcher32(std::as_bytes(std::span(bytes))), by_hdf5(bytes)) << size << " " << kind;
    }
  }
}

TEST(Fletcher32, OfNothingIsZero) { EXPECT_EQ(fletcher32({}), 0U); }

}  // namespace
}  // namespace moe::checkpoint
