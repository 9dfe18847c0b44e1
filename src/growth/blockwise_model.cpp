#include "growth/blockwise_model.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/format.h"
#include "growth/compare.h"
#include "interop/load_weights.h"
#include "model/attention_ranges.h"
#include "nn/rms_norm.h"
#include "ops/linear.h"

namespace moe::growth {
namespace {

constexpr std::int64_t kLongestSequence = 1024;

/// The local dispatcher; what passes through is noted in `run`.
class ObservingDispatcher : public TokenDispatcher {
 public:
  explicit ObservingDispatcher(LayerRun& run) : run_(run) {}

  Ticket start_dispatch(const Variable& x_TD, const Routing& routing) override {
    run_.x_TD = x_TD.value();
    run_.weight_TK = routing.weight_TK.value();
    return local_->start_dispatch(x_TD, routing);
  }
  Dispatched finish_dispatch(const Ticket& ticket) override {
    Dispatched dispatched = local_->finish_dispatch(ticket);
    run_.offset_E1 = dispatched.offset_e1;
    return dispatched;
  }
  Ticket start_combine(const Variable& rows_RD, const Ticket& ticket) override {
    run_.rows_RD = rows_RD.value();
    return local_->start_combine(rows_RD, ticket);
  }
  Variable finish_combine(const Ticket& ticket) override { return local_->finish_combine(ticket); }
  std::int64_t first_expert(std::int64_t) const override { return 0; }
  std::int64_t local_experts(std::int64_t experts) const override { return experts; }

 private:
  LayerRun& run_;
  std::unique_ptr<TokenDispatcher> local_ = make_local_dispatcher();
};

void load(nn::Module& module, const checkpoint::TensorSource& source, DType dtype) {
  module.for_each_parameter([&](nn::Parameter& p) { p.allocate(dtype); });
  interop::fill_parameters(module, source);
}

nn::ForwardContext context_of(const ModelConfig& config, std::int64_t tokens) {
  nn::ForwardContext context;
  context.phase = nn::Phase::Evaluate;
  context.position_T = default_positions(tokens, 1, 0);
  context.real_tokens = tokens;
  for (std::int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    const std::int64_t window = config.window_of(layer);
    if (context.range_of_window.contains(window)) continue;
    context.range_of_window[window] = attention_range({}, tokens, 1, 0, window);
  }
  return context;
}

}  // namespace

BlockwiseModel::BlockwiseModel(ModelSource source, DType compute_dtype)
    : source_(std::move(source)), dtype_(compute_dtype) {}

std::vector<std::span<const std::int32_t>> BlockwiseModel::sequences(
    std::span<const std::int32_t> tokens) const {
  const auto length =
      static_cast<std::size_t>(std::min(config().max_position_embeddings, kLongestSequence));
  std::vector<std::span<const std::int32_t>> parts;
  for (std::size_t at = 0; at < tokens.size(); at += length) {
    parts.push_back(tokens.subspan(at, std::min(length, tokens.size() - at)));
  }
  return parts;
}

void BlockwiseModel::require_tokens(std::span<const std::int32_t> tokens) const {
  for (const std::int32_t token : tokens) {
    if (token >= 0 && token < config().vocab_size) continue;
    throw DataError(format("token id {} is outside the vocabulary [0, {}) of {}", token,
                           config().vocab_size, weights().description()));
  }
}

Tensor BlockwiseModel::embed(std::span<const std::int32_t> sequence) const {
  const std::int64_t width = config().hidden_size;
  Tensor x_TD = Tensor::empty({static_cast<std::int64_t>(sequence.size()), width}, dtype_);
  Slice row = whole(Shape{config().vocab_size, width});
  row.size.set(0, 1);
  row.flat_end = width;
  for (std::size_t t = 0; t < sequence.size(); ++t) {
    row.begin[0] = sequence[t];
    const auto at = static_cast<std::int64_t>(t);
    weights().read("embedding.weight", row, checkpoint::flat_part(x_TD.view(), at * width, width));
  }
  return x_TD;
}

std::vector<Tensor> BlockwiseModel::run_blocks(std::span<const std::int32_t> tokens,
                                               const LayerObserver& observe) const {
  require_tokens(tokens);
  const auto parts = sequences(tokens);
  std::vector<Tensor> x;
  x.reserve(parts.size());
  for (const auto& part : parts) x.push_back(embed(part));
  if (parts.empty()) return x;
  const auto longest = static_cast<std::int64_t>(parts.front().size());
  const ops::RopeTable rope =
      nn::make_rope_table(config().rope_spec(), config().head_width(), longest, dtype_);
  for (std::int64_t layer = 0; layer < config().num_hidden_layers; ++layer) {
    Block block(config(), layer);
    load(block, weights(), dtype_);
    LayerRun run{.layer = layer, .block = &block};
    if (block.sparse() != nullptr && observe) {
      block.sparse()->set_dispatcher(std::make_unique<ObservingDispatcher>(run));
    }
    for (Tensor& x_TD : x) {
      Block::Output output =
          block.forward(Variable(x_TD), rope, context_of(config(), x_TD.dim(0)), false);
      x_TD = output.x_TD.value();
      if (!output.term || !observe) continue;
      run.term = std::move(*output.term);
      observe(run);
    }
  }
  return x;
}

void BlockwiseModel::observe(std::span<const std::int32_t> tokens,
                             const LayerObserver& observe) const {
  (void)run_blocks(tokens, observe);
}

std::vector<Tensor> BlockwiseModel::hidden(std::span<const std::int32_t> tokens,
                                           const LayerObserver& observe) const {
  std::vector<Tensor> x = run_blocks(tokens, observe);
  nn::RmsNorm norm("norm", config().hidden_size, config().rms_norm_eps);
  load(norm, weights(), dtype_);
  for (Tensor& x_TD : x) x_TD = norm.forward(Variable(x_TD)).value();
  return x;
}

Tensor BlockwiseModel::head() const {
  Tensor head_VD = Tensor::empty({config().vocab_size, config().hidden_size}, dtype_);
  weights().read(config().tie_word_embeddings ? "embedding.weight" : "head.weight",
                 head_VD.view());
  return head_VD;
}

Tensor BlockwiseModel::logits(std::span<const std::int32_t> tokens) const {
  const DType held = dtype_ == DType::F64 ? DType::F64 : DType::F32;
  Tensor logits_TV =
      Tensor::empty({static_cast<std::int64_t>(tokens.size()), config().vocab_size}, held);
  const std::vector<Tensor> states = hidden(tokens);
  Leaf weight("head", head());
  std::int64_t row = 0;
  for (const Tensor& x_TD : states) {
    logits_TV.narrow(row, x_TD.dim(0)).copy_from(ops::linear(Variable(x_TD), weight).value());
    row += x_TD.dim(0);
  }
  return logits_TV;
}

double BlockwiseModel::loss(std::span<const std::int32_t> tokens) const {
  return evaluate_loss(*this, tokens);
}

}  // namespace moe::growth
