#include "interop/hugging_face_export.h"

#include "base/error.h"
#include "base/format.h"

namespace moe::interop {
namespace {

using checkpoint::TensorInfo;

/// The box of a parameter that a slice of its part stands for: the leading dims are the part's.
Slice in_parameter(const Slice& part, const Slice& slice) {
  Slice result = part;
  const int leading = part.global.rank() - slice.global.rank();
  for (int d = 0; d < slice.global.rank(); ++d) {
    result.begin[static_cast<std::size_t>(leading + d)] = slice.begin[static_cast<std::size_t>(d)];
    result.size.set(leading + d, slice.size[d]);
  }
  result.flat_begin = slice.flat_begin;
  result.flat_end = slice.flat_end;
  return result;
}

}  // namespace

HuggingFaceExport::HuggingFaceExport(Architecture architecture,
                                     std::shared_ptr<const checkpoint::TensorSource> parameters)
    : parameters_(std::move(parameters)) {
  for (const std::string& parameter : parameters_->names()) {
    const TensorInfo& info = parameters_->info(parameter);
    const auto map = name_map(architecture, ExpertSpelling::PerExpert, parameter, info.shape);
    if (!map) {
      throw CheckpointError(format("{}: {} has no tensor for {}", parameters_->description(),
                                   to_string(architecture), parameter));
    }
    for (const NamedPart& part : map->parts) {
      entries_[part.name] = {{part.theirs.global, info.dtype, {}}, parameter, part.ours};
    }
  }
  for (const auto& [name, entry] : entries_) names_.push_back(name);
}

const TensorInfo* HuggingFaceExport::find(const std::string& name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second.info;
}

std::string HuggingFaceExport::place_of(const std::string& name, std::int64_t element) const {
  const Entry& entry = entries_.at(name);
  return parameters_->place_of(entry.parameter, global_index(entry.ours, element));
}

void HuggingFaceExport::read_slice(const std::string& name, const TensorInfo&, const Slice& slice,
                                   const View& out) const {
  const Entry& entry = entries_.at(name);
  parameters_->read(entry.parameter, in_parameter(entry.ours, slice), out);
}

}  // namespace moe::interop
