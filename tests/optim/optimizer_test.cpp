#include "optim/optimizer.h"

#include <gmock/gmock.h>

#include <cmath>

#include "base/error.h"
#include "support/context_test.h"
#include "support/expect_close.h"

namespace moe::optim {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::random_tensor;

constexpr std::int64_t kSize = 37;

/// A trained tensor on its own memory.
TrainedTensor tensor(const std::string& name, ParameterKind kind, DType dtype = DType::F64) {
  return {.name = name,
          .kind = kind,
          .slice = whole({kSize}),
          .master = random_tensor(name, {kSize}, dtype),
          .gradient = [g = random_tensor(name + " gradient", {kSize}, dtype)] { return g; },
          .compute = Tensor()};
}

class Optimizers : public testing::ContextTest {};

TEST_F(Optimizers, AdamWFollowsThePaperOverSeveralSteps) {
  const OptimizerConfig config{.name = "adamw", .beta1 = 0.8, .beta2 = 0.9, .weight_decay = 0.3};
  TrainedTensor w = tensor("w", ParameterKind::Mlp);
  std::vector<double> p = w.master.to_vector();
  std::vector<double> m(p.size(), 0.0);
  std::vector<double> v(p.size(), 0.0);
  const auto optimizer = make_optimizer(config, {w});
  for (std::int64_t step = 1; step <= 4; ++step) {
    const double rate = 0.01 * static_cast<double>(step);
    const double clip = step == 2 ? 0.5 : 1.0;
    const Tensor gradient = random_tensor("g" + std::to_string(step), {kSize});
    w.gradient().copy_from(gradient);
    optimizer->step({.step = step, .learning_rate = rate, .clip_factor = clip});
    const std::vector<double> g = gradient.to_vector();
    for (std::size_t i = 0; i < p.size(); ++i) {
      m[i] = 0.8 * m[i] + 0.2 * g[i] * clip;
      v[i] = 0.9 * v[i] + 0.1 * g[i] * clip * g[i] * clip;
      const double first = m[i] / (1.0 - std::pow(0.8, step));
      const double second = v[i] / (1.0 - std::pow(0.9, step));
      p[i] -= rate * 0.3 * p[i] + rate * first / (std::sqrt(second) + config.epsilon);
    }
    const Tensor expected = Tensor::from(p, {kSize}, DType::F64);
    EXPECT_TRUE(testing::close_to(w.master, expected, DType::F64, kSize)) << "step " << step;
  }
  const auto state = optimizer->state();
  ASSERT_EQ(state.size(), 2U);
  EXPECT_TRUE(testing::close_to(state[0].value, Tensor::from(m, {kSize}, DType::F64), DType::F64, 4));
  EXPECT_TRUE(testing::close_to(state[1].value, Tensor::from(v, {kSize}, DType::F64), DType::F64, 4));
}

/// A reducer gives gradients new memory every step.
TEST_F(Optimizers, TheGradientIsAskedForAtEveryStep) {
  for (const std::string& name : optimizer_names()) {
    TrainedTensor fixed = tensor("w", ParameterKind::Mlp);
    TrainedTensor moving = tensor("w", ParameterKind::Mlp);
    moving.gradient = [g = fixed.gradient()] { return g.clone(); };
    const auto one = make_optimizer({.name = name}, {fixed});
    const auto other = make_optimizer({.name = name}, {moving});
    for (std::int64_t step = 1; step <= 3; ++step) {
      fixed.gradient().fill(static_cast<double>(step));
      one->step({.step = step, .learning_rate = 0.01});
      other->step({.step = step, .learning_rate = 0.01});
    }
    EXPECT_TRUE(testing::same_bits(fixed.master, moving.master)) << name;
  }
}

TEST_F(Optimizers, SlicesTogetherEqualTheWholeBitForBit) {
  for (const std::string& name : optimizer_names()) {
    TrainedTensor whole = tensor("w", ParameterKind::Expert, DType::F32);
    const TrainedTensor cut = tensor("w", ParameterKind::Expert, DType::F32);
    std::vector<TrainedTensor> parts;
    for (const auto& [begin, size] : {std::pair<std::int64_t, std::int64_t>{0, 1}, {1, 20}, {21, 16}}) {
      TrainedTensor part = cut;
      part.master = cut.master.window(begin, {size});
      part.gradient = [cut, begin, size] { return cut.gradient().window(begin, {size}); };
      parts.push_back(part);
    }
    const auto one = make_optimizer({.name = name}, {whole});
    const auto three = make_optimizer({.name = name}, parts);
    for (std::int64_t step = 1; step <= 3; ++step) {
      one->step({.step = step, .learning_rate = 0.01});
      three->step({.step = step, .learning_rate = 0.01});
    }
    EXPECT_TRUE(testing::same_bits(whole.master, cut.master)) << name;
  }
}

TEST_F(Optimizers, TheComputeCopyIsTheRoundedMaster) {
  for (const std::string& name : optimizer_names()) {
    TrainedTensor w = tensor("w", ParameterKind::Mlp, DType::F32);
    w.compute = Tensor::zeros({kSize}, DType::BF16);
    make_optimizer({.name = name}, {w})->step({.step = 1, .learning_rate = 0.01});
    EXPECT_TRUE(testing::same_bits(w.compute, w.master.to(DType::BF16))) << name;
  }
}

TEST_F(Optimizers, StateIsNamedAfterTheParameterAndKeepsItsSlice) {
  TrainedTensor w = tensor("layers.0.w", ParameterKind::Mlp);
  w.slice = shard(whole({2 * kSize}), 2, 1);
  const auto optimizer = make_optimizer({.name = "adamw"}, {w});
  std::vector<std::string> names;
  for (const auto& state : optimizer->state()) {
    names.push_back(state.name);
    EXPECT_EQ(state.slice, w.slice);
    EXPECT_EQ(state.value.to_vector(), std::vector<double>(kSize, 0.0));
  }
  EXPECT_THAT(names, ElementsAre("layers.0.w.moment1", "layers.0.w.moment2"));
}

TEST_F(Optimizers, BytesPerElementAreWhatIsAllocated) {
  for (const std::string& name : optimizer_names()) {
    const auto optimizer = make_optimizer({.name = name}, {tensor("w", ParameterKind::Mlp, DType::F32)});
    std::int64_t bytes = 0;
    for (const auto& state : optimizer->state()) bytes += state.value.view().bytes();
    EXPECT_EQ(bytes, state_bytes_per_element({.name = name}) * kSize) << name;
  }
}

TEST_F(Optimizers, DecayAndRateGoByKind) {
  OptimizerConfig config{.name = "adamw", .weight_decay = 0.2};
  config.no_decay = {"norm", "bias", "router"};
  config.groups = {{.kinds = {"expert", "router"}, .learning_rate_scale = 0.5, .weight_decay = 0.05},
                   {.kinds = {"expert"}, .learning_rate_scale = 3.0},
                   {.kinds = {"embedding", "norm"}, .learning_rate_scale = 2.0}};
  EXPECT_EQ(config.decay_of(ParameterKind::Attention), 0.2);
  EXPECT_EQ(config.decay_of(ParameterKind::Norm), 0.0);
  EXPECT_EQ(config.decay_of(ParameterKind::Embedding), 0.2);  // its group says nothing of decay
  EXPECT_EQ(config.decay_of(ParameterKind::Router), 0.05);  // a group overrules no_decay
  EXPECT_EQ(config.learning_rate_scale(ParameterKind::Expert), 0.5);  // the first group counts
  EXPECT_EQ(config.learning_rate_scale(ParameterKind::Head), 1.0);
  // With a zero gradient only decay moves a weight: by exactly rate * scale * decay.
  for (const ParameterKind kind : kParameterKinds) {
    TrainedTensor w = tensor("w", kind);
    w.gradient = [] { return Tensor::zeros({kSize}, DType::F64); };
    const std::vector<double> before = w.master.to_vector();
    make_optimizer(config, {w})->step({.step = 1, .learning_rate = 0.1});
    const double factor = 1.0 - 0.1 * config.learning_rate_scale(kind) * config.decay_of(kind);
    for (std::size_t i = 0; i < before.size(); ++i) {
      EXPECT_DOUBLE_EQ(w.master.to_vector()[i], before[i] * factor) << to_string(kind);
    }
  }
}

TEST_F(Optimizers, AnUnknownNameIsRefusedWithTheKnownOnes) {
  try {
    make_optimizer({.name = "sgd"}, {});
    FAIL() << "accepted";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("optimizer.name: 'sgd' is not known; allowed: adamw"));
  }
}

}  // namespace
}  // namespace moe::optim
