#include "parallel/grad_reducer.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "base/clock.h"
#include "device/activity.h"
#include "optim/gradient_sums.h"
#include "parallel/gradient_buckets.h"

namespace moe::parallel {
struct GradReducer::Bucket {
  comm::Group* group = nullptr;
  DType dtype = DType::F32;
  std::vector<nn::Parameter*> parameters;
  std::int64_t elements = 0;
  Tensor buffer;
  std::size_t ready = 0;  // parameters whose last gradient of the step is written
  bool started = false;
  comm::Work work;
};

GradReducer::GradReducer(const std::vector<nn::Parameter*>& parameters,
                         const mesh::ProcessMesh& mesh, const ReducerOptions& options)
    : parameters_(parameters), mesh_(mesh), overlap_(options.overlap) {
  build_buckets(options);
  for (const auto& bucket : buckets_) {
    for (nn::Parameter* parameter : bucket->parameters) {
      parameter->drop_gradient();
      parameter->set_gradient_source([target = bucket.get()](Leaf&) { allocate(*target); });
      parameter->set_ready_hook([this, target = bucket.get()](Leaf&) { on_ready(*target); });
    }
  }
}

GradReducer::~GradReducer() {
  for (nn::Parameter* parameter : parameters_) {
    parameter->set_ready_hook(nullptr);
    parameter->set_gradient_source(nullptr);
  }
}

void GradReducer::allocate(Bucket& bucket) {
  bucket.buffer = Tensor::empty({bucket.elements}, bucket.dtype, MemoryCategory::Gradients);
  std::int64_t offset = 0;
  for (nn::Parameter* parameter : bucket.parameters) {
    const std::int64_t elements = parameter->value().numel();
    parameter->set_gradient(bucket.buffer.window(offset, parameter->value().shape()));
    // What lies between windows is summed and checked with them.
    const std::int64_t gap = padded_elements(elements) - elements;
    if (gap > 0) bucket.buffer.window(offset + elements, {gap}).fill(0.0);
    offset += padded_elements(elements);
  }
}

void GradReducer::build_buckets(const ReducerOptions& options) {
  std::map<std::pair<const comm::Group*, DType>, std::int64_t> kinds;
  std::vector<GradientWindow> windows;
  for (nn::Parameter* parameter : parameters_) {
    const DType dtype = parameter->master().dtype();
    const auto next = static_cast<std::int64_t>(kinds.size());
    const auto kind = kinds.try_emplace({&mesh_.sum_grad_group(parameter->spec().placement), dtype}, next).first;
    windows.push_back({kind->second, padded_elements(parameter->value().numel()) * size_of(dtype)});
  }
  const std::vector<std::size_t> bucket_of = cut_into_buckets(windows, options.bucket_bytes);
  for (std::size_t i = parameters_.size(); i-- > 0;) {
    if (bucket_of[i] == buckets_.size()) buckets_.push_back(std::make_unique<Bucket>());
    Bucket& bucket = *buckets_[bucket_of[i]];
    bucket.group = &mesh_.sum_grad_group(parameters_[i]->spec().placement);
    bucket.dtype = parameters_[i]->master().dtype();
    bucket.parameters.push_back(parameters_[i]);
    bucket.elements += windows[i].bytes / size_of(bucket.dtype);
  }
}

void GradReducer::begin_step() {
  last_micro_batch_ = false;
  next_to_start_ = 0;
  wait_seconds_ = 0.0;
  reduce_seconds_ = 0.0;
  for (nn::Parameter* parameter : parameters_) parameter->drop_gradient();
  for (const auto& bucket : buckets_) {
    bucket->buffer = Tensor();
    bucket->ready = 0;
    bucket->started = false;
  }
}

void GradReducer::begin_last_micro_batch() { last_micro_batch_ = true; }

void GradReducer::on_ready(Bucket& bucket) {
  if (!last_micro_batch_ || !overlap_) return;
  ++bucket.ready;
  // In order, so that every rank issues the same sequence of collectives.
  while (next_to_start_ < buckets_.size()) {
    Bucket& next = *buckets_[next_to_start_];
    if (next.ready < next.parameters.size()) return;
    start(next);
    ++next_to_start_;
  }
}

void GradReducer::start(Bucket& bucket) {
  for (nn::Parameter* parameter : bucket.parameters) parameter->zero_unless_written();
  bucket.started = true;
  bucket.work = bucket.group->all_reduce_sum(bucket.buffer.view());
}

void GradReducer::finish() {
  for (; next_to_start_ < buckets_.size(); ++next_to_start_) start(*buckets_[next_to_start_]);
  // The last sums end well after backward: first what no other rank has a part in, then the others as they started.
  for (const bool alone : {true, false}) {
    for (const auto& bucket : buckets_) {
      if ((bucket->group->size() == 1) != alone) continue;
      wait_for(*bucket);
      add_squares(*bucket);
    }
  }
}

void GradReducer::wait_for(Bucket& bucket) {
  const Stopwatch watch;
  const ActivitySpan span(current_context().stream, "wait", "gradient_sum");
  bucket.work.wait();
  wait_seconds_ += watch.seconds();
  reduce_seconds_ += bucket.work.elapsed();
  bucket.work = comm::Work();
}

void GradReducer::add_squares(const Bucket& bucket) {
  const mesh::MeshLayout& layout = mesh_.layout();
  const int rank = mesh_.rank();
  for (const nn::Parameter* parameter : bucket.parameters) {
    const std::vector<int> holders = layout.holders(parameter->spec().placement, rank);
    const auto me = std::find(holders.begin(), holders.end(), rank) - holders.begin();
    const Slice mine = shard(parameter->slice(), static_cast<std::int64_t>(holders.size()), me);
    squares_[parameter] = optim::sum_of_squares(parameter->gradient().window(mine.flat_begin, {mine.numel()}));
  }
}

double GradReducer::seconds_alone() {
  mesh_.world().barrier().wait();
  const Stopwatch watch;
  for (const auto& bucket : buckets_) bucket->work = bucket->group->all_reduce_sum(bucket->buffer.view());
  for (const auto& bucket : buckets_) {
    bucket->work.wait();
    bucket->work = comm::Work();
  }
  return watch.seconds();
}

double GradReducer::gradient_norm() {
  Tensor total = Tensor::zeros({1}, DType::F64);
  for (const nn::Parameter* parameter : parameters_) total.span<double>()[0] += squares_.at(parameter);
  const ActivitySpan span(current_context().stream, "wait", "gradient_norm");
  mesh_.group(mesh::Purpose::SumGradNorm).all_reduce_sum(total.view()).wait();
  return std::sqrt(total.item());
}

std::int64_t GradReducer::count_non_finite() const {
  std::int64_t total = 0;
  for (const auto& bucket : buckets_) total += optim::count_non_finite(bucket->buffer);
  return total;
}

std::vector<optim::TrainedTensor> GradReducer::trained_tensors() const {
  std::vector<optim::TrainedTensor> tensors;
  for (nn::Parameter* parameter : parameters_) {
    const Shape flat{parameter->value().numel()};
    const bool copied = parameter->value().dtype() != parameter->master().dtype();
    tensors.push_back({.name = parameter->name(),
                       .kind = parameter->kind(),
                       .slice = parameter->slice(),
                       .master = parameter->master().reshape(flat),
                       .gradient = [parameter, flat] { return parameter->gradient().reshape(flat); },
                       .compute = copied ? parameter->value().reshape(flat) : Tensor()});
  }
  return tensors;
}

}  // namespace moe::parallel
