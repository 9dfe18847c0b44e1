/// The weights of a Hugging Face model under our names and in our shapes.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/tensor_source.h"
#include "interop/hf_config.h"
#include "interop/hf_names.h"
#include "interop/hugging_face_weights.h"

namespace moe::interop {

/// Nothing is converted ahead: every read goes to the parts of the Hugging Face tensors that it needs.
/// @invariant holds exactly the parameters of Model(config().model)
class HuggingFaceSource : public checkpoint::TensorSource {
 public:
  /// `weights` has Hugging Face's names. Experts may be written one by one or fused.
  /// @throws CheckpointError listing every missing, unexpected, reshaped or non-float tensor; rotary_emb.inv_freq is
  ///   ignored, and so is the lm_head.weight of a tied model if it equals the embedding
  HuggingFaceSource(HuggingFaceConfig config,
                    std::shared_ptr<const checkpoint::TensorSource> weights);

  const HuggingFaceConfig& config() const { return config_; }
  /// Where a parameter's elements stand. @throws CheckpointError if there is no such parameter
  const NameMap& map_of(const std::string& parameter) const;

  std::string description() const override { return weights_->description(); }
  const std::vector<std::string>& names() const override { return names_; }
  const checkpoint::TensorInfo* find(const std::string& name) const override;
  std::string place_of(const std::string& name, std::int64_t element) const override;

 protected:
  void read_slice(const std::string& name, const checkpoint::TensorInfo& info, const Slice& slice,
                  const View& out) const override;

 private:
  struct Entry {
    checkpoint::TensorInfo info;
    NameMap map;
  };
  HuggingFaceConfig config_;
  std::shared_ptr<const checkpoint::TensorSource> weights_;
  std::vector<std::string> names_;
  std::map<std::string, Entry> entries_;
};

/// `config.json` and the weights of a folder. @throws CheckpointError
std::unique_ptr<HuggingFaceSource> open_hugging_face(const Path& folder,
                                                     const WeightsOptions& options = {});

}  // namespace moe::interop
