#include "optim/gradient_sums.h"

#include "device/context.h"
#include "kernels/optim/adamw.h"

namespace moe::optim {

double sum_of_squares(const Tensor& x) {
  const Tensor out = Tensor::empty({1}, DType::F64);
  kernels::sum_squares(current_context().stream,
                       {.x = x.reshape({x.numel()}).view(), .out = out.view()});
  return out.item();
}

std::int64_t count_non_finite(const Tensor& x) {
  const Tensor out = Tensor::empty({1}, DType::I64);
  kernels::count_non_finite(current_context().stream,
                            {.x = x.reshape({x.numel()}).view(), .out = out.view()});
  return out.span<std::int64_t>()[0];
}

}  // namespace moe::optim
