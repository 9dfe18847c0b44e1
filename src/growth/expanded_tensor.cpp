#include "growth/expanded_tensor.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <span>

#include "base/check.h"
#include "tensor/convert.h"

namespace moe::growth {
namespace {

using checkpoint::TensorInfo;
using checkpoint::TensorSource;

constexpr std::int64_t kBlockBytes = 4 << 20;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// One number in [-1, 1) for each of `out.size()` indices from `begin`.
void fill_draws(const Random& random, std::int64_t begin, std::span<float> out) {
  std::array<std::uint32_t, 4> block{};
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto index = static_cast<std::uint64_t>(begin) + i;
    if (i == 0 || index % 4 == 0) block = random.block(index / 4);
    out[i] = static_cast<float>(static_cast<std::int32_t>(block[index % 4])) * 0x1.0p-31F;
  }
}

/// The draws of one row, and their deviation from the mean over the copies of a column.
template <class T>
class RowDraws {
 public:
  RowDraws(const Draws& draws, const AxisMap& columns)
      : draws_(draws), columns_(columns), drawn_(columns.from.size()), mean_(columns.copies.size()) {}

  void move_to(std::int64_t row) {
    if (draws_.rows_alike && row_ >= 0) return;
    row_ = draws_.rows_alike ? 0 : row;
    fill_draws(draws_.random, row_ * columns_.size(), drawn_);
    std::ranges::fill(mean_, T{0});
    for (std::size_t i = 0; i < drawn_.size(); ++i) {
      if (columns_.from[i] != kNowhere) mean_[at(columns_.from[i])] += static_cast<T>(drawn_[i]);
    }
    for (std::size_t a = 0; a < mean_.size(); ++a) mean_[a] /= static_cast<T>(columns_.copies[a]);
  }
  T drawn(std::int64_t column) const { return static_cast<T>(drawn_[at(column)]); }
  /// Sums to zero over the copies of a column.
  T balanced(std::int64_t column) const {
    return drawn(column) - mean_[at(columns_.from[at(column)])];
  }

 private:
  const Draws& draws_;
  const AxisMap& columns_;
  std::vector<float> drawn_;
  std::vector<T> mean_;
  std::int64_t row_ = -1;
};

/// A run of result rows whose source rows are neighbours of one tensor, over one range of columns.
struct Block {
  const std::string* name = nullptr;  ///< null: rows from nowhere
  std::int64_t lead = 0;              ///< flat index of the leading dims
  std::int64_t row = 0;
  std::int64_t rows = 0;
  std::int64_t source_row = 0;
  std::int64_t begin = 0;  ///< columns
  std::int64_t end = 0;
};

/// Element type of the arithmetic: f64 tensors in f64, all others in f32.
template <class T>
class Reader {
 public:
  Reader(const Expansion& plan, const TensorSource& source, const TensorInfo& info,
         const Slice& slice, const View& out)
      : plan_(plan), source_(source), info_(info), slice_(slice), out_(out) {
    const int rank = info.shape.rank();
    matrix_ = rank > 1;
    row_dim_ = matrix_ ? rank - 2 : 0;
    width_ = matrix_ ? info.shape[rank - 1] : 1;
    if (plan.draws && plan.columns) random_.emplace(*plan.draws, *plan.columns);
  }

  void run() {
    const std::int64_t box_width = matrix_ ? slice_.size[row_dim_ + 1] : 1;
    const std::int64_t first_column = matrix_ ? slice_.begin[at(row_dim_ + 1)] : 0;
    for (std::int64_t flat = slice_.flat_begin; flat < slice_.flat_end;) {
      const std::int64_t box_row = flat / box_width;
      const std::int64_t begin = flat % box_width;
      const std::int64_t end = std::min(box_width, begin + slice_.flat_end - flat);
      add_row(box_row, first_column + begin, first_column + end);
      flat += end - begin;
    }
    finish_block();
  }

