/// Several sources as one.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/tensor_source.h"

namespace moe::checkpoint {

/// @invariant no name is in two of the sources
class JoinedSource : public TensorSource {
 public:
  explicit JoinedSource(std::vector<std::shared_ptr<const TensorSource>> sources);

  /// Of the first.
  std::string description() const override { return sources_.front()->description(); }
  const std::vector<std::string>& names() const override { return names_; }
  const TensorInfo* find(const std::string& name) const override;
  std::string place_of(const std::string& name, std::int64_t element) const override;

 protected:
  void read_slice(const std::string& name, const TensorInfo& info, const Slice& slice,
                  const View& out) const override;

 private:
  std::vector<std::shared_ptr<const TensorSource>> sources_;
  std::vector<std::string> names_;
  std::map<std::string, const TensorSource*> owner_;
};

/// A source under other names: "<name><suffix>".
class SuffixedSource : public TensorSource {
 public:
  SuffixedSource(std::shared_ptr<const TensorSource> source, std::string suffix);

  std::string description() const override { return source_->description(); }
  const std::vector<std::string>& names() const override { return names_; }
  const TensorInfo* find(const std::string& name) const override;

 protected:
  void read_slice(const std::string& name, const TensorInfo& info, const Slice& slice,
                  const View& out) const override;

 private:
  std::string inner(const std::string& name) const;

  std::shared_ptr<const TensorSource> source_;
  std::string suffix_;
  std::vector<std::string> names_;
};

}  // namespace moe::checkpoint
