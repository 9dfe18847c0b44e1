#include "checkpoint/joined_source.h"

#include <algorithm>

#include "base/check.h"

namespace moe::checkpoint {

JoinedSource::JoinedSource(std::vector<std::shared_ptr<const TensorSource>> sources)
    : sources_(std::move(sources)) {
  for (const auto& source : sources_) {
    for (const std::string& name : source->names()) {
      MOE_CHECK(owner_.emplace(name, source.get()).second);
    }
  }
  for (const auto& entry : owner_) names_.push_back(entry.first);
}

const TensorInfo* JoinedSource::find(const std::string& name) const {
  const auto owner = owner_.find(name);
  return owner == owner_.end() ? nullptr : owner->second->find(name);
}

std::string JoinedSource::place_of(const std::string& name, std::int64_t element) const {
  return owner_.at(name)->place_of(name, element);
}

void JoinedSource::read_slice(const std::string& name, const TensorInfo&, const Slice& slice,
                              const View& out) const {
  owner_.at(name)->read(name, slice, out);
}

SuffixedSource::SuffixedSource(std::shared_ptr<const TensorSource> source, std::string suffix)
    : source_(std::move(source)), suffix_(std::move(suffix)) {
  for (const std::string& name : source_->names()) names_.push_back(name + suffix_);
  std::ranges::sort(names_);
}

std::string SuffixedSource::inner(const std::string& name) const {
  return name.ends_with(suffix_) ? name.substr(0, name.size() - suffix_.size()) : "";
}

const TensorInfo* SuffixedSource::find(const std::string& name) const {
  return source_->find(inner(name));
}

void SuffixedSource::read_slice(const std::string& name, const TensorInfo&, const Slice& slice,
                                const View& out) const {
  source_->read(inner(name), slice, out);
}

}  // namespace moe::checkpoint
