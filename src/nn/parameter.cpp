#include "nn/parameter.h"

#include "base/check.h"
#include "base/random.h"

namespace moe::nn {
namespace {

constexpr std::int64_t kGrain = 1 << 14;

template <class T>
void fill_normal(const Tensor& target, const Slice& slice, const Random& random, double deviation) {
  T* values = target.view().as<T>();
  current_context().stream.pool().parallel_ranges(
      slice.size.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const auto index = static_cast<std::uint64_t>(global_index(slice, i));
          // Rounded to f32 in every dtype, so that f64 checks start from the weights training starts from.
          values[i] = static_cast<T>(static_cast<float>(random.normal(index) * deviation));
        }
      });
}

}  // namespace

DType compute_dtype_of(ParameterKind kind, DType compute_dtype) {
  const bool precise = kind == ParameterKind::Norm || kind == ParameterKind::Router ||
                       kind == ParameterKind::Bias;
  return precise && compute_dtype == DType::BF16 ? DType::F32 : compute_dtype;
}

Parameter::Parameter(ParameterSpec spec)
    : Leaf(spec.name, Tensor()), spec_(std::move(spec)), slice_(whole(spec_.shape)) {}

void Parameter::place(const RoleShares& shares) {
  MOE_CHECK(!materialized());
  slice_ = moe::place(spec_.name, spec_.shape, spec_.placement, shares);
}

void Parameter::allocate(DType compute_dtype) {
  const DType held = compute_dtype_of(spec_.kind, compute_dtype);
  const DType precise = held == DType::F64 ? DType::F64 : DType::F32;
  master_ = Tensor::empty(slice_.size, precise, MemoryCategory::Parameters);
  set_value(held == precise ? master_
                            : Tensor::empty(slice_.size, held, MemoryCategory::Parameters));
}

void Parameter::materialize(DType compute_dtype, std::uint64_t seed) {
  allocate(compute_dtype);
  switch (spec_.initializer.kind) {
    case Initializer::Kind::Zeros: master_.fill(0.0); break;
    case Initializer::Kind::Ones: master_.fill(1.0); break;
    case Initializer::Kind::Normal: {
      const Random random(seed, spec_.name);
      if (master_.dtype() == DType::F64) {
        fill_normal<double>(master_, slice_, random, spec_.initializer.deviation);
      } else {
        fill_normal<float>(master_, slice_, random, spec_.initializer.deviation);
      }
      break;
    }
  }
  publish();
}

void Parameter::publish() const {
  if (value().dtype() != master_.dtype()) value().copy_from(master_);
}

void Parameter::release() {
  master_ = Tensor();
  set_value(Tensor());
}

}  // namespace moe::nn
