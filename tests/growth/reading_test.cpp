// What a read of a result reads of its source: no more than it needs, and a bounded piece at a time.
#include <atomic>

#include "growth/computed_source.h"
#include "growth/densify.h"
#include "growth/expand.h"
#include "growth/prune.h"
#include "growth/slices.h"
#include "growth/sparsify.h"
#include "growth/tiny_models.h"

namespace moe::growth {
namespace {

/// Counts what is read of another source.
class CountingSource : public checkpoint::TensorSource {
 public:
  explicit CountingSource(std::shared_ptr<const checkpoint::TensorSource> source)
      : source_(std::move(source)) {}
  std::string description() const override { return source_->description(); }
  const std::vector<std::string>& names() const override { return source_->names(); }
  const checkpoint::TensorInfo* find(const std::string& name) const override {
    return source_->find(name);
  }
  std::int64_t total() const { return total_; }
  std::int64_t largest() const { return largest_; }
  void reset() { total_ = largest_ = 0; }

 protected:
  void read_slice(const std::string& name, const checkpoint::TensorInfo&, const Slice& slice,
                  const View& out) const override {
    total_ += slice.numel();
    largest_ = std::max(largest_.load(), slice.numel());
    source_->read(name, slice, out);
  }

 private:
  std::shared_ptr<const checkpoint::TensorSource> source_;
  mutable std::atomic<std::int64_t> total_{0};
  mutable std::atomic<std::int64_t> largest_{0};
};

struct Counted {
  std::shared_ptr<CountingSource> counter;
  ModelSource source;
};

Counted counted(const ModelConfig& config) {
  const ModelSource source = testing::random_source(config);
  auto counter = std::make_shared<CountingSource>(source.weights);
  return {counter, {config, counter}};
}

Slice rows_of(const Shape& shape, std::int64_t begin, std::int64_t count) {
  Slice slice = whole(shape);
  const std::int64_t row = shape.numel() / shape[0];
  slice.flat_begin = begin * row;
  slice.flat_end = (begin + count) * row;
  return slice;
}

TEST(Reading, NothingIsReadBeforeItIsAskedFor) {
  const Counted dense = counted(testing::tiny_dense());
  for (const char* method : {"copy", "drop"}) {
    (void)make_sparsify({.method = method})->apply(dense.source, {});
  }
  EXPECT_EQ(dense.counter->total(), 0);
  const Counted sparse = counted(testing::tiny_sparse(4, 2));
  (void)make_expand({.num_experts = 8})->apply(sparse.source, {});
  (void)make_densify({})->apply(sparse.source, {});
  EXPECT_EQ(sparse.counter->total(), 0);
}

struct ReadingRow {
  const char* what;
  SparsifyConfig options;
};

TEST(Reading, AnExpertCostsItsOwnElements) {
  const std::vector<ReadingRow> rows{
      {"copy", {}},
      {"granular", {.method = "granular", .granularity = 2}},
      {"shared", {.shared_experts = 1}},
      {"noise", {.noise_std = 1.0}},
  };
  for (const ReadingRow& row : rows) {
    SCOPED_TRACE(row.what);
    const Counted dense = counted(testing::tiny_dense());
    const auto result = make_sparsify(row.options)->apply(dense.source, {});
    for (const char* part : {"experts.gate_up", "experts.down"}) {
      const std::string name = sparse_name(1, part);
      const Slice slice = rows_of(result->info(name).shape, 3, 2);
      dense.counter->reset();
      (void)testing::bytes_of(*result, name, slice);
      EXPECT_EQ(dense.counter->total(), slice.numel()) << part;
      dense.counter->reset();
      Slice one = slice;
      one.flat_end = one.flat_begin + 1;
      (void)testing::bytes_of(*result, name, one);
      EXPECT_EQ(dense.counter->total(), 1) << part;
    }
    dense.counter->reset();
    (void)testing::bytes_of(*result, sparse_name(1, "router"));
    EXPECT_EQ(dense.counter->total(), 0);
  }
}

TEST(Reading, DroppingReadsALayerOnceForItsStatistics) {
  const Counted dense = counted(testing::tiny_dense());
  const auto result = make_sparsify({.method = "drop", .ratio = 0.5})->apply(dense.source, {});
  const std::string name = sparse_name(1, "experts.gate_up");
  const Slice slice = rows_of(result->info(name).shape, 3, 1);
  (void)testing::bytes_of(*result, name, slice);
  const std::int64_t layer = 3 * 24 * 12;
  EXPECT_EQ(dense.counter->total(), layer + slice.numel() / 2);
  dense.counter->reset();
  (void)testing::bytes_of(*result, name, slice);
  EXPECT_EQ(dense.counter->total(), slice.numel() / 2);
}

/// What is computed is computed a chunk at a time, however large the tensor.
TEST(Reading, PiecesAreBounded) {
  ModelConfig config = testing::tiny_dense();
  config.num_hidden_layers = 1;
  config.hidden_size = 1 << 8;
  config.intermediate_size = 3 << 12;
  const Counted dense = counted(config);
  const SparsifyConfig scaled{.method = "granular",
                              .num_experts = 3,
                              .num_experts_per_tok = 3,
                              .granularity = 3};
  const SparsifyConfig dropped{.method = "drop", .num_experts = 2};
  for (const SparsifyConfig& options : {scaled, dropped}) {
    const auto result = make_sparsify(options)->apply(dense.source, {});
    dense.counter->reset();
    (void)testing::bytes_of(*result, sparse_name(0, "experts.down"));
    // A chunk, and the rows it begins and ends in.
    EXPECT_LE(dense.counter->largest(), kChunkElements + 2 * config.intermediate_size);
  }
}

TEST(Reading, CopiesAndInversesCostWhatTheyAreMadeOf) {
  const Counted sparse = counted(testing::tiny_sparse(4, 2));
  const std::string down = sparse_name(0, "experts.down");
  const auto larger = make_expand({.num_experts = 12})->apply(sparse.source, {});
  sparse.counter->reset();
  const Slice slice = rows_of(larger->info(down).shape, 5, 2);
  (void)testing::bytes_of(*larger, down, slice);
  EXPECT_EQ(sparse.counter->total(), slice.numel());
  const auto dense = make_densify({})->apply(sparse.source, {});
  sparse.counter->reset();
  const Slice rows = rows_of(dense->info(dense_name(0, "down")).shape, 1, 1);
  (void)testing::bytes_of(*dense, dense_name(0, "down"), rows);
  EXPECT_EQ(sparse.counter->total(), 4 * rows.numel());
}

}  // namespace
}  // namespace moe::growth
