#include "model/model.h"

#include <cmath>
#include <set>

#include "autograd/tape.h"
#include "base/error.h"
#include "model/models.h"
#include "support/expect_close.h"

namespace moe {
namespace {

namespace naive = testing::naive;
using testing::close_to;
using testing::ids;
using testing::NamedConfig;
using testing::small_configs;
using Ints = std::vector<std::int32_t>;

class ModelTest : public testing::ContextTest {};

Ints tokens_of(std::int64_t count, std::int64_t vocab) {
  const Tensor drawn = testing::random_ids("tokens", count, vocab);
  const auto span = drawn.span<std::int32_t>();
  return {span.begin(), span.end()};
}

ModelInput input_of(const Ints& tokens, std::int64_t batch) {
  return {.token_T = ids(tokens, {static_cast<std::int64_t>(tokens.size())}), .batch = batch};
}

Tensor row(const Tensor& logits, std::int64_t t) {
  return logits.narrow(t, 1);
}

TEST_F(ModelTest, LogitsEqualThePlainDecoder) {
  for (const NamedConfig& entry : small_configs()) {
    for (const std::int64_t batch : {1, 2}) {
      SCOPED_TRACE(format("{}, batch {}", entry.name, batch));
      Model model(entry.config);
      testing::randomize(model);
      const Ints tokens = tokens_of(5 * batch, entry.config.vocab_size);
      const Tensor logits = model.logits(input_of(tokens, batch));
      ASSERT_EQ(logits.shape(), (Shape{5 * batch, entry.config.vocab_size}));
      EXPECT_EQ(logits.dtype(), DType::F64);
      const naive::Numbers expected = testing::NaiveModel(model).logits(tokens, 5);
      EXPECT_TRUE(close_to(logits, Tensor::from(expected, logits.shape(), DType::F64), DType::F32,
                           testing::reduction_of(entry.config)));  // angles are f32
    }
  }
}

TEST_F(ModelTest, LogitsCanBeThoseOfTheLastRowsOnly) {
  for (const std::int64_t batch : {1, 3}) {
    Model model(testing::sparse_config());
    testing::randomize(model, DType::F32);
    const ModelInput input = input_of(tokens_of(4 * batch, 11), batch);
    const Tensor all = model.logits(input);
    EXPECT_EQ(all.dtype(), DType::F32);
    for (const std::int64_t rows : {1, 2, 4}) {
      const Tensor some = model.logits(input, nullptr, rows);
      ASSERT_EQ(some.shape(), (Shape{batch * rows, 11}));
      for (std::int64_t b = 0; b < batch; ++b) {
        EXPECT_TRUE(close_to(some.narrow(b * rows, rows), all.narrow((b + 1) * 4 - rows, rows),
                             DType::F32, 8));
      }
    }
  }
}

TEST_F(ModelTest, LaterTokensNeverChangeEarlierLogits) {
  for (const NamedConfig& entry : small_configs()) {
    SCOPED_TRACE(entry.name);
    Model model(entry.config);
    testing::randomize(model);
    const Ints tokens = tokens_of(7, 11);
    const Tensor before = model.logits(input_of(tokens, 1));
    for (std::int32_t changed = 0; changed < 7; ++changed) {
      Ints others = tokens;
      auto& token = others[static_cast<std::size_t>(changed)];
      token = (token + 1) % 11;
      const Tensor after = model.logits(input_of(others, 1));
      for (std::int64_t t = 0; t < changed; ++t) {
        EXPECT_TRUE(close_to(row(after, t), row(before, t), DType::F64, 64))
            << "token " << changed << " changes position " << t;
      }
      EXPECT_FALSE(close_to(row(after, changed), row(before, changed), DType::F32, 64));
    }
  }
}

TEST_F(ModelTest, SequencesOfABatchDoNotSeeEachOther) {
  Model model(testing::sparse_config());
  testing::randomize(model);
  const Ints tokens = tokens_of(8, 11);
  const Tensor both = model.logits(input_of(tokens, 2));
  for (std::int64_t b = 0; b < 2; ++b) {
    const Ints one(tokens.begin() + 4 * b, tokens.begin() + 4 * (b + 1));
    EXPECT_TRUE(close_to(both.narrow(4 * b, 4), model.logits(input_of(one, 1)), DType::F64, 64));
  }
}

TEST_F(ModelTest, DocumentsOfASequenceDoNotSeeEachOther) {
  for (const NamedConfig& entry : small_configs()) {
    SCOPED_TRACE(entry.name);
    Model model(entry.config);
    testing::randomize(model);
    const Ints tokens = tokens_of(7, 11);
    ModelInput input = input_of(tokens, 1);
    // Positions start anew with a document, as the loader numbers them.
    input.begin_T = ids({0, 0, 0, 3, 3, 5, 5}, {7});
    input.position_T = ids({0, 1, 2, 0, 1, 0, 1}, {7});
    const Tensor packed = model.logits(input);
    std::int64_t begin = 0;
    for (const std::int64_t length : {3, 2, 2}) {
      const Ints one(tokens.begin() + begin, tokens.begin() + begin + length);
      EXPECT_TRUE(
          close_to(packed.narrow(begin, length), model.logits(input_of(one, 1)), DType::F64, 64));
      begin += length;
    }
  }
}

TEST_F(ModelTest, OnlyDistancesBetweenPositionsCount) {
  ModelConfig config = testing::dense_config();
  config.max_position_embeddings = 4;  // the table grows on demand
  Model model(config);
  testing::randomize(model);
  ModelInput input = input_of(tokens_of(4, 11), 1);
  const Tensor near = model.logits(input);
  input.position_T = ids({30, 31, 32, 33}, {4});
  EXPECT_TRUE(close_to(model.logits(input), near, DType::F32, 64));
  input.position_T = ids({0, 2, 4, 6}, {4});
  EXPECT_FALSE(close_to(model.logits(input), near, DType::F32, 64));
}

TEST_F(ModelTest, TokenByTokenWithACacheEqualsAllAtOnce) {
  for (const NamedConfig& entry : small_configs()) {
    for (const std::int64_t batch : {1, 2}) {
      SCOPED_TRACE(format("{}, batch {}", entry.name, batch));
      Model model(entry.config);
      testing::randomize(model);
      const Ints tokens = tokens_of(6 * batch, 11);
      const Tensor all = model.logits(input_of(tokens, batch));
      nn::KeyValueCache cache(entry.config.num_hidden_layers, batch, 6);
      std::int64_t past = 0;
      for (const std::int64_t fresh : {3, 1, 2}) {
        Ints part;
        for (std::int64_t b = 0; b < batch; ++b) {
          const auto from = tokens.begin() + b * 6 + past;
          part.insert(part.end(), from, from + fresh);
        }
        const Tensor logits = model.logits(input_of(part, batch), &cache, 1);
        past += fresh;
        EXPECT_EQ(cache.length(), past);
        for (std::int64_t b = 0; b < batch; ++b) {
          EXPECT_TRUE(close_to(row(logits, b), row(all, b * 6 + past - 1), DType::F64, 64));
        }
      }
    }
  }
}

/// -log softmax of the target's logit.
double surprise(const naive::Numbers& logits, std::size_t t, std::int32_t target) {
  double sum = 0.0;
  for (std::size_t v = 0; v < 11; ++v) sum += std::exp(logits[t * 11 + v]);
  return std::log(sum) - logits[t * 11 + static_cast<std::size_t>(target)];
}

TEST_F(ModelTest, LossSumsTheSurpriseOfCountedTargetsTimesTheScale) {
  for (const NamedConfig& entry : small_configs()) {
    SCOPED_TRACE(entry.name);
    Model model(entry.config);
    testing::randomize(model);
    const Ints tokens = tokens_of(6, 11);
    const Ints target{3, -100, 0, 10, -1, 7};
    ModelInput input = input_of(tokens, 2);
    input.target_T = ids(target, {6});
    const ModelLoss loss = model.loss(input, {.per_target = 0.125}, nn::Phase::Evaluate);
    const naive::Numbers logits = testing::NaiveModel(model).logits(tokens, 3);
    naive::Numbers each;
    double sum = 0.0;
    for (std::size_t t = 0; t < 6; ++t) {
      each.push_back(target[t] < 0 ? 0.0 : surprise(logits, t, target[t]));
      sum += each.back();
    }
    const double allowed =
        sum * testing::tolerance(DType::F32, testing::reduction_of(entry.config));
    EXPECT_NEAR(loss.cross_entropy, 0.125 * sum, allowed);
    EXPECT_EQ(loss.total.value().item(), loss.cross_entropy);
    EXPECT_TRUE(close_to(loss.loss_T, Tensor::from(each, {6}, DType::F64), DType::F32,
                         testing::reduction_of(entry.config)));
    EXPECT_EQ(static_cast<std::int64_t>(loss.terms.size()), entry.config.sparse_layer_count());
  }
}

TEST_F(ModelTest, RouterLossesAreAddedByTheirCoefficientsInTrainingOnly) {
  struct Row {
    const char* balance;
    double aux, z;
  };
  for (const Row& losses : std::initializer_list<Row>{{"micro_batch", 0.3, 0.0},
                                                      {"micro_batch", 0.0, 0.2},
                                                      {"sequence", 0.3, 0.2},
                                                      {"global", 0.3, 0.2},
                                                      {"none", 0.3, 0.2}}) {
    ModelConfig config = testing::sparse_config();
    config.balance_loss = losses.balance;
    config.router_aux_loss_coef = losses.aux;
    config.router_z_loss_coef = losses.z;
    Model model(config);
    testing::randomize(model);
    ModelInput input = input_of(tokens_of(6, 11), 2);
    input.target_T = input.token_T;
    model.routing_sums().begin_step();
    const LossScale scale{.per_target = 1.0 / 6, .per_token = 1.0 / 6, .per_micro_batch = 1.0};
    const ModelLoss trained = model.loss(input, scale, nn::Phase::Train);
    const bool balanced = std::string(losses.balance) != "none";
    EXPECT_EQ(trained.balance > 0, balanced) << losses.balance;
    EXPECT_GT(trained.z, 0);
    const double expected =
        trained.cross_entropy + losses.aux * trained.balance + losses.z * trained.z;
    EXPECT_NEAR(trained.total.value().item(), expected,
                expected * testing::tolerance(DType::F64, 4));
    const ModelLoss evaluated = model.loss(input, scale, nn::Phase::Evaluate);
    EXPECT_EQ(evaluated.cross_entropy, trained.cross_entropy);
    EXPECT_EQ(evaluated.balance, 0.0);
    EXPECT_EQ(evaluated.z, 0.0);
  }
}

TEST_F(ModelTest, PaddingChangesNoLossOfTheOthersAndRoutesNowhere) {
  Model model(testing::sparse_config());
  testing::randomize(model);
  const Ints tokens = tokens_of(8, 11);
  ModelInput alone = input_of({tokens.begin(), tokens.begin() + 4}, 1);
  alone.target_T = alone.token_T;
  const LossScale scale{.per_target = 0.25, .per_token = 0.25, .per_micro_batch = 1.0};
  const ModelLoss expected = model.loss(alone, scale, nn::Phase::Train);
  ModelInput padded = input_of(tokens, 2);
  padded.target_T = ids({tokens[0], tokens[1], tokens[2], tokens[3], -1, -1, -1, -1}, {8});
  padded.mask_T = Tensor::zeros({8}, DType::U8);
  for (std::size_t t = 0; t < 4; ++t) padded.mask_T.span<std::uint8_t>()[t] = 1;
  const ModelLoss loss = model.loss(padded, scale, nn::Phase::Train);
  const auto near = [](double a, double b) {
    EXPECT_NEAR(a, b, std::abs(b) * testing::tolerance(DType::F64, 64));
  };
  near(loss.cross_entropy, expected.cross_entropy);
  near(loss.balance, expected.balance);
  near(loss.z, expected.z);
  for (const BalanceTerm& term : loss.terms) {
    for (std::size_t route = 8; route < 16; ++route)
      EXPECT_EQ(term.chosen_TK.span<std::int32_t>()[route], -1);
  }
}

TEST_F(ModelTest, BackwardIsTheDerivativeOfEveryParameter) {
  ModelConfig config = testing::sparse_config();
  config.vocab_size = 5;
  config.hidden_size = 4;
  config.intermediate_size = 3;
  config.moe_intermediate_size = 2;
  config.shared_expert_intermediate_size = 2;
  config.shared_expert_gate = true;
  config.qk_norm = "per_head";
  config.sparse_layers = "after_dense";
  config.first_k_dense_replace = 1;
  config.router_aux_loss_coef = 0.7;
  config.router_z_loss_coef = 0.3;
  config.tie_word_embeddings = true;
  Model model(config);
  testing::randomize(model);
  ModelInput input = input_of({0, 3, 1, 4, 2, 1}, 2);
  input.target_T = ids({3, 1, -1, 2, 1, 0}, {6});
  const LossScale scale{.per_target = 0.2, .per_token = 1.0 / 6, .per_micro_batch = 1.0};
  Tape tape;
  Variable total;
  {
    const TapeScope recording(&tape);
    total = model.loss(input, scale, nn::Phase::Train).total;
  }
  tape.backward(total);
  const auto value = [&] {
    return model.loss(input, scale, nn::Phase::Train).total.value().item();
  };
  const double step = std::cbrt(epsilon_of(DType::F64));
  model.for_each_parameter([&](nn::Parameter& p) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(p.value().numel()); ++i) {
      double& weight = p.master().span<double>()[i];
      const double kept = weight;
      weight = kept + step;
      const double above = value();
      weight = kept - step;
      const double below = value();
      weight = kept;
      const double slope = (above - below) / (2 * step);
      // A central difference errs by step^2 and by rounding over the step: both eps^(2/3).
      ASSERT_NEAR(p.gradient().span<double>()[i], slope, 100 * step * step)
          << p.name() << " element " << i;
    }
  });
}

