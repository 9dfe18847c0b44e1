#include "parallel/apply.h"

#include "base/format.h"
#include "support/context_test.h"
#include "support/expect_close.h"
#include "support/thread_ranks.h"

namespace moe::parallel {
namespace {

ModelConfig sparse_config() {
  ModelConfig config;
  config.vocab_size = 9;
  config.hidden_size = 8;
  config.num_hidden_layers = 3;
  config.num_attention_heads = 2;
  config.intermediate_size = 6;
  config.max_position_embeddings = 16;
  config.initializer_range = 0.4;
  config.num_experts = 4;
  config.num_experts_per_tok = 2;
  config.sparse_layers = "after_dense";
  config.first_k_dense_replace = 1;
  return config;
}

struct Layout {
  int ranks, expert;
};
constexpr Layout kLayouts[] = {{1, 1}, {2, 1}, {2, 2}, {4, 1}, {4, 2}, {4, 4}};

void on_each_layout(const std::function<void(const mesh::ProcessMesh&)>& body) {
  for (const Layout layout : kLayouts) {
    SCOPED_TRACE(format("{} ranks, expert {}", layout.ranks, layout.expert));
    testing::run_ranks(layout.ranks, [&](comm::Group& world) {
      const mesh::ProcessMesh mesh(
          mesh::MeshLayout({.data_replicate = layout.ranks, .expert = layout.expert}, layout.ranks),
          world);
      body(mesh);
    });
  }
}

TEST(Apply, CutsExpertsByTheRanksPlaceAndNothingElse) {
  on_each_layout([](const mesh::ProcessMesh& mesh) {
    Model model(sparse_config());
    apply(model, mesh);
    const std::int64_t parts = mesh.layout().degrees().expert;
    const std::int64_t mine = 4 / parts;
    int experts = 0;
    model.for_each_parameter([&](nn::Parameter& p) {
      if (p.kind() != ParameterKind::Expert) {
        EXPECT_EQ(p.slice(), whole(p.spec().shape)) << p.name();
        return;
      }
      ++experts;
      EXPECT_EQ(p.slice().size[0], mine) << p.name();
      EXPECT_EQ(p.slice().begin[0], mine * mesh.layout().coordinates(mesh.rank()).expert);
      EXPECT_EQ(p.slice().numel(), p.spec().shape.numel() / parts);
    });
    EXPECT_EQ(experts, 4);
  });
}

/// Each rank's own tokens through the cut model give what the whole model gives.
TEST(Apply, ComputesWhatTheSerialModelComputes) {
  on_each_layout([](const mesh::ProcessMesh& mesh) {
    Model model(sparse_config());
    apply(model, mesh);
    model.materialize(DType::F64, 3);
    Model serial(sparse_config());
    serial.materialize(DType::F64, 3);
    const std::int64_t tokens = 3 + mesh.rank();  // ranks differ
    const ModelInput input{.token_T =
                               testing::random_ids(format("tokens {}", mesh.rank()), tokens, 9)};
    EXPECT_TRUE(
        testing::close_to(model.logits(input), serial.logits(input), DType::F64, 8 * 8 * 3));
  });
}

TEST(Apply, RoutingSumsReachAllDataRanks) {
  on_each_layout([](const mesh::ProcessMesh& mesh) {
    Model model(sparse_config());
    apply(model, mesh);
    model.routing_sums().begin_step();
    const double rank = mesh.rank();
    const double ranks = mesh.size();
    EXPECT_EQ(model.routing_sums().add({1.0, rank}),
              (std::vector<double>{ranks, ranks * (ranks - 1) / 2}));
  });
}

TEST(Apply, RefusesExpertsThatDoNotDivide) {
  testing::run_ranks(2, [](comm::Group& world) {
    const mesh::ProcessMesh mesh(mesh::MeshLayout({.data_replicate = 2, .expert = 2}, 2), world);
    ModelConfig odd = sparse_config();
    odd.num_experts = 3;
    Model model(odd);
    EXPECT_THROW(apply(model, mesh), ConfigError);
  });
}

}  // namespace
}  // namespace moe::parallel
