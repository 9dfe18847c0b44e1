#include "nn/parameter.h"

#include <cmath>

#include "base/error.h"
#include "base/format.h"
#include "support/context_test.h"
#include "support/expect_close.h"

namespace moe::nn {
namespace {

class ParameterTest : public testing::ContextTest {};

ParameterSpec spec(const std::string& name, const Shape& shape, Initializer initializer,
                   ParameterKind kind = ParameterKind::Mlp) {
  return {name, shape, kind, Placement().split(0, Role::Expert).split(2, Role::Hidden),
          initializer};
}

TEST_F(ParameterTest, PreciseKindsStayInSinglePrecisionUnderBf16) {
  for (const ParameterKind kind : kParameterKinds) {
    const bool precise =
        kind == ParameterKind::Norm || kind == ParameterKind::Router || kind == ParameterKind::Bias;
    for (const DType compute : {DType::F32, DType::BF16, DType::F64}) {
      SCOPED_TRACE(format("{} in {}", to_string(kind), to_string(compute)));
      Parameter p({"p", {3}, kind, {}, Initializer::normal(1.0)});
      p.materialize(compute, 1);
      EXPECT_EQ(p.value().dtype(), precise && compute == DType::BF16 ? DType::F32 : compute);
      EXPECT_EQ(p.master().dtype(), compute == DType::F64 ? DType::F64 : DType::F32);
      const bool copied = compute == DType::BF16 && !precise;
      EXPECT_EQ(p.value().storage() == p.master().storage(), !copied)
          << "the master is the value itself unless the value is rounded";
    }
  }
}

TEST_F(ParameterTest, StartsFromItsInitializer) {
  Parameter zeros(spec("z", {2, 3, 4}, Initializer::zeros()));
  Parameter ones(spec("o", {2, 3, 4}, Initializer::ones()));
  for (const DType dtype : {DType::F32, DType::BF16, DType::F64}) {
    for (Parameter* p : {&zeros, &ones}) p->materialize(dtype, 1);
    EXPECT_EQ(zeros.value().to_vector(), std::vector<double>(24, 0.0));
    EXPECT_EQ(ones.value().to_vector(), std::vector<double>(24, 1.0));
  }
}

TEST_F(ParameterTest, NormalValuesHaveTheirDeviation) {
  constexpr std::int64_t kCount = 40000;
  Parameter p({"wide", {kCount}, ParameterKind::Mlp, {}, Initializer::normal(0.3)});
  p.materialize(DType::F32, 5);
  double sum = 0.0;
  double squares = 0.0;
  std::int64_t beyond = 0;
  for (const double value : p.master().to_vector()) {
    sum += value;
    squares += value * value;
    beyond += std::abs(value) > 2 * 0.3 ? 1 : 0;
  }
  // Five standard errors of a mean, of a variance and of a share of 4.55 %.
  const auto n = static_cast<double>(kCount);
  EXPECT_NEAR(sum / n, 0.0, 5 * 0.3 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 0.3 * 0.3, 5 * 0.3 * 0.3 * std::sqrt(2.0 / n));
  EXPECT_NEAR(static_cast<double>(beyond) / n, 0.0455, 5 * std::sqrt(0.0455 / n));
}

TEST_F(ParameterTest, ValuesDependOnSeedAndNameAlone) {
  const auto values = [](const std::string& name, std::uint64_t seed, DType dtype) {
    Parameter p(spec(name, {2, 3, 4}, Initializer::normal(1.0)));
    p.materialize(dtype, seed);
    return p.master().to_vector();
  };
  EXPECT_EQ(values("a", 1, DType::F32), values("a", 1, DType::F32));
  EXPECT_EQ(values("a", 1, DType::F32), values("a", 1, DType::F64)) << "f64 starts where f32 does";
  EXPECT_EQ(values("a", 1, DType::F32), values("a", 1, DType::BF16)) << "the master is not rounded";
  EXPECT_NE(values("a", 1, DType::F32), values("b", 1, DType::F32));
  EXPECT_NE(values("a", 1, DType::F32), values("a", 2, DType::F32));
}

TEST_F(ParameterTest, EveryCutStartsFromTheSameGlobalValues) {
  const ParameterSpec wanted = spec("w", {4, 3, 6}, Initializer::normal(1.0));
  Parameter all(wanted);
  all.materialize(DType::F32, 7);
  const std::vector<double> values = all.master().to_vector();
  for (std::int64_t expert = 0; expert < 2; ++expert) {
    for (std::int64_t hidden = 0; hidden < 3; ++hidden) {
      Parameter part(wanted);
      RoleShares shares;
      shares[Role::Expert] = {2, expert};
      shares[Role::Hidden] = {3, hidden};
      part.place(shares);
      part.materialize(DType::F32, 7);
      ASSERT_EQ(part.value().shape(), (Shape{2, 3, 2}));
      std::vector<double> expected;
      for (std::int64_t e = 2 * expert; e < 2 * expert + 2; ++e) {
        for (std::int64_t r = 0; r < 3; ++r) {
          for (std::int64_t f = 2 * hidden; f < 2 * hidden + 2; ++f)
            expected.push_back(values[static_cast<std::size_t>((e * 3 + r) * 6 + f)]);
        }
      }
      EXPECT_EQ(part.master().to_vector(), expected);
    }
  }
}

TEST_F(ParameterTest, ThreadsChangeNoValue) {
  const auto values = [](int threads) {
    DeviceContext context(threads, detect_cpu_isa());
    const ContextScope scope(context);
    Parameter p({"p", {70001}, ParameterKind::Mlp, {}, Initializer::normal(1.0)});
    p.materialize(DType::F32, 7);
    return p.master().to_vector();
  };
  EXPECT_EQ(values(1), values(3));
}

TEST_F(ParameterTest, PublishRoundsTheMasterIntoTheValue) {
  Parameter p({"p", {2}, ParameterKind::Mlp, {}, Initializer::zeros()});
  p.materialize(DType::BF16, 1);
  p.master().span<float>()[0] = 1.0F + 0x1p-9F;
  p.master().span<float>()[1] = -3.0F;
  EXPECT_EQ(p.value().to_vector(), (std::vector<double>{0.0, 0.0}));
  p.publish();
  EXPECT_EQ(p.value().to_vector(), (std::vector<double>{1.0, -3.0}));
  EXPECT_EQ(p.master().span<float>()[0], 1.0F + 0x1p-9F);
}

TEST_F(ParameterTest, MemoryIsChargedToParametersAndGivenBack) {
  const auto live = [&] { return context_.allocator.account(MemoryCategory::Parameters).bytes; };
  Parameter p({"p", {1024}, ParameterKind::Mlp, {}, Initializer::zeros()});
  EXPECT_FALSE(p.materialized());
  EXPECT_EQ(live(), 0);
  p.materialize(DType::F32, 1);
  EXPECT_EQ(live(), 4096) << "in f32 master and value are one";
  p.release();
  EXPECT_EQ(live(), 0);
  EXPECT_FALSE(p.materialized());
  p.allocate(DType::BF16);
  EXPECT_EQ(live(), 4096 + 2048);
  EXPECT_TRUE(p.materialized());
  EXPECT_EQ(p.spec().shape, Shape{1024}) << "the declaration stays";
}

TEST_F(ParameterTest, RefusesAPlaceThatDoesNotDivideAndOneTooLate) {
  RoleShares shares;
  shares[Role::Expert] = {2, 0};
  Parameter odd(spec("w", {5, 1, 4}, Initializer::zeros()));
  EXPECT_THROW(odd.place(shares), ConfigError);
  Parameter even(spec("w", {4, 1, 4}, Initializer::zeros()));
  even.materialize(DType::F32, 1);
  EXPECT_THROW(even.place(shares), InternalError);
}

}  // namespace
}  // namespace moe::nn
