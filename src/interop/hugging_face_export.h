/// Our parameters under Hugging Face's names, the way back of hugging_face_source.h.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/tensor_source.h"
#include "interop/hf_names.h"

namespace moe::interop {

/// One tensor an expert, as the files of the hub. Nothing is converted ahead.
class HuggingFaceExport : public checkpoint::TensorSource {
 public:
  /// `parameters` holds exactly the parameters of a model that `architecture` can express.
  /// @throws CheckpointError naming a parameter that the architecture has no tensor for
  HuggingFaceExport(Architecture architecture,
                    std::shared_ptr<const checkpoint::TensorSource> parameters);

  std::string description() const override { return parameters_->description(); }
  const std::vector<std::string>& names() const override { return names_; }
  const checkpoint::TensorInfo* find(const std::string& name) const override;
  std::string place_of(const std::string& name, std::int64_t element) const override;

 protected:
  void read_slice(const std::string& name, const checkpoint::TensorInfo& info, const Slice& slice,
                  const View& out) const override;

 private:
  struct Entry {
    checkpoint::TensorInfo info;
    std::string parameter;
    Slice ours;
  };
  std::shared_ptr<const checkpoint::TensorSource> parameters_;
  std::vector<std::string> names_;
  std::map<std::string, Entry> entries_;
};

}  // namespace moe::interop
