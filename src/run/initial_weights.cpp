#include "run/initial_weights.h"

#include "base/error.h"
#include "base/format.h"
#include "interop/load_weights.h"
#include "interop/model_facts.h"

namespace moe::run {
namespace {

void require_shapes(const StoredModel& source, const ModelConfig& config) {
  const auto shapes = shapes_of(config, DType::F32, "");
  std::vector<checkpoint::ExpectedTensor> expected;
  for (const std::string& name : shapes->names()) {
    expected.push_back({name, shapes->info(name).shape, {}});
  }
  try {
    checkpoint::require_tensors(*source.model.weights, expected);
  } catch (const CheckpointError& error) {
    throw CheckpointError(
        format("checkpoint.init_from does not fit the model section: {}\nHINT: keys of `model` that are "
               "not written are the source's; remove those that say something else",
               error.what()));
  }
}

}  // namespace

InitialWeights::InitialWeights(const RunConfig& config, comm::Group& group,
                               const std::function<void(const std::string&)>& say)
    : source_(open_model(*config.checkpoint.init_from,
                         {.follow_links = config.checkpoint.follow_links, .group = &group})) {
  if (!source_.has_weights) {
    throw CheckpointError(format("{}: checkpoint.init_from needs weights; here is only a config.json",
                                 source_.description()));
  }
  require_shapes(source_, config.model);
  for (const auto& [field, theirs, ours] :
       interop::compare_facts(source_.model.config, config.model)) {
    say(format("checkpoint.init_from: model.{} is {} in this run, the weights come from a model with {}",
               field, ours, theirs));
  }
  say(format("starting from the weights of {}", source_.description()));
}

void InitialWeights::fill(Model& model) const {
  interop::load_parameters(model, *source_.model.weights);
  model.for_each_parameter([&](nn::Parameter& parameter) {
    checkpoint::require_finite(*source_.model.weights, parameter.name(), parameter.slice(),
                               parameter.master().view());
  });
}

void require_training_state(const checkpoint::Checkpoint& checkpoint) {
  if (checkpoint.metadata("cursor")) return;
  throw CheckpointError(format("{}: holds a model's weights and no state of a training, so that nothing can "
                               "be resumed from it. HINT: start a run with checkpoint.init_from={}",
                               checkpoint.path().string(), checkpoint.path().string()));
}

}  // namespace moe::run
