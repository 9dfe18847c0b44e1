// Models larger than the memory a conversion may take: peak <= largest tensor x 4 + 256 MiB.
#include <gtest/gtest.h>

#include <fstream>

#include "base/format.h"
#include "run/convert_run.h"
#include "support/bad_directories.h"
#include "support/temporary_folder.h"

namespace moe::run {
namespace {

using testing::TemporaryFolder;

/// A line of /proc/self/status. @unit KiB
std::int64_t status(const std::string& key) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key + ":")) return std::stoll(line.substr(key.size() + 1));
  }
  return -1;
}

/// Forgets the peak so far. False where the system does not allow it.
bool reset_peak() {
  std::ofstream file("/proc/self/clear_refs");
  file << "5" << std::flush;
  return file.good();
}

/// A Llama of `layers` layers as a sparse file of zeros: large, and written at once.
void write_zeros(const Path& folder, std::int64_t layers, std::int64_t width) {
  auto model = testing::tiny_llama();
  model.config["hidden_size"] = width;
  model.config["intermediate_size"] = width;
  model.config["num_hidden_layers"] = layers;
  model.config["num_key_value_heads"] = 2;
  testing::Json header = testing::Json::object();
  std::int64_t at = 0;
  const auto add = [&](const std::string& name, std::vector<std::int64_t> shape) {
    std::int64_t bytes = 4;
    for (const std::int64_t size : shape) bytes *= size;
    header[name] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {at, at + bytes}}};
    at += bytes;
  };
  add("model.embed_tokens.weight", {10, width});
  add("lm_head.weight", {10, width});
  add("model.norm.weight", {width});
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    const std::string prefix = format("model.layers.{}.", layer);
    for (const char* norm : {"input", "post_attention"}) {
      add(prefix + norm + "_layernorm.weight", {width});
    }
    for (const char* name : {"self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o", "mlp.gate",
                             "mlp.up", "mlp.down"}) {
      add(prefix + name + "_proj.weight", {width, width});
    }
  }
  model.tensors.clear();
  model.files["model.safetensors"] = testing::safetensors_bytes(header.dump(), "");
  model.write(folder);
  const Path file = folder / "model.safetensors";
  std::filesystem::resize_file(file, std::filesystem::file_size(file) + static_cast<std::uint64_t>(at));
}

/// @returns how far the memory rose above where it stood. @unit KiB
std::int64_t rise(const Path& source, const Path& output, ModelFormat format,
                  std::optional<DType> dtype = {}) {
  ConvertOptions options;
  options.source = source;
  options.write.output = output;
  options.write.format = format;
  options.write.progress = false;
  options.write.dtype = dtype;
  if (!reset_peak()) return -1;
  const std::int64_t before = status("VmRSS");
  (void)convert_model(options);
  return status("VmHWM") - before;
}

TEST(ConvertMemory, StaysWithinTheBoundWhateverTheModel) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer keeps freed memory for a while";
#endif
  constexpr std::int64_t kWidth = 1024;                     // tensors of 4 MiB, gate and up of 8
  constexpr std::int64_t kLargest = 2 * kWidth * kWidth * 4;  // bytes
  constexpr std::int64_t kBound = (4 * kLargest + (std::int64_t{256} << 20)) / 1024;
  const TemporaryFolder folder(true);
  write_zeros(folder / "hf", 20, kWidth);  // 560 MiB
  const std::int64_t in = rise(folder / "hf", folder / "native", ModelFormat::Native);
  if (in < 0) GTEST_SKIP() << "/proc/self/clear_refs cannot be written";
  EXPECT_LE(in, kBound);
  EXPECT_GT(in, 0);
  EXPECT_LE(rise(folder / "native", folder / "out", ModelFormat::HuggingFace), kBound);
  EXPECT_LE(rise(folder / "native", folder / "half", ModelFormat::Native, DType::BF16), kBound);
  EXPECT_LE(rise(folder / "hf", folder / "bf16", ModelFormat::HuggingFace, DType::BF16), kBound);
}

}  // namespace
}  // namespace moe::run
