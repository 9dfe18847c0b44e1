#include "parallel/grad_reducer.h"

#include <cmath>
#include <cstring>
#include <map>

#include "autograd/tape.h"
#include "base/format.h"
#include "support/context_test.h"
#include "support/expect_close.h"
#include "support/thread_ranks.h"
#include "support/tied_model.h"

namespace moe::parallel {
namespace {

using testing::same_bits;

/// A model without arithmetic: each parameter's gradient is a known function of rank, micro-batch
/// and global index.
class Parameters {
 public:
  explicit Parameters(const mesh::ProcessMesh& mesh) : mesh_(mesh) {
    declare("norm", {7}, ParameterKind::Norm, {});
    declare("experts", {8, 3, 5}, ParameterKind::Expert, Placement().split(0, Role::Expert));
    declare("unused", {11}, ParameterKind::Mlp, {});
    declare("dense", {40, 3}, ParameterKind::Mlp, {});
    declare("router", {8, 6}, ParameterKind::Router, {});
    declare("more_experts", {8, 2}, ParameterKind::Expert, Placement().split(0, Role::Expert));
  }

  std::vector<nn::Parameter*> all() const {
    std::vector<nn::Parameter*> pointers;
    for (const auto& parameter : parameters_) pointers.push_back(parameter.get());
    return pointers;
  }

  static double value(const std::string& name, int rank, int micro_batch, std::int64_t index) {
    return Random(11, format("{}.{}.{}", name, rank, micro_batch))
        .normal(static_cast<std::uint64_t>(index));
  }

  /// Forward and backward of one micro-batch.
  void play(int micro_batch) {
    Tape tape;
    std::vector<Variable> outputs;
    std::vector<Tensor> seeds;
    {
      const TapeScope scope(&tape);
      for (const auto& parameter : parameters_) {
        if (parameter->name() != "unused") outputs.push_back(use(*parameter, micro_batch));
      }
    }
    seeds.resize(outputs.size());
    tape.backward(outputs, seeds);
  }

 private:
  void declare(const char* name, const Shape& shape, ParameterKind kind, Placement placement) {
    auto parameter = std::make_unique<nn::Parameter>(
        nn::ParameterSpec{name, shape, kind, placement, nn::Initializer::normal(1.0)});
    parameter->place(mesh_.layout().role_shares(placement, mesh_.rank()));
    parameter->materialize(DType::F32, 1);
    parameters_.push_back(std::move(parameter));
  }

  Variable use(nn::Parameter& parameter, int micro_batch) {
    return Tape::current()->record_one(
        "use", Tensor::zeros({1}, DType::F32),
        [this, micro_batch, &parameter, use = parameter.use()](const Tensor&) {
          const bool add = parameter.begin_write() == 1.0F;
          auto gradient = parameter.gradient().span<float>();
          for (std::size_t i = 0; i < gradient.size(); ++i) {
            const auto index = global_index(parameter.slice(), static_cast<std::int64_t>(i));
            const auto more =
                static_cast<float>(value(parameter.name(), mesh_.rank(), micro_batch, index));
            gradient[i] = add ? gradient[i] + more : more;
          }
        });
  }

