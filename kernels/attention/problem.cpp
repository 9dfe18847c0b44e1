#include "kernels/attention/problem.h"

#include "kernels/common/checks.h"
#include "kernels/common/errors.h"

namespace moe::kernels {
namespace {

void expect_heads(const char* kernel, const char* what, const View& x) {
  const bool fits = x.rank == 3 && (x.dim(2) <= 1 || x.stride(2) == 1) &&
                    (x.dim(1) <= 1 || x.stride(1) == x.dim(2));
  if (!fits) throw_shape(kernel, what, x);
}

void expect_like(const char* kernel, const char* what, const View& x, const View& like) {
  expect_heads(kernel, what, x);
  if (x.dim(0) != like.dim(0) || x.dim(1) != like.dim(1) || x.dim(2) != like.dim(2)) {
    throw_shape(kernel, what, x);
  }
  expect_dtype(kernel, what, x, like.dtype);
}

/// What forward and backward share.
template <class Args>
AttentionProblem common_problem(const char* kernel, const Args& args) {
  expect_heads(kernel, "q [tokens, heads, width] with contiguous heads", args.q);
  expect_heads(kernel, "k [tokens, groups, width] with contiguous heads", args.k);
  expect_like(kernel, "v of the shape and dtype of k", args.v, args.k);
  expect_like(kernel, "o of the shape and dtype of q", args.o, args.q);
  expect_dtype(kernel, "k", args.k, args.q.dtype);
  const bool fits = args.batch >= 1 && args.q.dim(0) % args.batch == 0 &&
                    args.k.dim(0) % args.batch == 0 && args.k.dim(2) == args.q.dim(2) &&
                    args.k.dim(1) >= 1 && args.q.dim(1) % args.k.dim(1) == 0;
  if (!fits) {
    throw_shape(kernel, "k of the width of q, heads a multiple of groups, tokens a multiple of batch",
                args.k);
  }
  expect_dtype(kernel, "begin", args.begin, DType::I32);
  expect_dtype(kernel, "end", args.end, DType::I32);
  expect_flat(kernel, "begin", args.begin, args.q.dim(0));
  expect_flat(kernel, "end", args.end, args.q.dim(0));
  expect_dtype(kernel, "logsumexp", args.logsumexp, compute_dtype(args.q.dtype));
  expect_flat(kernel, "logsumexp", args.logsumexp, args.q.dim(0) * args.q.dim(1));
  return {args.batch,
          args.q.dim(0) / args.batch,
          args.k.dim(0) / args.batch,
          args.q.dim(1),
          args.k.dim(1),
          args.q.dim(1) / args.k.dim(1),
          args.q.dim(2)};
}

}  // namespace

AttentionProblem attention_problem(const Attention& args) {
  return common_problem("attention", args);
}

AttentionProblem attention_problem(const AttentionBackward& args) {
  const char* kernel = "attention_backward";
  const AttentionProblem problem = common_problem(kernel, args);
  expect_like(kernel, "d_o of the shape and dtype of q", args.d_o, args.q);
  expect_like(kernel, "dq of the shape and dtype of q", args.dq, args.q);
  expect_like(kernel, "dk of the shape and dtype of k", args.dk, args.k);
  expect_like(kernel, "dv of the shape and dtype of k", args.dv, args.k);
  return problem;
}

}  // namespace moe::kernels
