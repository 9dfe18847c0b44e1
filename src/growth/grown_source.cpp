#include "growth/grown_source.h"

#include <algorithm>

#include "base/check.h"
#include "tensor/convert.h"

namespace moe::growth {
namespace {

class SameTensor : public TensorRecipe {
 public:
  explicit SameTensor(std::string name) : name_(std::move(name)) {}
  void read(const checkpoint::TensorSource& source, const checkpoint::TensorInfo&,
            const Slice& slice, const View& out) const override {
    source.read(name_, slice, out);
  }

 private:
  std::string name_;
};

class ZeroTensor : public TensorRecipe {
 public:
  void read(const checkpoint::TensorSource&, const checkpoint::TensorInfo&, const Slice&,
            const View& out) const override {
    fill_elements(out, 0.0);
  }
};

}  // namespace

std::shared_ptr<const TensorRecipe> same_as(std::string name) {
  return std::make_shared<SameTensor>(std::move(name));
}

std::shared_ptr<const TensorRecipe> zeros() { return std::make_shared<ZeroTensor>(); }

void GrownSource::add(const std::string& name, checkpoint::TensorInfo info,
                      std::shared_ptr<const TensorRecipe> recipe) {
  MOE_CHECK(entries_.emplace(name, Entry{std::move(info), std::move(recipe)}).second);
  names_.insert(std::ranges::lower_bound(names_, name), name);
}

const checkpoint::TensorInfo* GrownSource::find(const std::string& name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second.info;
}

void GrownSource::read_slice(const std::string& name, const checkpoint::TensorInfo& info,
                             const Slice& slice, const View& out) const {
  entries_.at(name).recipe->read(*source_, info, slice, out);
}

}  // namespace moe::growth
