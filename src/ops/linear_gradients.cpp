#include "ops/linear_gradients.h"

#include "kernels/gemm/gemm.h"
#include "kernels/gemm/grouped_gemm.h"

namespace moe::ops {

Tensor as_matrix(const Tensor& tensor) {
  const std::int64_t columns = tensor.dim(-1);
  return tensor.reshape({columns == 0 ? 0 : tensor.numel() / columns, columns});
}

Tensor as_stack(const Tensor& weight) {
  const std::int64_t groups = weight.dim(0);
  const std::int64_t inner = weight.dim(-1);
  return weight.reshape({groups, weight.numel() / (groups * inner), inner});
}

Tensor linear_input_gradient(const Tensor& dy_TN, const Leaf& weight) {
  const Tensor w_NK = as_matrix(weight.value());
  Tensor dx_TK = Tensor::empty({dy_TN.dim(0), w_NK.dim(1)}, dy_TN.dtype());
  kernels::gemm(current_context().stream,
                {.a = dy_TN.view(), .b = w_NK.view(), .c = dx_TK.view()});
  return dx_TK;
}

void add_linear_weight_gradient(const Tensor& dy_TN, const Tensor& x_TK, Leaf& weight) {
  const float beta = weight.begin_write();
  const Tensor dw_NK = weight.gradient().reshape({dy_TN.dim(1), x_TK.dim(1)});
  kernels::gemm(current_context().stream, {.a = dy_TN.view(),
                                           .b = x_TK.view(),
                                           .c = dw_NK.view(),
                                           .transpose_a = true,
                                           .beta = beta});
}

Tensor grouped_input_gradient(const Tensor& dy_RN, const Tensor& offset, const Leaf& weight) {
  const Tensor w_GNK = as_stack(weight.value());
  Tensor dx_RK = Tensor::empty({dy_RN.dim(0), w_GNK.dim(2)}, dy_RN.dtype());
  kernels::grouped_gemm(current_context().stream, {.a = dy_RN.view(),
                                                   .offset = offset.view(),
                                                   .b = w_GNK.view(),
                                                   .c = dx_RK.view()});
  return dx_RK;
}

void add_grouped_weight_gradient(const Tensor& dy_RN, const Tensor& x, const View& row,
                                 const Tensor& offset, Leaf& weight) {
  const float beta = weight.begin_write();
  const Tensor dw_GNK = weight.gradient().reshape(as_stack(weight.value()).shape());
  kernels::grouped_gemm_weight(current_context().stream, {.a = dy_RN.view(),
                                                          .b = x.view(),
                                                          .row_b = row,
                                                          .offset = offset.view(),
                                                          .c = dw_GNK.view(),
                                                          .beta = beta});
}

}  // namespace moe::ops
