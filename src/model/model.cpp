#include "model/model.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/format.h"
#include "model/attention_ranges.h"
#include "ops/arithmetic.h"
#include "ops/embedding.h"
#include "ops/linear.h"

namespace moe {

Model::Model(const ModelConfig& config)
    : config_(config),
      embedding_(&declare({"embedding.weight", Shape{config.vocab_size, config.hidden_size},
                           ParameterKind::Embedding, Placement().split(0, Role::Vocab),
                           nn::Initializer::normal(config.initializer_range)})),
      norm_("norm", config.hidden_size, config.rms_norm_eps),
      balance_(make_balance_loss(config.balance_spec())) {
  for (std::int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    blocks_.push_back(std::make_unique<Block>(config, layer));
    adopt(*blocks_.back());
  }
  adopt(norm_);
  if (!config.tie_word_embeddings) {
    head_weight_ = &declare({"head.weight", Shape{config.vocab_size, config.hidden_size},
                             ParameterKind::Head, Placement().split(0, Role::Vocab),
                             nn::Initializer::normal(config.initializer_range)});
  }
}

void Model::materialize(DType compute_dtype, std::uint64_t seed) {
  compute_dtype_ = compute_dtype;
  for_each_parameter([&](nn::Parameter& p) { p.materialize(compute_dtype, seed); });
}

void Model::allocate(DType compute_dtype) {
  compute_dtype_ = compute_dtype;
  for_each_parameter([&](nn::Parameter& p) { p.allocate(compute_dtype); });
}

void Model::require_tokens(const Tensor& token_T) const {
  require("model", "token_T", token_T, {-1}, DType::I32);
  for (const std::int32_t token : token_T.span<std::int32_t>()) {
    if (token < 0 || token >= config_.vocab_size) {
      throw DataError(format("token id {} is outside the vocabulary [0, {})", token,
                             config_.vocab_size));
    }
  }
}

const ops::RopeTable& Model::rope_for(std::int64_t positions) {
  if (!rope_.cosine.defined() || rope_.cosine.dim(0) < positions) {
    rope_ = nn::make_rope_table(config_.rope_spec(), config_.head_width(),
                                std::max(positions, config_.max_position_embeddings), compute_dtype_);
  }
  return rope_;
}

nn::ForwardContext Model::make_context(const ModelInput& input, nn::KeyValueCache* cache,
                                       nn::Phase phase) const {
  const std::int64_t past = cache != nullptr ? cache->length() : 0;
  nn::ForwardContext context;
  context.phase = phase;
  context.cache = cache;
  context.mask_T = input.mask_T;
  context.position_T = input.position_T.defined()
                           ? input.position_T
                           : default_positions(input.token_T.dim(0), input.batch, past);
  std::set<std::int64_t> windows;
  for (std::int64_t layer = 0; layer < config_.num_hidden_layers; ++layer) {
    windows.insert(config_.window_of(layer));
  }
  for (const std::int64_t window : windows) {
    context.range_of_window[window] =
        attention_range(input.begin_T, input.token_T.dim(0), input.batch, past, window);
  }
  context.real_tokens = input.token_T.dim(0);
  if (input.mask_T.defined()) {
    const auto mask = input.mask_T.span<std::uint8_t>();
    context.real_tokens = std::count_if(mask.begin(), mask.end(), [](auto m) { return m != 0; });
  }
  return context;
}

Variable Model::hidden(const ModelInput& input, const nn::ForwardContext& context,
                       std::vector<BalanceTerm>& terms) {
  const auto positions = context.position_T.span<std::int32_t>();
  const std::int32_t last =
      positions.empty() ? 0 : *std::max_element(positions.begin(), positions.end());
  const ops::RopeTable rope = rope_for(last + 1);
  Variable x = ops::embedding(input.token_T, *embedding_,
                              static_cast<std::int32_t>(config_.pad_token_id.value_or(-1)));
  for (const auto& block : blocks_) {
    Block::Output output = block->forward(x, rope, context, recompute_);
    x = output.x_TD;
    if (output.term) terms.push_back(std::move(*output.term));
  }
  return norm_.forward(x);
}

void Model::add_router_losses(BalanceInput input, ModelLoss& loss) {
  if (input.terms.empty()) return;
  std::vector<Variable> parts{loss.total};
  std::vector<double> weights{1.0};
  const Variable balance = balance_->share(input, *sums_);
  if (balance.defined()) {
    loss.balance = balance.value().item();
    parts.push_back(balance);
    weights.push_back(config_.router_aux_loss_coef);
  }
  const Variable z = z_loss_share(input);
  loss.z = z.value().item();
  if (config_.router_z_loss_coef > 0) {
    parts.push_back(z);
    weights.push_back(config_.router_z_loss_coef);
  }
  loss.total = ops::weighted_sum(parts, weights);
}

ModelLoss Model::loss(const ModelInput& input, const LossScale& scale, nn::Phase phase) {
  require_tokens(input.token_T);
  const nn::ForwardContext context = make_context(input, nullptr, phase);
  ModelLoss loss;
  BalanceInput balance;
  const Variable normed = hidden(input, context, balance.terms);
  ops::HeadLoss head = head_->loss(normed, head_weight(), input.target_T, scale.per_target);
  loss.total = head.loss;
  loss.loss_T = head.loss_T;
  loss.cross_entropy = head.loss.value().item();
  for (const BalanceTerm& term : balance.terms) {
    loss.terms.push_back({term.layer, Variable(term.probability_TE.value()),
                          Variable(term.logsumexp_T.value()), term.chosen_TK, term.kept_TK});
  }
  if (phase == nn::Phase::Train) {
    const LogicalSequences sequences =
        logical_sequences(input.begin_T, input.token_T.dim(0), input.batch);
    balance.group_T = sequences.group_T;
    balance.groups = sequences.count;
    balance.mask_T = input.mask_T;
    balance.real_tokens = context.real_tokens;
    balance.scale = scale;
    add_router_losses(std::move(balance), loss);
  }
  return loss;
}

namespace {

/// The last `rows` rows of each of `batch` sequences.
Variable last_rows(const Variable& x_TD, std::int64_t batch, std::int64_t rows) {
  const std::int64_t length = x_TD.dim(0) / batch;
  if (rows == 0 || rows == length) return x_TD;
  Tensor out = Tensor::empty({batch * rows, x_TD.dim(1)}, x_TD.dtype());
  for (std::int64_t b = 0; b < batch; ++b) {
    out.narrow(b * rows, rows).copy_from(x_TD.value().narrow((b + 1) * length - rows, rows));
  }
  return Variable(std::move(out));
}

}  // namespace

Tensor Model::logits(const ModelInput& input, nn::KeyValueCache* cache, std::int64_t rows) {
  require_tokens(input.token_T);
  const nn::ForwardContext context = make_context(input, cache, nn::Phase::Evaluate);
  std::vector<BalanceTerm> terms;
  const Variable normed = hidden(input, context, terms);
  if (cache != nullptr) cache->advance(input.token_T.dim(0) / input.batch);
  const Variable wanted = last_rows(normed, input.batch, rows);
  const Tensor logits = ops::linear(wanted, head_weight()).value();
  return logits.dtype() == DType::F64 ? logits : logits.to(DType::F32);
}

}  // namespace moe
