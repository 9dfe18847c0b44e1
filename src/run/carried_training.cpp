#include "run/carried_training.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "base/error.h"
#include "base/format.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/joined_source.h"
#include "growth/grown_source.h"
#include "growth/outline.h"
#include "growth/slices.h"

namespace moe::run {
namespace {

using checkpoint::TensorSource;

std::shared_ptr<const checkpoint::Checkpoint> open_again(const StoredModel& source) {
  checkpoint::OpenOptions options;
  options.verify = false;  // its digests were compared when the model was opened
  return checkpoint::open_checkpoint(source.path, options);
}

/// "moment1", "moment2": what every parameter has in the checkpoint beside its value.
std::vector<std::string> moments_in(const checkpoint::Checkpoint& checkpoint,
                                    const TensorSource& weights) {
  std::set<std::string> kinds;
  for (const std::string& name : checkpoint.names()) {
    const std::size_t dot = name.rfind('.');
    if (dot != std::string::npos && weights.contains(name.substr(0, dot))) kinds.insert(name.substr(dot + 1));
  }
  for (const std::string& kind : kinds) {
    for (const std::string& name : weights.names()) {
      if (checkpoint.contains(name + "." + kind)) continue;
      throw CheckpointError(format("{}: {} has no {}, other parameters do", checkpoint.path().string(), name, kind));
    }
  }
  return {kinds.begin(), kinds.end()};
}

/// One moment under the names of the parameters it belongs to.
growth::ModelSource moment_of(const std::shared_ptr<const checkpoint::Checkpoint>& checkpoint,
                              const growth::ModelSource& model, const std::string& kind) {
  auto moments = std::make_shared<growth::GrownSource>(
      format("{} of {}", kind, checkpoint->path().string()), checkpoint);
  for (const std::string& name : model.weights->names()) {
    const std::string stored = name + "." + kind;
    moments->add(name, checkpoint->info(stored), growth::same_as(stored));
  }
  return {model.config, moments};
}

bool same_bits(const TensorSource& a, const TensorSource& b, const std::string& name) {
  const checkpoint::TensorInfo* in_a = a.find(name);
  const checkpoint::TensorInfo* in_b = b.find(name);
  if (in_a == nullptr || in_b == nullptr || in_a->shape != in_b->shape || in_a->dtype != in_b->dtype) return false;
  bool same = true;
  std::vector<std::byte> first;
  std::vector<std::byte> second;
  growth::for_each_chunk(whole(in_a->shape), growth::kChunkElements, [&](const Slice& part, std::int64_t) {
    if (!same) return;
    for (auto* bytes : {&first, &second}) {
      bytes->resize(static_cast<std::size_t>(part.numel() * size_of(in_a->dtype)));
    }
    a.read(name, part, checkpoint::flat_view(first.data(), in_a->dtype, part.numel()));
    b.read(name, part, checkpoint::flat_view(second.data(), in_a->dtype, part.numel()));
    same = std::memcmp(first.data(), second.data(), first.size()) == 0;
  });
  return same;
}

/// Moments of the parameters that stayed as they are.
growth::ModelSource kept_moments(const growth::ModelSource& moments, const growth::ModelSource& source,
                                 const growth::ModelSource& grown) {
  auto kept = std::make_shared<growth::GrownSource>(moments.weights->description(), moments.weights);
  for (const std::string& name : grown.weights->names()) {
    checkpoint::TensorInfo info = grown.weights->info(name);
    info.dtype = moments.weights->info(moments.weights->names().front()).dtype;
    const bool same = same_bits(*source.weights, *grown.weights, name);
    kept->add(name, info, same ? growth::same_as(name) : growth::zeros());
  }
  return {grown.config, kept};
}

}  // namespace

void require_carriable(const growth::Plan& plan, const StoredModel& source) {
  if (plan.optimizer_state == "reset") return;
  if (source.format != ModelFormat::Native) {
    throw ConfigError(format("optimizer_state: got {}, but {} is a Hugging Face folder, which holds no moments; expected "
                             "reset",
                             plan.optimizer_state, source.description()));
  }
  if (moments_in(*open_again(source), *source.model.weights).empty()) {
    throw CheckpointError(format("{}: holds no optimizer state to {}. HINT: optimizer_state: reset",
                                 source.description(), plan.optimizer_state));
  }
  if (plan.optimizer_state == "copy") return;
  const auto stages = growth::make_stages(plan);
  for (std::size_t i = 0; i < stages.size(); ++i) {
    if (stages[i]->carries_moments()) continue;
    throw ConfigError(format("optimizer_state: moments cannot be tiled through stages[{}] {} ({}); expected reset or copy",
                             i, plan.stages[i].name, stages[i]->method()));
  }
}

std::optional<CarriedTraining> carry_training(const growth::Plan& plan, const StoredModel& source,
                                              const growth::ModelSource& grown,
                                              const growth::TokenProbe& probe) {
  if (plan.optimizer_state == "reset") return std::nullopt;
  const auto checkpoint = open_again(source);
  std::vector<std::shared_ptr<const TensorSource>> carried;
  for (const std::string& kind : moments_in(*checkpoint, *source.model.weights)) {
    const growth::ModelSource moments = moment_of(checkpoint, source.model, kind);
    const growth::ModelSource moved = plan.optimizer_state == "tile"
                                          ? growth::carry_moments(plan, source.model, moments, &probe)
                                          : kept_moments(moments, source.model, grown);
    carried.push_back(std::make_shared<checkpoint::SuffixedSource>(moved.weights, "." + kind));
  }
  const checkpoint::Header& header = checkpoint->header();
  return CarriedTraining{.moments = std::make_shared<checkpoint::JoinedSource>(std::move(carried)),
                         .step = header.step,
                         .samples = header.consumed_samples,
                         .tokens = header.consumed_tokens,
                         .states = header.states};
}

}  // namespace moe::run
