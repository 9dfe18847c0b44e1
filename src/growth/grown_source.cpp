#include "growth/grown_source.h"

#include <algorithm>
#include <future>
#include <thread>

#include "base/check.h"
#include "growth/slices.h"
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

namespace {

constexpr std::int64_t kMostThreads = 8;
/// Below this a thread costs more than it saves.
constexpr std::int64_t kElementsWorthAThread = std::int64_t{1} << 18;

/// Set on threads that read a part: sources below them do not part again.
thread_local bool reads_a_part = false;

}  // namespace

void GrownSource::read_slice(const std::string& name, const checkpoint::TensorInfo& info,
                             const Slice& slice, const View& out) const {
  const TensorRecipe& recipe = *entries_.at(name).recipe;
  const std::int64_t threads =
      std::min<std::int64_t>({slice.numel() / kElementsWorthAThread,
                              static_cast<std::int64_t>(std::thread::hardware_concurrency()), kMostThreads});
  if (reads_a_part || threads < 2) return recipe.read(*source_, info, slice, out);
  const std::int64_t share = (slice.numel() + threads - 1) / threads;
  std::vector<std::future<void>> parts;
  for_each_chunk(slice, share, [&](const Slice& part, std::int64_t offset) {
    parts.push_back(std::async(std::launch::async, [&, part, offset] {
      reads_a_part = true;
      recipe.read(*source_, info, part, checkpoint::flat_part(out, offset, part.numel()));
    }));
  });
  for (std::future<void>& part : parts) part.wait();  // all of them, whichever fails
  for (std::future<void>& part : parts) part.get();
}

}  // namespace moe::growth