TEST_F(ModelTest, PaddingTokensRowGetsNoGradientFromLookUps) {
  for (const bool ignored : {false, true}) {
    ModelConfig config = testing::dense_config();
    if (ignored) config.pad_token_id = 3;
    Model model(config);
    testing::randomize(model);
    ModelInput input = input_of({3, 1, 3, 2}, 1);
    input.target_T = ids({1, 2, 0, 4}, {4});
    Tape tape;
    Variable total;
    {
      const TapeScope recording(&tape);
      total = model.loss(input, {}, nn::Phase::Train).total;
    }
    tape.backward(total);
    const Tensor row3 = model.parameters()[0]->gradient().narrow(3, 1);
    EXPECT_EQ(row3.to_vector() == std::vector<double>(8, 0.0), ignored);
  }
}

TEST_F(ModelTest, RefusesTokensOutsideTheVocabulary) {
  Model model(testing::dense_config());
  testing::randomize(model);
  for (const std::int32_t bad : {-1, 11, 1 << 30}) {
    const ModelInput input = input_of({1, bad, 2}, 1);
    try {
      model.logits(input);
      ADD_FAILURE() << bad << " was accepted";
    } catch (const DataError& error) {
      EXPECT_NE(std::string(error.what()).find(std::to_string(bad)), std::string::npos);
    }
  }
  EXPECT_NO_THROW(model.logits(input_of({0, 10}, 1)));
}

