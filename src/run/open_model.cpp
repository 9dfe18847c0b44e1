#include "run/open_model.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/error.h"
#include "base/format.h"
#include "checkpoint/resume.h"
#include "interop/hf_config_writer.h"
#include "interop/hugging_face_source.h"
#include "model/model.h"
#include "run/loaded_model.h"

namespace moe::run {
namespace {

using checkpoint::TensorInfo;
using checkpoint::TensorSource;

/// The parameters of a model, without values.
class Shapes : public TensorSource {
 public:
  Shapes(const ModelConfig& config, DType dtype, std::string description)
      : description_(std::move(description)) {
    Model model(config);
    model.for_each_parameter([&](const nn::Parameter& parameter) {
      names_.push_back(parameter.name());
      tensors_[parameter.name()] = {parameter.spec().shape, dtype,
                                    {{"kind", std::string(moe::to_string(parameter.kind()))}}};
    });
    std::ranges::sort(names_);
  }
  std::string description() const override { return description_; }
  const std::vector<std::string>& names() const override { return names_; }
  const TensorInfo* find(const std::string& name) const override {
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? nullptr : &found->second;
  }

 protected:
  void read_slice(const std::string& name, const TensorInfo&, const Slice&,
                  const View&) const override {
    throw CheckpointError(
        format("{}: holds no weights, only shapes: {} cannot be read", description_, name));
  }

 private:
  std::string description_;
  std::vector<std::string> names_;
  std::map<std::string, TensorInfo> tensors_;
};

/// The weights of a checkpoint, without the optimizer's state.
class WeightsOf : public TensorSource {
 public:
  WeightsOf(std::shared_ptr<const checkpoint::Checkpoint> checkpoint, const ModelConfig& config)
      : checkpoint_(std::move(checkpoint)) {
    const Shapes shapes(config, DType::F32, "");
    names_ = shapes.names();
    std::vector<checkpoint::ExpectedTensor> expected;
    for (const std::string& name : names_) expected.push_back({name, shapes.info(name).shape, {}});
    for (const std::string& name : checkpoint_->names()) {
      if (!std::ranges::binary_search(names_, name) && !is_state(name)) unknown_.push_back(name);
    }
    // With what is nobody's, so that it is complained of too.
    names_.insert(names_.end(), unknown_.begin(), unknown_.end());
    checkpoint::require_tensors(*this, expected);
  }
  std::string description() const override { return checkpoint_->description(); }
  const std::vector<std::string>& names() const override { return names_; }
  const TensorInfo* find(const std::string& name) const override {
    return std::ranges::find(names_, name) == names_.end() ? nullptr : checkpoint_->find(name);
  }
  std::optional<std::string> metadata(const std::string& key) const override {
    return checkpoint_->metadata(key);
  }
  std::string place_of(const std::string& name, std::int64_t element) const override {
    return checkpoint_->place_of(name, element);
  }

 protected:
  void read_slice(const std::string& name, const TensorInfo&, const Slice& slice,
                  const View& out) const override {
    checkpoint_->read(name, slice, out);
  }

 private:
  /// "<parameter>.<what the optimizer keeps of it>".
  bool is_state(const std::string& name) const {
    return std::ranges::binary_search(names_, name.substr(0, name.rfind('.')));
  }

  std::shared_ptr<const checkpoint::Checkpoint> checkpoint_;
  std::vector<std::string> names_;
  std::vector<std::string> unknown_;
};

bool holds_steps(const Path& path) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
    if (entry.path().filename().string().starts_with("step_") && entry.is_directory(error)) {
      return true;
    }
  }
  return false;
}

bool is_native(const Path& path) {
  return std::filesystem::exists(path / checkpoint::kManifestName) || holds_steps(path) ||
         holds_steps(path / "checkpoints");
}

DType dtype_named(const std::string& name) {
  if (name == "bfloat16") return DType::BF16;
  if (name == "float16") return DType::F16;
  if (name == "float64") return DType::F64;
  return DType::F32;
}

