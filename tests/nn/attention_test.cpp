#include "nn/attention.h"

#include <set>

#include "autograd/gradcheck.h"
#include "base/error.h"
#include "base/format.h"
#include "nn/rope.h"
#include "support/context_test.h"
#include "support/expect_close.h"
#include "support/naive_transformer.h"

namespace moe::nn {
namespace {

namespace naive = testing::naive;
using testing::ids;
using testing::random_tensor;

class AttentionModule : public testing::ContextTest {};

constexpr std::int64_t kWidth = 6;

struct Row {
  const char* name;
  std::int64_t heads, groups, head_width;
  QkNorm qk_norm = QkNorm::None;
  bool input_bias = false, output_bias = false;
  std::optional<double> clip{};
  std::int64_t window = 0;
};

const Row kRows[] = {
    {"one head", 1, 1, 6},
    {"as many key heads", 3, 3, 2},
    {"grouped", 4, 2, 4},
    {"one key head", 3, 1, 4},
    {"wider than the stream", 2, 2, 8},
    {"norm per head", 4, 2, 4, QkNorm::PerHead},
    {"norm over the whole", 4, 2, 4, QkNorm::Whole},
    {"input bias", 2, 1, 4, QkNorm::None, true, false},
    {"output bias", 2, 1, 4, QkNorm::None, false, true},
    {"clip", 2, 2, 4, QkNorm::None, false, false, 0.3},
    {"clip after the norm", 2, 2, 4, QkNorm::Whole, false, false, 0.9},
    {"window", 2, 1, 4, QkNorm::None, false, false, {}, 3},
    {"window of one", 2, 1, 4, QkNorm::None, false, false, {}, 1},
    {"all at once", 4, 2, 4, QkNorm::PerHead, true, true, 1.1, 2},
};

AttentionSpec spec_of(const Row& row) {
  return {.name = "a",
          .width = kWidth,
          .heads = row.heads,
          .key_value_heads = row.groups,
          .head_width = row.head_width,
          .input_bias = row.input_bias,
          .output_bias = row.output_bias,
          .qk_norm = row.qk_norm,
          .norm_epsilon = 0.01,
          .clip = row.clip,
          .window = row.window};
}

/// Every parameter random, norms and biases too.
void fill(Module& module) {
  for (Parameter* p : module.parameters()) {
    p->materialize(DType::F64, 1);
    p->master().copy_from(random_tensor(p->name(), p->spec().shape));
  }
}

naive::Numbers values_of(Module& module, const std::string& name) {
  for (Parameter* p : module.parameters()) {
    if (p->name() == name) return p->master().to_vector();
  }
  return {};
}

/// `batch` sequences of `length`; queries begin at `past` and see the keys of [begin, place].
ForwardContext context_of(std::int64_t batch, std::int64_t length, std::int64_t window,
                          std::int64_t past = 0) {
  ForwardContext context;
  std::vector<std::int32_t> position;
  ops::AttentionRange range;
  std::vector<std::int32_t> begin;
  std::vector<std::int32_t> end;
  for (std::int64_t t = 0; t < batch * length; ++t) {
    const std::int64_t place = past + t % length;
    position.push_back(static_cast<std::int32_t>(place));
    begin.push_back(
        static_cast<std::int32_t>(window == 0 ? 0 : std::max<std::int64_t>(0, place - window + 1)));
    end.push_back(static_cast<std::int32_t>(place + 1));
  }
  context.position_T = ids(position, {batch * length});
  context.range_of_window[window] = {ids(begin, {batch * length}), ids(end, {batch * length}),
                                     batch};
  return context;
}

naive::Numbers naive_projection(Module& module, const Row& row, const char* which,
                                std::int64_t heads, bool normed, const naive::Numbers& x) {
  const std::string name = std::string("a.") + which;
  naive::Numbers y = naive::linear(x, values_of(module, name + "_proj.weight"), kWidth,
                                   values_of(module, name + "_proj.bias"));
  const naive::Numbers gain = values_of(module, name + "_norm.weight");
  if (normed && row.qk_norm != QkNorm::None) {
    EXPECT_EQ(gain.size(),
              naive::at(row.qk_norm == QkNorm::Whole ? heads * row.head_width : row.head_width));
    y = naive::rms_norm(y, gain, 0.01);
  }
  if (row.clip) {
    for (double& value : y) value = std::clamp(value, -*row.clip, *row.clip);
  }
  return y;
}

naive::Numbers naive_attention(Module& module, const Row& row, const naive::Numbers& x,
                               std::int64_t length) {
  // theta 100: pair j turns by position * 100^(-2j/C).
  const auto angle = [&](std::int64_t t, std::int64_t j) {
    return static_cast<double>(t % length) *
           std::pow(100.0, -2.0 * static_cast<double>(j) / static_cast<double>(row.head_width));
  };
  const auto turned = [&](const char* which, std::int64_t heads) {
    return naive::rope(naive_projection(module, row, which, heads, true, x), heads, row.head_width,
                       angle);
  };
  const auto sees = [&](std::int64_t query, std::int64_t key) {
    return query / length == key / length && key <= query &&
           (row.window == 0 || query - key < row.window);
  };
  const naive::Numbers mixed =
      naive::attention(turned("q", row.heads), turned("k", row.groups),
                       naive_projection(module, row, "v", row.groups, false, x), row.heads,
                       row.groups, row.head_width, sees);
  return naive::linear(mixed, values_of(module, "a.o_proj.weight"), row.heads * row.head_width,
                       values_of(module, "a.o_proj.bias"));
}

ops::RopeTable table(std::int64_t head_width) {
  return make_rope_table({.theta = 100.0}, head_width, 16, DType::F64);
}

TEST_F(AttentionModule, EqualsThePlainLoopOverKeys) {
  for (const Row& row : kRows) {
    for (const std::int64_t batch : {1, 2}) {
      for (const std::int64_t length : {1, 5}) {
        SCOPED_TRACE(format("{}, {} x {}", row.name, batch, length));
        Attention attention(spec_of(row));
        fill(attention);
        const Tensor x = random_tensor("x", {batch * length, kWidth});
        const Variable y = attention.forward(Variable(x), table(row.head_width),
                                             context_of(batch, length, row.window));
        const auto expected = naive_attention(attention, row, x.to_vector(), length);
        // Angles are f32 by contract: one rounding of the frequency, one of the product.
        EXPECT_TRUE(testing::close_to(y.value(), Tensor::from(expected, x.shape(), DType::F64),
                                      DType::F32, kWidth));
      }
    }
  }
}

TEST_F(AttentionModule, BackwardIsTheDerivative) {
  for (const Row& row : {kRows[2], kRows[5], kRows[6], kRows[13]}) {
    Row small = row;
    small.head_width = 2;
    SCOPED_TRACE(row.name);
    Attention attention(spec_of(small));
    fill(attention);
    std::vector<Leaf*> leaves;
    for (Parameter* p : attention.parameters()) leaves.push_back(p);
    const Tensor x = random_tensor("x", {3, kWidth});
    const ForwardContext context = context_of(1, 3, small.window);
    EXPECT_EQ("", gradcheck(
                      [&](std::span<const Variable> in) {
                        return std::vector{attention.forward(in[0], table(2), context)};
                      },
                      {&x, 1}, leaves));
  }
}

TEST_F(AttentionModule, DeclaresItsParametersInOrder) {
  const auto names = [](const Row& row) {
    Attention attention(spec_of(row));
    std::vector<std::string> all;
    for (Parameter* p : attention.parameters()) all.push_back(p->name());
    return all;
  };
  EXPECT_EQ(names(kRows[2]), (std::vector<std::string>{"a.q_proj.weight", "a.k_proj.weight",
                                                       "a.v_proj.weight", "a.o_proj.weight"}));
  EXPECT_EQ(names(kRows[13]),
            (std::vector<std::string>{"a.q_proj.weight", "a.q_proj.bias", "a.k_proj.weight",
                                      "a.k_proj.bias", "a.v_proj.weight", "a.v_proj.bias",
                                      "a.o_proj.weight", "a.o_proj.bias", "a.q_norm.weight",
                                      "a.k_norm.weight"}));
}

TEST_F(AttentionModule, ParametersSayWhatTheyAreAndHowTheyMayBeCut) {
  AttentionSpec spec = spec_of(kRows[6]);
  spec.input_bias = true;
  spec.deviation = 0.3;
  spec.output_deviation = 0.1;
  Attention attention(spec);
  struct Want {
    Shape shape;
    ParameterKind kind;
    Placement placement;
    double deviation;
  };
  const Placement heads = Placement().split(0, Role::Heads);
  const Placement groups = Placement().split(0, Role::KeyValueHeads);
  const std::map<std::string, Want> wanted{
      {"a.q_proj.weight", {{16, 6}, ParameterKind::Attention, heads, 0.3}},
      {"a.q_proj.bias", {{16}, ParameterKind::Bias, heads, 0.0}},
      {"a.k_proj.weight", {{8, 6}, ParameterKind::Attention, groups, 0.3}},
      {"a.k_proj.bias", {{8}, ParameterKind::Bias, groups, 0.0}},
      {"a.v_proj.weight", {{8, 6}, ParameterKind::Attention, groups, 0.3}},
      {"a.v_proj.bias", {{8}, ParameterKind::Bias, groups, 0.0}},
      {"a.o_proj.weight",
       {{6, 16}, ParameterKind::Attention, Placement().split(1, Role::Heads), 0.1}},
      {"a.q_norm.weight", {{16}, ParameterKind::Norm, heads, 0.0}},
      {"a.k_norm.weight", {{8}, ParameterKind::Norm, groups, 0.0}},
  };
  ASSERT_EQ(attention.parameters().size(), wanted.size());
  for (const Parameter* p : attention.parameters()) {
    const Want& want = wanted.at(p->name());
    EXPECT_EQ(p->spec().shape, want.shape) << p->name();
    EXPECT_EQ(p->kind(), want.kind) << p->name();
    EXPECT_EQ(p->spec().placement, want.placement) << p->name();
    EXPECT_EQ(p->spec().initializer.deviation, want.deviation) << p->name();
  }
}

TEST_F(AttentionModule, PieceByPieceWithACacheEqualsAllAtOnce) {
  for (const Row& row : kRows) {
    for (const std::int64_t batch : {1, 3}) {
      SCOPED_TRACE(format("{}, batch {}", row.name, batch));
      AttentionSpec spec = spec_of(row);
      spec.layer = 1;
      Attention attention(spec);
      fill(attention);
      const std::int64_t length = 6;
      const Tensor x = random_tensor("x", {batch * length, kWidth});
      const Tensor whole =
          attention
              .forward(Variable(x), table(row.head_width), context_of(batch, length, row.window))
              .value();
      KeyValueCache cache(2, batch, length);
      std::int64_t past = 0;
      for (const std::int64_t fresh : {3, 1, 2}) {
        const auto rows_of = [&](const Tensor& from) {
          Tensor part = Tensor::empty({batch * fresh, kWidth}, DType::F64);
          for (std::int64_t b = 0; b < batch; ++b)
            part.narrow(b * fresh, fresh).copy_from(from.narrow(b * length + past, fresh));
          return part;
        };
        ForwardContext context = context_of(batch, fresh, row.window, past);
        context.cache = &cache;
        const Variable y = attention.forward(Variable(rows_of(x)), table(row.head_width), context);
        EXPECT_TRUE(testing::close_to(y.value(), rows_of(whole), DType::F64, kWidth * length));
        cache.advance(fresh);
        past += fresh;
      }
    }
  }
}

/// Notes what it is asked, and answers with the queries.
class EchoCore : public AttentionCore {
 public:
  explicit EchoCore(std::vector<double>& scales) : scales_(scales) {}
  Variable forward(const Variable& q, const Variable& k, const Variable& v,
                   const ops::AttentionRange& range, double scale) override {
    EXPECT_EQ(q.shape(), (Shape{5, 4, 4}));
    EXPECT_EQ(k.shape(), (Shape{5, 2, 4}));
    EXPECT_EQ(v.shape(), (Shape{5, 2, 4}));
    EXPECT_EQ(range.batch, 1);
    scales_.push_back(scale);
    return q;
  }

 private:
  std::vector<double>& scales_;
};

TEST_F(AttentionModule, TheCoreCanBeReplaced) {
  Attention attention(spec_of(kRows[2]));
  fill(attention);
  std::vector<double> scales;
  attention.set_core(std::make_unique<EchoCore>(scales));
  const Tensor x = random_tensor("x", {5, kWidth});
  attention.forward(Variable(x), table(4), context_of(1, 5, 0));
  EXPECT_EQ(scales, std::vector<double>{0.5}) << "1 / sqrt(4)";
}

TEST_F(AttentionModule, AWindowNobodyPreparedIsABug) {
  Attention attention(spec_of(kRows[11]));
  fill(attention);
  EXPECT_THROW(
      attention.forward(Variable(random_tensor("x", {5, kWidth})), table(4), context_of(1, 5, 0)),
      InternalError);
}

}  // namespace
}  // namespace moe::nn
