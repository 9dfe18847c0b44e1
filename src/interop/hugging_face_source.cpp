#include "interop/hugging_face_source.h"

#include <algorithm>
#include <set>

#include "base/check.h"
#include "base/error.h"
#include "base/format.h"
#include "interop/contained_file.h"
#include "model/model.h"

namespace moe::interop {
namespace {

using checkpoint::ExpectedTensor;
using checkpoint::TensorInfo;
using checkpoint::TensorSource;

constexpr const char* kHead = "lm_head.weight";
constexpr const char* kEmbedding = "model.embed_tokens.weight";

/// The tensors of a source that matter.
class WithoutIgnored : public TensorSource {
 public:
  WithoutIgnored(const TensorSource& source, bool without_head) : source_(source) {
    for (const std::string& name : source.names()) {
      if (!is_ignored(name) && !(without_head && name == kHead)) names_.push_back(name);
    }
  }
  std::string description() const override { return source_.description(); }
  const std::vector<std::string>& names() const override { return names_; }
  const TensorInfo* find(const std::string& name) const override { return source_.find(name); }

 protected:
  void read_slice(const std::string& name, const TensorInfo&, const Slice& slice,
                  const View& out) const override {
    source_.read(name, slice, out);
  }

 private:
  const TensorSource& source_;
  std::vector<std::string> names_;
};

/// Whether a tied model's file repeats the embedding as its head, row by row the same.
void require_equal_head(const TensorSource& weights) {
  const TensorInfo& head = weights.info(kHead);
  const TensorInfo& embedding = weights.info(kEmbedding);
  bool equal = head.shape == embedding.shape && head.dtype == embedding.dtype &&
               head.shape.rank() == 2;
  if (equal) {
    const auto bytes = static_cast<std::size_t>(head.shape[1] * size_of(head.dtype));
    std::vector<std::byte> a(bytes);
    std::vector<std::byte> b(bytes);
    Slice row = whole(head.shape);
    row.size.set(0, 1);
    row.flat_end = row.size.numel();
    for (std::int64_t r = 0; equal && r < head.shape[0]; ++r) {
      row.begin[0] = r;
      weights.read(kHead, row, checkpoint::flat_view(a.data(), head.dtype, head.shape[1]));
      weights.read(kEmbedding, row, checkpoint::flat_view(b.data(), head.dtype, head.shape[1]));
      equal = a == b;
    }
  }
  if (equal) return;
  throw CheckpointError(format(
      "{}: {}: expected none, or the same as {}, because config.json says tie_word_embeddings; "
      "found another tensor. HINT: set tie_word_embeddings to false if the head is a weight of its own",
      weights.description(), kHead, kEmbedding));
}

/// The spelling that the file uses; the common one where it has neither, so that messages name that.
NameMap choose_map(Architecture architecture, const TensorSource& weights,
                   const std::string& parameter, const Shape& shape) {
  std::optional<NameMap> first;
  for (const ExpertSpelling spelling : {ExpertSpelling::PerExpert, ExpertSpelling::Fused}) {
    auto map = name_map(architecture, spelling, parameter, shape);
    // Every parameter that a config of this architecture declares has a row in its table.
    MOE_CHECK(map.has_value());
    if (weights.contains(map->parts.front().name)) return *map;
    if (!first) first = std::move(map);
  }
  return *first;
}

}  // namespace

HuggingFaceSource::HuggingFaceSource(HuggingFaceConfig config,
                                     std::shared_ptr<const TensorSource> weights)
    : config_(std::move(config)), weights_(std::move(weights)) {
  const bool repeated_head = config_.model.tie_word_embeddings && weights_->contains(kHead) &&
                             weights_->contains(kEmbedding);
  if (repeated_head) require_equal_head(*weights_);
  std::vector<ExpectedTensor> expected;
  std::set<std::string> seen;
  Model model(config_.model);
  model.for_each_parameter([&](const nn::Parameter& parameter) {
    const auto& [name, shape, kind, placement, initializer] = parameter.spec();
    NameMap map = choose_map(config_.architecture, *weights_, name, shape);
    for (const NamedPart& part : map.parts) {
      if (seen.insert(part.name).second) expected.push_back({part.name, part.theirs.global, {}});
    }
    const TensorInfo* stored = weights_->find(map.parts.front().name);
    names_.push_back(name);
    entries_[name] = {TensorInfo{.shape = shape,
                                 .dtype = stored != nullptr ? stored->dtype : DType::F32,
                                 .attributes = {{"kind", std::string(to_string(kind))}}},
                      std::move(map)};
  });
  std::ranges::sort(names_);
  checkpoint::require_tensors(WithoutIgnored(*weights_, repeated_head), expected);
}

const NameMap& HuggingFaceSource::map_of(const std::string& parameter) const {
  (void)info(parameter);
  return entries_.at(parameter).map;
}

const TensorInfo* HuggingFaceSource::find(const std::string& name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second.info;
}

namespace {

/// The part that sub-box `place` of the slice's leading dims reads.
const NamedPart& part_at(const NameMap& map, const Slice& slice, std::int64_t place) {
  std::int64_t index = 0;
  std::int64_t stride = 1;
  for (int d = map.leading - 1; d >= 0; --d) {
    index += (slice.begin[static_cast<std::size_t>(d)] + place % slice.size[d]) * stride;
    place /= slice.size[d];
    stride *= map.shape[d];
  }
  return map.parts[static_cast<std::size_t>(index)];
}

/// The slice's box in the last dims, within a part's box of the Hugging Face tensor.
Slice within(const NamedPart& part, const NameMap& map, const Slice& slice) {
  Slice theirs = part.theirs;
  const int shift = theirs.global.rank() - map.shape.rank();
  for (int d = map.leading; d < map.shape.rank(); ++d) {
    theirs.begin[static_cast<std::size_t>(d + shift)] += slice.begin[static_cast<std::size_t>(d)];
    theirs.size.set(d + shift, slice.size[d]);
  }
  return theirs;
}

}  // namespace

void HuggingFaceSource::read_slice(const std::string& name, const TensorInfo&, const Slice& slice,
                                   const View& out) const {
  const NameMap& map = entries_.at(name).map;
  std::int64_t per_part = 1;
  for (int d = map.leading; d < map.shape.rank(); ++d) per_part *= slice.size[d];
  for (std::int64_t at = slice.flat_begin; at < slice.flat_end;) {
    const std::int64_t place = at / per_part;
    const std::int64_t stop = std::min(slice.flat_end, (place + 1) * per_part);
    const NamedPart& part = part_at(map, slice, place);
    Slice theirs = within(part, map, slice);
    theirs.flat_begin = at - place * per_part;
    theirs.flat_end = stop - place * per_part;
    weights_->read(part.name, theirs,
                   checkpoint::flat_part(out, at - slice.flat_begin, stop - at));
    at = stop;
  }
}

std::string HuggingFaceSource::place_of(const std::string& name, std::int64_t element) const {
  const NameMap& map = entries_.at(name).map;
  const std::int64_t per_part =
      map.shape.numel() / static_cast<std::int64_t>(map.parts.size());
  const NamedPart& part = map.parts[static_cast<std::size_t>(element / per_part)];
  return weights_->place_of(part.name, global_index(part.theirs, element % per_part));
}

std::unique_ptr<HuggingFaceSource> open_hugging_face(const Path& folder,
                                                     const WeightsOptions& options) {
  return std::make_unique<HuggingFaceSource>(read_hugging_face_config(ContainedFolder(folder, options.follow_links)),
                                             std::make_shared<HuggingFaceWeights>(folder, options));
}

}  // namespace moe::interop