  const mesh::ProcessMesh& mesh_;
  std::vector<std::unique_ptr<nn::Parameter>> parameters_;
};

struct Layout {
  int ranks;
  int expert;
};

const std::vector<Layout>& layouts() {
  static const std::vector<Layout> table{{1, 1}, {2, 1}, {2, 2}, {4, 2}, {4, 4}};
  return table;
}

void on_each_layout(const std::function<void(const mesh::ProcessMesh&)>& body) {
  for (const Layout& layout : layouts()) {
    testing::run_ranks(layout.ranks, [&](comm::Group& world) {
      const mesh::ProcessMesh mesh(
          mesh::MeshLayout({.data_replicate = layout.ranks, .expert = layout.expert}, layout.ranks),
          world);
      body(mesh);
    });
  }
}

void run_step(GradReducer& reducer, Parameters& parameters, int micro_batches) {
  reducer.begin_step();
  for (int m = 0; m < micro_batches; ++m) {
    if (m + 1 == micro_batches) reducer.begin_last_micro_batch();
    parameters.play(m);
  }
  reducer.finish();
}

/// Over the ranks that hold the same slice: all of them for dense parameters, replicas for experts.
double serial_sum(const mesh::ProcessMesh& mesh, const nn::Parameter& parameter, int micro_batches,
                  std::int64_t index) {
  double sum = 0.0;
  for (const int rank : mesh.layout().holders(parameter.spec().placement, mesh.rank())) {
    for (int m = 0; m < micro_batches; ++m) {
      sum += Parameters::value(parameter.name(), rank, m, index);
    }
  }
  return sum;
}

TEST(GradReducer, SumsEqualTheSerialOnesForExpertsAndDense) {
  on_each_layout([](const mesh::ProcessMesh& mesh) {
    for (const int micro_batches : {1, 4}) {
      Parameters parameters(mesh);
      GradReducer reducer(parameters.all(), mesh);
      for (int step = 0; step < 2; ++step) run_step(reducer, parameters, micro_batches);
      for (const nn::Parameter* parameter : parameters.all()) {
        if (parameter->name() == "unused") continue;
        std::vector<double> expected;
        for (std::int64_t i = 0; i < parameter->slice().numel(); ++i) {
          expected.push_back(
              serial_sum(mesh, *parameter, micro_batches, global_index(parameter->slice(), i)));
        }
        EXPECT_TRUE(testing::close_to(parameter->gradient(),
                                      Tensor::from(expected, parameter->slice().size, DType::F64),
                                      DType::F32, mesh.size() * micro_batches))
            << parameter->name() << " on " << to_string(mesh.layout());
      }
    }
  });
}

TEST(GradReducer, BucketSizeAndOverlapChangeNoBit) {
  on_each_layout([](const mesh::ProcessMesh& mesh) {
    std::map<std::string, Tensor> first;
    for (const std::int64_t bytes : {std::int64_t{25} << 20, std::int64_t{600}, std::int64_t{1}}) {
      for (const bool overlap : {true, false}) {
        Parameters parameters(mesh);
        GradReducer reducer(parameters.all(), mesh, {.bucket_bytes = bytes, .overlap = overlap});
        if (bytes == 1) {
          EXPECT_EQ(reducer.bucket_count(), 6);
        }
        run_step(reducer, parameters, 3);
        for (const nn::Parameter* parameter : parameters.all()) {
          const auto [at, added] = first.emplace(parameter->name(), parameter->gradient().clone());
          if (!added) {
            EXPECT_TRUE(same_bits(parameter->gradient(), at->second)) << parameter->name();
          }
        }
      }
    }
  });
}

/// From the last declared: 16, 48, 128, 16, 128 and 16 elements of 4 bytes, padded to 16.
TEST(GradReducer, BucketsHoldAsManyBytesAsTheyMay) {
  struct Row {
    std::int64_t bytes, buckets;
  };
  for (const Row& row : std::initializer_list<Row>{
           {1408, 1}, {1407, 2}, {600, 3}, {576, 3}, {575, 5}, {255, 6}, {1, 6}}) {
    testing::run_ranks(1, [&](comm::Group& world) {
      const mesh::ProcessMesh mesh(mesh::MeshLayout({}, 1), world);
      const Parameters parameters(mesh);
      const GradReducer reducer(parameters.all(), mesh, {.bucket_bytes = row.bytes});
      EXPECT_EQ(reducer.bucket_count(), row.buckets) << row.bytes << " bytes";
    });
  }
}

TEST(GradReducer, AParameterWithoutUseIsExactlyZeroWhateverWasThere) {
  on_each_layout([](const mesh::ProcessMesh& mesh) {
    for (const bool overlap : {true, false}) {
      Parameters parameters(mesh);
      GradReducer reducer(parameters.all(), mesh, {.bucket_bytes = 1, .overlap = overlap});
      const nn::Parameter& unused = *parameters.all()[2];
      for (int step = 0; step < 2; ++step) {
        run_step(reducer, parameters, 1);
        EXPECT_EQ(unused.gradient().to_vector(), std::vector<double>(11, 0.0));
        EXPECT_EQ(reducer.count_non_finite(), 0);
        // The next step takes the same memory again.
        for (const nn::Parameter* parameter : parameters.all()) {
          const Storage& memory = *parameter->gradient().storage();
          std::memset(memory.data(), 0xFF, static_cast<std::size_t>(memory.bytes()));  // NaN
        }
      }
    }
  });
}

/// Forward may use the memory: it is taken at the first write, bucket by bucket.
TEST(GradReducer, GradientsTakeMemoryFromTheirFirstWriteToTheNextStep) {
  on_each_layout([](const mesh::ProcessMesh& mesh) {
    Parameters parameters(mesh);
    GradReducer reducer(parameters.all(), mesh, {.bucket_bytes = 1});
    const auto held = [] {
      return current_context().allocator.account(MemoryCategory::Gradients).bytes;
    };
    std::int64_t all = 0;
    for (const nn::Parameter* parameter : parameters.all()) {
      all += (parameter->slice().numel() + 15) / 16 * 16 * size_of(DType::F32);
    }
    for (int step = 0; step < 2; ++step) {
      reducer.begin_step();
      EXPECT_EQ(held(), 0);
      parameters.all()[3]->zero_unless_written();
      EXPECT_EQ(held(), parameters.all()[3]->slice().numel() * size_of(DType::F32) + 32);
      parameters.all()[3]->zero_unless_written();
      reducer.begin_last_micro_batch();
      parameters.play(0);
      reducer.finish();
      EXPECT_EQ(held(), all);
    }
  });
}

TEST(GradReducer, ExpertsAndDenseParametersNeverShareABucket) {
  testing::run_ranks(4, [](comm::Group& world) {
    const mesh::ProcessMesh mesh(mesh::MeshLayout({.data_replicate = 4, .expert = 2}, 4), world);
    Parameters parameters(mesh);
    GradReducer reducer(parameters.all(), mesh);
    EXPECT_EQ(reducer.bucket_count(), 2);
    run_step(reducer, parameters, 1);
    std::map<const Storage*, bool> holds_experts;
    for (const nn::Parameter* parameter : parameters.all()) {
      const bool expert = parameter->kind() == ParameterKind::Expert;
      const auto [at, added] = holds_experts.emplace(parameter->gradient().storage().get(), expert);
      EXPECT_EQ(at->second, expert) << parameter->name();
    }
  });
}

TEST(GradReducer, TheNormCountsEveryElementOnce) {
  on_each_layout([](const mesh::ProcessMesh& mesh) {
    Parameters parameters(mesh);
    GradReducer reducer(parameters.all(), mesh);
    run_step(reducer, parameters, 2);
    double squares = 0.0;
    for (const nn::Parameter* parameter : parameters.all()) {
      if (parameter->name() == "unused") continue;
      const bool expert = parameter->kind() == ParameterKind::Expert;
      const std::int64_t rows = parameter->spec().shape[0];
      for (std::int64_t i = 0; i < parameter->spec().shape.numel(); ++i) {
        const auto owner = static_cast<int>(i / (parameter->spec().shape.numel() / rows) /
                                            (rows / mesh.layout().degrees().expert));
        double sum = 0.0;
        for (int rank = 0; rank < mesh.size(); ++rank) {
          if (expert && mesh.layout().coordinates(rank).expert != owner) continue;
          for (int m = 0; m < 2; ++m) sum += Parameters::value(parameter->name(), rank, m, i);
        }
        squares += sum * sum;
      }
    }
    const double expected = std::sqrt(squares);
    EXPECT_NEAR(reducer.gradient_norm(), expected,
                expected * testing::tolerance(DType::F32, mesh.size() * 2));
  });
}

/// Two ranks train the tied model on two batches; one rank accumulates the same two.
TEST(GradReducer, ATiedParameterIsSummedOnceAfterBothUses) {
  for (const bool overlap : {true, false}) {
    {
      DeviceContext context(1, detect_cpu_isa());
      const ContextScope scope(context);
      testing::TiedModel model(DType::F32);
      model.backward(0);
      const std::vector<double> sum = model.backward(1).to_vector();
      const Tensor serial = Tensor::from(sum, model.table->value().shape(), DType::F64);
      testing::run_ranks(2, [&](comm::Group& world) {
        const mesh::ProcessMesh mesh(mesh::MeshLayout({.data_replicate = 2}, 2), world);
        nn::Parameter table(
            {"table", model.table->value().shape(), ParameterKind::Embedding, {}, {}});
        table.allocate(DType::F32);
        table.master().copy_from(model.table->value());
        testing::TiedModel mine(DType::F32);
        GradReducer reducer({&table}, mesh, {.overlap = overlap});
        reducer.begin_step();
        reducer.begin_last_micro_batch();
        Tape tape;
        Variable loss;
        {
          const TapeScope recording(&tape);
          const Tensor token =
              testing::random_ids(format("token{}", world.rank()), mine.kTokens, mine.kVocab);
          const Tensor target =
              testing::random_ids(format("target{}", world.rank()), mine.kTokens, mine.kVocab);
          const Variable x = ops::linear(ops::embedding(token, table), *mine.middle);
          loss = ops::linear_cross_entropy(x, table, target, 0.25).loss;
        }
        tape.backward(loss);
        reducer.finish();
        EXPECT_TRUE(testing::close_to(table.gradient(), serial, DType::F32, 2 * mine.kTokens));
      });
    }
  }
}

}  // namespace
}  // namespace moe::parallel
