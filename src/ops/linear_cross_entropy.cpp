#include "ops/linear_cross_entropy.h"

#include <algorithm>

#include "autograd/tape.h"
#include "base/check.h"
#include "device/activity.h"
#include "kernels/elementwise/arithmetic.h"
#include "kernels/gemm/gemm.h"
#include "kernels/loss/cross_entropy.h"

namespace moe::ops {
namespace {

/// Elements of one chunk of logits.
constexpr std::int64_t kChunkElements = std::int64_t{1} << 21;

/// One pass over the chunks; with `dx` defined, the gradients are formed on the way.
class ChunkedHead {
 public:
  ChunkedHead(const Tensor& x_TD, Leaf& weight, const Tensor& target_T, double scale)
      : x_TD_(x_TD), weight_(weight), target_T_(target_T), scale_(scale) {
    const DType dtype = x_TD.dtype();
    logit_dtype_ = dtype == DType::F64 ? DType::F64 : DType::F32;
    rows_ = head_chunk_rows(weight.value().dim(0), x_TD.dim(0));
    const Shape shape{rows_, weight.value().dim(0)};
    logits_ = Tensor::empty(shape, logit_dtype_, MemoryCategory::Workspace);
    dlogits_ = dtype == logit_dtype_ ? logits_
                                     : Tensor::empty(shape, dtype, MemoryCategory::Workspace);
  }

  Tensor run(const Tensor& dx_TD, bool weight_gradient) {
    const ActivityPart part(current_context().stream, "lm_head");
    Tensor loss_T = Tensor::empty({x_TD_.dim(0)}, logit_dtype_);
    for (std::int64_t begin = 0; begin < x_TD_.dim(0); begin += rows_) {
      const std::int64_t count = std::min(rows_, x_TD_.dim(0) - begin);
      forward(begin, count, loss_T, dx_TD.defined() || weight_gradient);
      if (dx_TD.defined()) input_gradient(begin, count, dx_TD);
      if (weight_gradient) accumulate_weight(begin, count);
    }
    return loss_T;
  }

 private:
  void forward(std::int64_t begin, std::int64_t count, const Tensor& loss_T, bool gradient) {
    Stream& stream = current_context().stream;
    const View logits = logits_.narrow(0, count).view();
    kernels::gemm(stream, {.a = x_TD_.narrow(begin, count).view(),
                           .b = weight_.value().view(),
                           .c = logits,
                           .transpose_b = true});
    kernels::cross_entropy(stream, {.logits = logits,
                                    .target = target_T_.narrow(begin, count).view(),
                                    .loss = loss_T.narrow(begin, count).view(),
                                    .dlogits = gradient ? dlogits_.narrow(0, count).view() : View{},
                                    .scale = scale_});
  }

  void input_gradient(std::int64_t begin, std::int64_t count, const Tensor& dx_TD) {
    kernels::gemm(current_context().stream, {.a = dlogits_.narrow(0, count).view(),
                                             .b = weight_.value().view(),
                                             .c = dx_TD.narrow(begin, count).view()});
  }

  void accumulate_weight(std::int64_t begin, std::int64_t count) {
    const float beta = weight_.begin_write();
    const Tensor dw = weight_.gradient().reshape(weight_.value().shape());
    kernels::gemm(current_context().stream, {.a = dlogits_.narrow(0, count).view(),
                                             .b = x_TD_.narrow(begin, count).view(),
                                             .c = dw.view(),
                                             .transpose_a = true,
                                             .beta = beta});
  }

  const Tensor& x_TD_;
  Leaf& weight_;
  const Tensor& target_T_;
  double scale_;
  DType logit_dtype_ = DType::F32;
  std::int64_t rows_ = 0;
  Tensor logits_;
  Tensor dlogits_;
};

Tensor scaled_total(const Tensor& loss_T, double scale) {
  Stream& stream = current_context().stream;
  Tensor total = Tensor::empty({1}, DType::F64);
  kernels::sum(stream, {.x = loss_T.view(), .out = total.view()});
  kernels::scale_cast(stream, {.x = total.view(), .out = total.view(), .scale = scale});
  return total;
}

}  // namespace

std::int64_t head_chunk_rows(std::int64_t vocabulary, std::int64_t tokens) {
  const std::int64_t rows = kChunkElements / std::max<std::int64_t>(vocabulary, 1);
  return std::min(std::max<std::int64_t>(64, rows / 64 * 64), tokens);
}

HeadLoss linear_cross_entropy(const Variable& x, Leaf& weight, const Tensor& target, double scale) {
  require("linear_cross_entropy", "target", target, {x.dim(0)}, DType::I32);
  require("linear_cross_entropy", "x", x.value(), {-1, weight.value().dim(1)},
          weight.value().dtype());
  const bool recorded = needs_record({&x}, {&weight});
  // While only uses are counted nothing may be written: the segment runs again.
  const bool gradients = recorded && Tape::current()->mode() == TapeMode::Record;
  std::shared_ptr<LeafUse> use = recorded ? weight.use() : nullptr;
  Tensor dx;
  if (gradients && x.requires_gradient()) dx = Tensor::empty(x.shape(), x.dtype());
  Tensor loss_T =
      ChunkedHead(x.value(), weight, target, scale).run(dx, gradients && use != nullptr);
  Tensor total = scaled_total(loss_T, scale);
  if (!recorded) return {Variable(std::move(total)), std::move(loss_T)};
  Variable loss = Tape::current()->record_one(
      "linear_cross_entropy", std::move(total),
      [dx, slot = x.slot(), use](const Tensor& dloss) {
        MOE_CHECK_EQ(dloss.item(), 1.0);
        if (slot) slot->accumulate(dx);
      });
  return {std::move(loss), std::move(loss_T)};
}

}  // namespace moe::ops
