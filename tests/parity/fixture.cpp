#include "parity/fixture.h"

#include <algorithm>
#include <filesystem>
#include <stdexcept>

#include "interop/hugging_face_weights.h"
#include "interop/json_object.h"

namespace moe::parity {
namespace {

double required(const interop::JsonObject& json, const char* key) {
  const auto value = json.number(key);
  if (!value) json.refuse(key, "a number");
  return *value;
}

AdamWSettings adamw_in(const interop::JsonObject& json) {
  const auto adamw = json.object("adamw");
  if (!adamw) json.refuse("adamw", "an object");
  const auto steps = adamw->integer("steps");
  if (!steps) adamw->refuse("steps", "an integer");
  return {.learning_rate = required(*adamw, "lr"),
          .beta1 = required(*adamw, "beta1"),
          .beta2 = required(*adamw, "beta2"),
          .epsilon = required(*adamw, "eps"),
          .weight_decay = required(*adamw, "weight_decay"),
          .clip = adamw->number("clip").value_or(0.0),
          .steps = *steps};
}

}  // namespace

Fixture open_fixture(const Path& folder) {
  const Path settings = folder / "fixture.json";
  const auto json = interop::JsonObject::parse(read_file(settings), settings.string());
  Fixture fixture;
  fixture.config = interop::read_hugging_face_config(folder / "config.json");
  // The coefficient that the expected loss was formed with; theirs is k times ours.
  if (const auto coefficient = json.number("router_aux_loss_coef")) {
    fixture.config.model.router_aux_loss_coef =
        *coefficient * static_cast<double>(fixture.config.model.num_experts_per_tok);
  }
  fixture.model = std::make_shared<interop::HuggingFaceWeights>(
      folder, interop::WeightsOptions{.follow_links = true});
  fixture.gradients = std::make_shared<interop::SafetensorsFile>(folder / "gradients.safetensors");
  fixture.expected = std::make_shared<interop::SafetensorsFile>(folder / "expected.safetensors");
  fixture.adamw = adamw_in(json);
  return fixture;
}

std::vector<Path> fixture_folders(const Path& root) {
  std::vector<Path> folders;
  for (const auto& entry : std::filesystem::directory_iterator(root)) {
    if (entry.is_directory()) folders.push_back(entry.path());
  }
  if (folders.empty()) throw std::runtime_error(root.string() + " holds no fixture folder");
  std::ranges::sort(folders);
  return folders;
}

std::vector<double> read_numbers(const checkpoint::TensorSource& source, const std::string& name) {
  std::vector<double> values(static_cast<std::size_t>(source.info(name).shape.numel()));
  source.read(name, checkpoint::flat_view(values.data(), DType::F64,
                                          static_cast<std::int64_t>(values.size())));
  return values;
}

std::vector<std::int64_t> read_integers(const checkpoint::TensorSource& source,
                                        const std::string& name) {
  std::vector<std::int64_t> values(static_cast<std::size_t>(source.info(name).shape.numel()));
  source.read(name, checkpoint::flat_view(values.data(), DType::I64,
                                          static_cast<std::int64_t>(values.size())));
  return values;
}

}  // namespace moe::parity