TEST_F(ModelTest, NamesAreUniqueAndInOrder) {
  for (const NamedConfig& entry : small_configs()) {
    Model model(entry.config);
    std::set<std::string> names;
    model.for_each_parameter([&](nn::Parameter& p) {
      EXPECT_TRUE(names.insert(p.name()).second) << entry.name << ": twice " << p.name();
    });
    EXPECT_EQ(names.contains("head.weight"), !entry.config.tie_word_embeddings) << entry.name;
    EXPECT_EQ(&model.head_weight() == model.parameters()[0], entry.config.tie_word_embeddings);
    EXPECT_EQ(model.parameters()[0]->name(), "embedding.weight");
  }
}

TEST_F(ModelTest, EmbeddingAndHeadMayBeCutByVocabulary) {
  Model model(testing::dense_config());
  for (const nn::Parameter* p : {model.parameters()[0], &model.head_weight()}) {
    EXPECT_EQ(p->spec().placement, Placement().split(0, Role::Vocab)) << p->name();
    EXPECT_EQ(p->spec().shape, (Shape{11, 8}));
    EXPECT_EQ(p->spec().initializer.deviation, 0.4);
  }
  EXPECT_EQ(model.parameters()[0]->kind(), ParameterKind::Embedding);
  EXPECT_EQ(model.head_weight().kind(), ParameterKind::Head);
}

TEST_F(ModelTest, TheHeadAndTheRoutingSumsCanBeReplaced) {
  /// Answers with the scale it was given.
  class ConstantHead : public LossHead {
    ops::HeadLoss loss(const Variable&, nn::Parameter&, const Tensor& target,
                       double scale) override {
      return {Variable(Tensor::full({1}, DType::F64, scale)),
              Tensor::zeros({target.dim(0)}, DType::F64)};
    }
  };
  Model model(testing::dense_config());
  testing::randomize(model);
  model.set_loss_head(std::make_unique<ConstantHead>());
  ModelInput input = input_of({1, 2}, 1);
  input.target_T = input.token_T;
  EXPECT_EQ(model.loss(input, {.per_target = 0.375}, nn::Phase::Train).cross_entropy, 0.375);
  auto sums = std::make_unique<RoutingSums>();
  RoutingSums* pointer = sums.get();
  model.set_routing_sums(std::move(sums));
  EXPECT_EQ(&model.routing_sums(), pointer);
}

}  // namespace
}  // namespace moe
