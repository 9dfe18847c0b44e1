#include "train/persistence.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/format.h"
#include "interop/load_weights.h"

namespace moe::train {
namespace {

using Json = nlohmann::json;

/// This rank's share of a tensor that several ranks hold alike.
checkpoint::OwnedTensor owned(const TrainState& state, const nn::Parameter& parameter,
                              const std::string& name, const Tensor& value) {
  const std::vector<int> holders =
      state.mesh->layout().holders(parameter.spec().placement, state.mesh->rank());
  const auto me = std::find(holders.begin(), holders.end(), state.mesh->rank()) - holders.begin();
  const Slice mine = shard(parameter.slice(), static_cast<std::int64_t>(holders.size()), me);
  return {.name = name,
          .slice = mine,
          .data = value.window(mine.flat_begin, {mine.numel()}).view(),
          .attributes = {{"kind", std::string(to_string(parameter.kind()))}}};
}

std::map<std::string, nn::Parameter*> parameters_by_name(Model& model) {
  std::map<std::string, nn::Parameter*> by_name;
  model.for_each_parameter([&](nn::Parameter& parameter) { by_name[parameter.name()] = &parameter; });
  return by_name;
}

/// "layers.0.norm.weight.moment1" -> the parameter it belongs to.
nn::Parameter& owner_of(const std::map<std::string, nn::Parameter*>& parameters,
                        const std::string& state_name) {
  return *parameters.at(state_name.substr(0, state_name.rfind('.')));
}

std::map<std::string, std::int64_t> world_of(const mesh::MeshLayout& layout) {
  return {{"size", layout.world()},
          {"data", layout.degrees().data()},
          {"expert", layout.degrees().expert}};
}

template <class T>
T value_in(const checkpoint::Checkpoint& checkpoint, const char* state, const char* key) {
  try {
    return Json::parse(checkpoint.state(state)).at(key).get<T>();
  } catch (const Json::exception& error) {
    throw CheckpointError(format("{}: state '{}': expected key '{}': {}", checkpoint.path().string(),
                                 state, key, error.what()));
  }
}

}  // namespace

checkpoint::State describe_state(const TrainState& state, const CheckpointContext& context) {
  checkpoint::State described;
  described.header = {
      .step = state.step,
      .consumed_samples = state.cursor.samples_consumed,
      .consumed_tokens = state.tokens,
      .world = world_of(state.mesh->layout()),
      .config = context.config_yaml,
      .versions = {{"moe-train", MOE_VERSION}},
      .states = {
          {"cursor", Json{{"samples_consumed", state.cursor.samples_consumed}}.dump()},
          {"counters", Json{{"step", state.step}, {"tokens", state.tokens}}.dump()},
          {"randomness", Json{{"seed", context.seed}}.dump()},
          {"data", Json{{"fingerprint", context.data_fingerprint}}.dump()},
      }};
  described.attachments = context.attachments;
  const auto parameters = parameters_by_name(*state.model);
  for (const auto& [name, parameter] : parameters) {
    described.tensors.push_back(owned(state, *parameter, name, parameter->master()));
  }
  for (const auto& moment : state.optimizer->state()) {
    described.tensors.push_back(
        owned(state, owner_of(parameters, moment.name), moment.name, moment.value));
  }
  return described;
}

void restore_state(TrainState& state, const checkpoint::Checkpoint& checkpoint) {
  const auto parameters = parameters_by_name(*state.model);
  const auto moments = state.optimizer->state();
  std::vector<checkpoint::ExpectedTensor> expected;
  for (const auto& [name, parameter] : parameters) {
    expected.push_back({name, parameter->spec().shape, parameter->master().dtype()});
  }
  for (const auto& moment : moments) {
    expected.push_back({moment.name, owner_of(parameters, moment.name).spec().shape,
                        moment.value.dtype()});
  }
  checkpoint::require_tensors(checkpoint, expected);
  state.cursor.samples_consumed =
      value_in<std::int64_t>(checkpoint, "cursor", "samples_consumed");
  state.step = value_in<std::int64_t>(checkpoint, "counters", "step");
  state.tokens = value_in<std::int64_t>(checkpoint, "counters", "tokens");
  interop::fill_parameters(*state.model, checkpoint);
  for (const auto& moment : moments) {
    checkpoint.read(moment.name, moment.slice, moment.value.view());
  }
}

void restore_weights(Model& model, const checkpoint::TensorSource& source) {
  for (const auto& [name, parameter] : parameters_by_name(model)) {
    const checkpoint::TensorInfo& info = source.info(name);
    if (info.shape != parameter->spec().shape) {
      throw CheckpointError(format("{}: {}: expected shape {}, found {}", source.description(), name,
                                   to_string(parameter->spec().shape), to_string(info.shape)));
    }
  }
  interop::fill_parameters(model, source);
}

std::string data_fingerprint(const checkpoint::Checkpoint& checkpoint) {
  return value_in<std::string>(checkpoint, "data", "fingerprint");
}

}  // namespace moe::train
