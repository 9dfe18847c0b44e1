#include "kernels/moe/balance.h"

#include "kernels/common/errors.h"

// T x E scores are a few hundred kilobytes at most: plain loops on one thread, in token order.
namespace moe::kernels::MOE_ISA {
namespace {

inline std::int32_t group_of(const View& group, std::int64_t t) {
  return group ? group.as<const std::int32_t>()[t] : 0;
}

inline bool counted(const View& mask, std::int64_t t) {
  return !mask || mask.as<const std::uint8_t>()[t] != 0;
}

template <class T>
double score_sum(const WeightedScoreSum& args) {
  const std::int64_t experts = args.probability.dim(1);
  double total = 0.0;
  for (std::int64_t t = 0; t < args.probability.dim(0); ++t) {
    if (!counted(args.mask, t)) continue;
    const T* p = args.probability.as<const T>() + t * experts;
    const double* c = args.coefficient.as<const double>() + group_of(args.group, t) * experts;
    double row = 0.0;
    for (std::int64_t e = 0; e < experts; ++e) row += c[e] * static_cast<double>(p[e]);
    total += row;
  }
  return total;
}

template <class T>
void score_sum_backward(const WeightedScoreSumBackward& args) {
  const std::int64_t experts = args.dprobability.dim(1);
  const double dout = args.dout.as<const double>()[0];
  for (std::int64_t t = 0; t < args.dprobability.dim(0); ++t) {
    T* dp = args.dprobability.as<T>() + t * experts;
    const double factor = counted(args.mask, t) ? dout : 0.0;
    const double* c = args.coefficient.as<const double>() + group_of(args.group, t) * experts;
    for (std::int64_t e = 0; e < experts; ++e) dp[e] = static_cast<T>(factor * c[e]);
  }
}

template <class T>
double square_sum(const MaskedSquareSum& args) {
  const T* x = args.x.as<const T>();
  double total = 0.0;
  for (std::int64_t t = 0; t < args.x.numel(); ++t) {
    if (counted(args.mask, t)) total += static_cast<double>(x[t]) * static_cast<double>(x[t]);
  }
  return total;
}

template <class T>
void square_sum_backward(const MaskedSquareSumBackward& args) {
  const T* x = args.x.as<const T>();
  T* dx = args.dx.as<T>();
  const double dout = args.dout.as<const double>()[0];
  for (std::int64_t t = 0; t < args.x.numel(); ++t) {
    dx[t] = counted(args.mask, t) ? static_cast<T>(2.0 * dout * static_cast<double>(x[t])) : T(0);
  }
}

}  // namespace

void weighted_score_sum(Stream&, const WeightedScoreSum& args) {
  double* out = args.out.as<double>();
  switch (args.probability.dtype) {
    case DType::F32: *out = score_sum<float>(args); return;
    case DType::F64: *out = score_sum<double>(args); return;
    default: throw_dtype("weighted_score_sum", "probability", args.probability.dtype);
  }
}

void weighted_score_sum_backward(Stream&, const WeightedScoreSumBackward& args) {
  switch (args.dprobability.dtype) {
    case DType::F32: return score_sum_backward<float>(args);
    case DType::F64: return score_sum_backward<double>(args);
    default: throw_dtype("weighted_score_sum_backward", "dprobability", args.dprobability.dtype);
  }
}

void count_routes(Stream&, const CountRoutes& args) {
  const std::int64_t choices = args.expert.dim(1);
  const std::int64_t experts = args.count.dim(1);
  for (std::int64_t t = 0; t < args.expert.dim(0); ++t) {
    if (!counted(args.mask, t)) continue;
    std::int64_t* count = args.count.as<std::int64_t>() + group_of(args.group, t) * experts;
    const std::int32_t* expert = args.expert.as<const std::int32_t>() + t * choices;
    for (std::int64_t k = 0; k < choices; ++k) {
      if (expert[k] >= 0) ++count[expert[k]];
    }
  }
}

void masked_square_sum(Stream&, const MaskedSquareSum& args) {
  double* out = args.out.as<double>();
  switch (args.x.dtype) {
    case DType::F32: *out = square_sum<float>(args); return;
    case DType::F64: *out = square_sum<double>(args); return;
    default: throw_dtype("masked_square_sum", "x", args.x.dtype);
  }
}

void masked_square_sum_backward(Stream&, const MaskedSquareSumBackward& args) {
  switch (args.x.dtype) {
    case DType::F32: return square_sum_backward<float>(args);
    case DType::F64: return square_sum_backward<double>(args);
    default: throw_dtype("masked_square_sum_backward", "x", args.x.dtype);
  }
}

}  // namespace moe::kernels::MOE_ISA
