// Property 8 of model growth, its part in one process: reads do not depend on slices, order or threads, and
// take no more of the source than they need.
#include <mutex>
#include <thread>

#include "growth/support.h"

namespace moe::growth {
namespace {

/// Counts what is read of a source.
class Watched : public checkpoint::TensorSource {
 public:
  explicit Watched(std::shared_ptr<const checkpoint::TensorSource> source)
      : source_(std::move(source)) {}
  std::string description() const override { return "watched"; }
  const std::vector<std::string>& names() const override { return source_->names(); }
  const checkpoint::TensorInfo* find(const std::string& name) const override {
    return source_->find(name);
  }
  std::int64_t elements() const { return elements_; }
  std::int64_t largest() const { return largest_; }

 protected:
  void read_slice(const std::string& name, const checkpoint::TensorInfo&, const Slice& slice,
                  const View& out) const override {
    const std::lock_guard lock(mutex_);
    elements_ += slice.numel();
    largest_ = std::max(largest_, slice.numel());
    source_->read(name, slice, out);
  }

 private:
  std::shared_ptr<const checkpoint::TensorSource> source_;
  mutable std::mutex mutex_;
  mutable std::int64_t elements_ = 0;
  mutable std::int64_t largest_ = 0;
};

std::vector<std::byte> bytes_of(const checkpoint::TensorSource& source, const std::string& name,
                                const Slice& slice) {
  const DType dtype = source.info(name).dtype;
  std::vector<std::byte> bytes(static_cast<std::size_t>(slice.numel() * size_of(dtype)));
  source.read(name, slice, checkpoint::flat_view(bytes.data(), dtype, slice.numel()));
  return bytes;
}

/// A box and a flat range in it, drawn.
Slice random_slice(const Shape& shape, const Random& random, std::uint64_t draw) {
  Slice slice = whole(shape);
  for (int dim = 0; dim < shape.rank(); ++dim) {
    const auto d = static_cast<std::uint64_t>(dim);
    const auto size = static_cast<std::uint64_t>(shape[dim]);
    const std::uint64_t begin = random.below(size, draw * 100 + d);
    slice.begin[static_cast<std::size_t>(dim)] = static_cast<std::int64_t>(begin);
    slice.size.set(dim, static_cast<std::int64_t>(random.below(size - begin, draw * 100 + 50 + d)) + 1);
  }
  const auto box = static_cast<std::uint64_t>(slice.size.numel());
  slice.flat_begin = static_cast<std::int64_t>(random.below(box, draw * 100 + 98));
  slice.flat_end = slice.flat_begin + static_cast<std::int64_t>(random.below(
                       box - static_cast<std::uint64_t>(slice.flat_begin), draw * 100 + 99)) + 1;
  return slice;
}

std::vector<ModelSource> grown_models(DType dtype) {
  ModelConfig dense = tiny_config();
  dense.attention_bias = dense.attention_output_bias = dense.tie_word_embeddings = true;
  dense.qk_norm = "whole";
  std::vector<ModelSource> models;
  for (const ModelConfig& config : {dense, tiny_moe_config()}) {
    const ModelSource source = random_model(config, dtype);
    for (const char* method : {"fpi", "aki", "exact", "lemon"}) {
      models.push_back(widen(source, {.method = method,
                                      .hidden_size = 19,
                                      .intermediate_size = 33,
                                      .num_attention_heads = 9,
                                      .num_key_value_heads = 3}));
    }
    models.push_back(deepen(models.back(), "identity", 5));
    models.push_back(widen(models.back(), {.hidden_size = 40}));
  }
  return models;
}

class Streaming : public GrowthTest {};

TEST_F(Streaming, Property8AnySliceHoldsTheBytesOfTheWhole) {
  for (const DType dtype : {DType::F32, DType::BF16, DType::F64}) {
    for (const ModelSource& model : grown_models(dtype)) {
      for (const std::string& name : model.weights->names()) {
        const Shape& shape = model.weights->info(name).shape;
        EXPECT_EQ(model.weights->info(name).dtype, dtype);
        const auto all = bytes_of(*model.weights, name, whole(shape));
        const Random random(11, name);
        for (std::uint64_t draw = 0; draw < 6; ++draw) {
          const Slice slice = random_slice(shape, random, draw);
          const auto part = bytes_of(*model.weights, name, slice);
          const auto width = static_cast<std::size_t>(size_of(dtype));
          for (std::int64_t i = slice.flat_begin; i < slice.flat_end; ++i) {
            const auto from = static_cast<std::size_t>(global_index(slice, i)) * width;
            const auto to = static_cast<std::size_t>(i - slice.flat_begin) * width;
            ASSERT_TRUE(std::equal(&all[from], &all[from] + width, &part[to]))
                << name << " " << to_string(slice);
          }
        }
      }
    }
  }
}

TEST_F(Streaming, ReadsConvertTheValuesThatAFileWouldHold) {
  for (const ModelSource& model : grown_models(DType::BF16)) {
    for (const std::string& name : model.weights->names()) {
      for (const double value : values_of(*model.weights, name)) {
        ASSERT_EQ(value, static_cast<double>(static_cast<float>(BFloat16(static_cast<float>(value)))));
      }
    }
  }
}

TEST_F(Streaming, Property8ThreadsReadTheSameBytes) {
  const ModelSource model = grown_models(DType::F32).back();
  const std::vector<std::string>& names = model.weights->names();
  std::vector<std::vector<std::byte>> alone(names.size());
  std::vector<std::vector<std::byte>> together(names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    alone[i] = bytes_of(*model.weights, names[i], whole(model.weights->info(names[i]).shape));
  }
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t i = t; i < names.size(); i += 4) {
        together[i] = bytes_of(*model.weights, names[i], whole(model.weights->info(names[i]).shape));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(alone, together);
}

TEST_F(Streaming, ReadsTakeWhatTheyNeedAndNoMore) {
  const ModelConfig config = tiny_config();
  const auto watched = std::make_shared<Watched>(random_weights(config));
  const ModelSource wide = widen({config, watched}, {.hidden_size = 16, .intermediate_size = 20});
  EXPECT_EQ(watched->elements(), 0);  // shapes only so far
  Slice slice = whole({2, 20, 16});
  slice.begin = {1, 3, 2};
  slice.size = {1, 4, 5};
  slice.flat_end = 20;
  bytes_of(*wide.weights, "layers.1.mlp.gate_up.weight", slice);
  EXPECT_EQ(watched->elements(), 20);
  const ModelSource silent = deepen({config, watched}, "identity", 4);
  bytes_of(*silent.weights, "layers.3.mlp.down.weight", whole({8, 10}));
  EXPECT_EQ(watched->elements(), 20);  // zeros are not read
}

/// A big tensor goes through in blocks.
TEST_F(Streaming, LargeTensorsAreReadInBlocks) {
  ModelConfig config = tiny_config();
  config.vocab_size = 1 << 16;
  config.hidden_size = 64;
  const auto watched = std::make_shared<Watched>(random_weights(config, DType::F32));
  const ModelSource wide = widen({config, watched}, {.hidden_size = 128});
  bytes_of(*wide.weights, "head.weight", whole({1 << 16, 128}));
  EXPECT_EQ(watched->elements(), (1 << 16) * 64);
  EXPECT_LE(watched->largest(), 1 << 20);
}

}  // namespace
}  // namespace moe::growth