 private:
  void add_row(std::int64_t box_row, std::int64_t begin, std::int64_t end) {
    Block next{.rows = 1, .begin = begin, .end = end};
    const std::int64_t box_rows = slice_.size[row_dim_];
    next.row = slice_.begin[at(row_dim_)] + box_row % box_rows;
    next.lead = lead_index(box_row / box_rows);
    next.source_row = plan_.rows ? plan_.rows->from[at(next.row)] : next.row;
    if (next.source_row != kNowhere) {
      const bool upper = plan_.rows && plan_.rows->fresh[at(next.row)] && !plan_.upper.empty();
      next.name = upper ? &plan_.upper : &plan_.base;
    }
    if (continues(next)) {
      ++block_.rows;
    } else {
      finish_block();
      block_ = next;
    }
  }

  bool continues(const Block& next) const {
    const std::int64_t bytes = (block_.rows + 1) * width_ * static_cast<std::int64_t>(sizeof(T));
    return block_.rows > 0 && next.name == block_.name && next.lead == block_.lead &&
           next.begin == block_.begin && next.end == block_.end && bytes <= kBlockBytes &&
           next.row == block_.row + block_.rows &&
           (next.name == nullptr || next.source_row == block_.source_row + block_.rows);
  }

  /// From an index into the box's leading dims to one into the tensor's.
  std::int64_t lead_index(std::int64_t box_lead) const {
    std::int64_t global = 0;
    std::int64_t stride = 1;
    for (int dim = row_dim_ - 1; dim >= 0; --dim) {
      global += (slice_.begin[at(dim)] + box_lead % slice_.size[dim]) * stride;
      box_lead /= slice_.size[dim];
      stride *= slice_.global[dim];
    }
    return global;
  }

  void finish_block() {
    if (block_.rows == 0) return;
    const std::int64_t columns = block_.end - block_.begin;
    values_.assign(at(block_.rows * columns), T{0});
    if (block_.name != nullptr) fill_block(columns);
    deliver(block_.rows * columns);
    block_.rows = 0;
  }

  void fill_block(std::int64_t columns) {
    const auto [low, high] = source_columns();
    const std::int64_t read = high - low;
    stored_.resize(at(block_.rows * read));
    if (read > 0) read_source(low, high);
    for (std::int64_t r = 0; r < block_.rows; ++r) {
      T* const to = values_.data() + r * columns;
      if (plan_.columns) {
        expand_row(stored_.data() + r * read - low, block_.row + r, to);
      } else {
        std::copy_n(stored_.data() + r * read, columns, to);
      }
      if (plan_.row_scale) {
        const T scale = static_cast<T>((*plan_.row_scale)[at(block_.row + r)]);
        for (std::int64_t i = 0; i < columns; ++i) to[i] *= scale;
      }
    }
  }

  /// The source columns behind the block's.
  std::pair<std::int64_t, std::int64_t> source_columns() const {
    if (!plan_.columns) return {block_.begin, block_.end};
    std::int64_t low = plan_.columns->source;
    std::int64_t high = 0;
    for (std::int64_t i = block_.begin; i < block_.end; ++i) {
      const std::int64_t from = plan_.columns->from[at(i)];
      if (from == kNowhere) continue;
      low = std::min(low, from);
      high = std::max(high, from + 1);
    }
    return low < high ? std::pair{low, high} : std::pair<std::int64_t, std::int64_t>{0, 0};
  }

  void read_source(std::int64_t low, std::int64_t high) {
    Slice box;
    box.global = source_.info(*block_.name).shape;
    box.size = box.global;
    std::int64_t lead = block_.lead;
    for (int dim = row_dim_ - 1; dim >= 0; --dim) {
      box.begin[at(dim)] = lead % box.global[dim];
      box.size.set(dim, 1);
      lead /= box.global[dim];
    }
    box.begin[at(row_dim_)] = block_.source_row;
    box.size.set(row_dim_, block_.rows);
    if (matrix_) {
      box.begin[at(row_dim_ + 1)] = low;
      box.size.set(row_dim_ + 1, high - low);
    }
    box.flat_end = box.size.numel();
    source_.read(*block_.name, box,
                 checkpoint::flat_view(stored_.data(), dtype_of<T>, box.flat_end));
  }