StoredModel open_folder(const Path& path, const OpenModelOptions& options) {
  const interop::ContainedFolder folder(path, options.follow_links);
  StoredModel found;
  found.path = path;
  found.format = ModelFormat::HuggingFace;
  const interop::HuggingFaceConfig config = interop::read_hugging_face_config(folder);
  found.architecture = config.architecture;
  found.files = hugging_face_files(folder);
  found.has_weights = !options.shapes_only && (folder.contains(interop::kSingleFileName) ||
                                               folder.contains(interop::kIndexName));
  found.model.config = config.model;
  if (found.has_weights) {
    const interop::WeightsOptions weights{.follow_links = options.follow_links};
    found.model.weights = std::make_shared<interop::HuggingFaceSource>(
        config, std::make_shared<interop::HuggingFaceWeights>(path, weights));
  } else {
    found.model.weights = shapes_of(config.model, dtype_named(config.dtype), path.string());
  }
  return found;
}

std::optional<interop::Architecture> origin_of(const checkpoint::Checkpoint& checkpoint) {
  const auto text = checkpoint.metadata("origin");
  const nlohmann::json origin =
      text ? nlohmann::json::parse(*text, nullptr, false) : nlohmann::json();
  if (!origin.is_object() || !origin.contains("architecture")) return {};
  const nlohmann::json& name = origin["architecture"];
  for (const interop::Architecture architecture : interop::kArchitectures) {
    if (name.is_string() && name == interop::to_string(architecture)) return architecture;
  }
  return {};
}

StoredModel open_native(const Path& path, const OpenModelOptions& options) {
  const std::shared_ptr<checkpoint::Checkpoint> opened = checkpoint::open_path(
      path, {.group = options.group,
             .verify = options.verify && !options.shapes_only,
             .progress = options.progress,
             .on_open_shard = {}});
  StoredModel found;
  found.path = opened->path();
  found.run = config_of(*opened);
  found.step = opened->step();
  found.files = checkpoint_files(*opened);
  found.architecture = origin_of(*opened);
  found.model.config = found.run->model;
  found.model.weights = std::make_shared<WeightsOf>(opened, found.model.config);
  return found;
}

void require_folder(const Path& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return;
  throw CheckpointError(
      format("{}: {}", path.string(),
             std::filesystem::exists(path, error)
                 ? "is not a folder. HINT: name the folder that holds it, with its config.json"
                 : "no such folder"));
}

void digest_file(const Path& path, std::string& text) {
  text += format("{} {}\n", path.filename().string(), digest_file_128(path));
}

}  // namespace

std::string to_string(ModelFormat format) {
  return format == ModelFormat::Native ? "native" : "hf";
}

DType dominant_dtype(const TensorSource& weights) {
  std::map<DType, std::int64_t> bytes;
  for (const std::string& name : weights.names()) {
    const TensorInfo& info = weights.info(name);
    bytes[info.dtype] += info.shape.numel() * size_of(info.dtype);
  }
  const auto most = std::ranges::max_element(bytes, {}, [](const auto& pair) { return pair.second; });
  return most == bytes.end() ? DType::F32 : most->first;
}

StoredModel open_model(const Path& path, const OpenModelOptions& options) {
  require_folder(path);
  if (is_native(path)) return open_native(path, options);
  const auto config = std::filesystem::symlink_status(path / interop::kConfigName);
  if (std::filesystem::exists(config)) return open_folder(path, options);
  if (std::filesystem::is_directory(path / "checkpoints")) return open_native(path, options);
  throw CheckpointError(format(
      "{}: expected a checkpoint (a step, checkpoints or run folder) or a Hugging Face folder, found "
      "neither {} nor {}",
      path.string(), checkpoint::kManifestName, interop::kConfigName));
}

std::string digest_of(const StoredModel& model) {
  std::string text;
  if (model.format == ModelFormat::Native) {
    digest_file(model.path / checkpoint::kManifestName, text);
  } else {
    digest_file(model.path / interop::kConfigName, text);
    std::vector<Path> files;
    for (const auto& entry : std::filesystem::directory_iterator(model.path)) {
      const Path& file = entry.path();
      if (file.extension() == ".safetensors" || file.filename() == interop::kIndexName) {
        files.push_back(file);
      }
    }
    std::ranges::sort(files);
    if (model.has_weights) {
      for (const Path& file : files) digest_file(file, text);
    }
  }
  return digest_128(std::as_bytes(std::span(text)));
}

std::shared_ptr<const TensorSource> shapes_of(const ModelConfig& config, DType dtype,
                                              const std::string& description) {
  return std::make_shared<Shapes>(config, dtype, description);
}

}  // namespace moe::run