  /// `stored[a]` is source column a.
  void expand_row(const T* stored, std::int64_t row, T* to) {
    const AxisMap& map = *plan_.columns;
    if (random_) random_->move_to(block_.lead * info_.shape[row_dim_] + row);
    for (std::int64_t i = block_.begin; i < block_.end; ++i, ++to) {
      const std::int64_t from = map.from[at(i)];
      if (from == kNowhere) {
        *to = plan_.draws ? nowhere_scale() * random_->drawn(i) : T{0};
        continue;
      }
      const std::int64_t copies = map.copies[at(from)];
      const T value = stored[from];
      if (copies == 1 || plan_.share == Share::Whole) {
        *to = value;
      } else if (plan_.share == Share::Equal) {
        *to = value / static_cast<T>(copies);
      } else {
        *to = projected(value, copies, i);
      }
    }
  }

  /// R_i - (sum R - A) / C with R_i = A / C * u_i, where A is zero deviation * u_i.
  T projected(T value, std::int64_t copies, std::int64_t column) const {
    const T balanced = random_->balanced(column);
    if (value == T{0}) return static_cast<T>(plan_.draws->deviation) * balanced;
    const T part = value / static_cast<T>(copies);
    return part + part * balanced;
  }

  /// A uniform number in [-1, 1) times this has the deviation asked for.
  T nowhere_scale() const {
    return static_cast<T>(plan_.draws->deviation * std::numbers::sqrt3);
  }

  void deliver(std::int64_t count) {
    const View target = checkpoint::flat_part(out_, delivered_, count);
    delivered_ += count;
    View values = checkpoint::flat_view(values_.data(), dtype_of<T>, count);
    if (info_.dtype != dtype_of<T> && info_.dtype != target.dtype) {
      rounded_.resize(at(count * size_of(info_.dtype)));
      const View rounded = checkpoint::flat_view(rounded_.data(), info_.dtype, count);
      convert_elements(values, rounded);
      values = rounded;
    }
    convert_elements(values, target);
  }

  const Expansion& plan_;
  const TensorSource& source_;
  const TensorInfo& info_;
  const Slice& slice_;
  View out_;
  bool matrix_ = false;
  int row_dim_ = 0;
  std::int64_t width_ = 1;
  std::optional<RowDraws<T>> random_;
  Block block_;
  std::vector<T> stored_;
  std::vector<T> values_;
  std::vector<std::byte> rounded_;
  std::int64_t delivered_ = 0;
};

class ExpandedTensor : public TensorRecipe {
 public:
  explicit ExpandedTensor(Expansion plan) : plan_(std::move(plan)) {
    MOE_CHECK(plan_.share != Share::Projected || !plan_.columns || plan_.draws);
  }

  void read(const TensorSource& source, const TensorInfo& info, const Slice& slice,
            const View& out) const override {
    if (info.dtype == DType::F64) {
      Reader<double>(plan_, source, info, slice, out).run();
    } else {
      Reader<float>(plan_, source, info, slice, out).run();
    }
  }

 private:
  Expansion plan_;
};

}  // namespace

std::shared_ptr<const TensorRecipe> expanded(Expansion expansion) {
  return std::make_shared<ExpandedTensor>(std::move(expansion));
}

std::vector<double> projected_shares(const AxisMap& columns, const Draws& draws, std::int64_t row) {
  RowDraws<double> random(draws, columns);
  random.move_to(row);
  std::vector<double> shares(columns.from.size(), 0.0);
  for (std::int64_t i = 0; i < columns.size(); ++i) {
    if (columns.from[at(i)] == kNowhere) continue;
    const auto copies = static_cast<double>(columns.copies[at(columns.from[at(i)])]);
    shares[at(i)] = (1.0 + random.balanced(i)) / copies;
  }
  return shares;
}

}  // namespace moe::growth
