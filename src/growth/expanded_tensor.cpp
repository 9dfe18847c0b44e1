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

/// Small enough to stay in the cache between reading and writing.
constexpr std::int64_t kBlockBytes = 512 << 10;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// Neighbouring columns that come from neighbouring ones (or from nowhere), each with as many copies.
struct Segment {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t from = kNowhere;
  std::int64_t copies = 0;

  bool is_drawn() const { return from == kNowhere || copies > 1; }
};

std::vector<Segment> segments_of(const AxisMap& map) {
  std::vector<Segment> segments;
  for (std::int64_t i = 0; i < map.size(); ++i) {
    const std::int64_t from = map.from[at(i)];
    const std::int64_t copies = from == kNowhere ? 0 : map.copies[at(from)];
    if (!segments.empty()) {
      Segment& last = segments.back();
      const std::int64_t next = last.from == kNowhere ? kNowhere : last.from + (i - last.begin);
      if (from == next && copies == last.copies) {
        last.end = i + 1;
        continue;
      }
    }
    segments.push_back({i, i + 1, from, copies});
  }
  return segments;
}

/// The draws of one row: a number in [-1, 1) for each column that needs one. Four columns share a block.
template <class T>
class RowDraws {
 public:
  RowDraws(const Draws& draws, std::span<const Segment> segments, const AxisMap& columns)
      : draws_(draws),
        segments_(segments),
        blocks_((columns.size() + 3) / 4),
        bits_(at(4 * blocks_)),
        drawn_(bits_.size()),
        sum_(columns.copies.size()) {}

  void move_to(std::int64_t row) {
    if (draws_.rows_alike && row_ >= 0) return;
    row_ = draws_.rows_alike ? 0 : row;
    std::ranges::fill(sum_, T{0});
    for (const Segment& segment : segments_) {
      if (!segment.is_drawn()) continue;
      draw(segment);
      if (segment.from == kNowhere) continue;
      T* const sum = sum_.data() + segment.from;
      const float* const drawn = drawn_.data() + segment.begin;
      for (std::int64_t i = 0; i < segment.end - segment.begin; ++i) sum[i] += static_cast<T>(drawn[i]);
    }
  }
  /// From a column on.
  const float* drawn(std::int64_t column) const { return drawn_.data() + column; }
  /// Over the copies, from a column of the source on.
  const T* sum(std::int64_t column) const { return sum_.data() + column; }

 private:
  void draw(const Segment& segment) {
    const std::int64_t first = segment.begin / 4;
    const std::int64_t last = (segment.end + 3) / 4;
    const std::span<std::uint32_t> bits(bits_.data() + 4 * first, at(4 * (last - first)));
    draws_.random.blocks(static_cast<std::uint64_t>(row_ * blocks_ + first), bits);
    for (std::int64_t i = 4 * first; i < 4 * last; ++i) {
      drawn_[at(i)] = static_cast<float>(static_cast<std::int32_t>(bits_[at(i)])) * 0x1.0p-31F;
    }
  }

  const Draws& draws_;
  std::span<const Segment> segments_;
  std::int64_t blocks_;
  std::vector<std::uint32_t> bits_;
  std::vector<float> drawn_;
  std::vector<T> sum_;
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
  Reader(const Expansion& plan, std::span<const Segment> segments, const TensorSource& source,
         const TensorInfo& info, const Slice& slice, const View& out)
      : plan_(plan), segments_(segments), source_(source), info_(info), slice_(slice), out_(out) {
    const int rank = info.shape.rank();
    matrix_ = rank > 1;
    row_dim_ = matrix_ ? rank - 2 : 0;
    width_ = matrix_ ? info.shape[rank - 1] : 1;
    if (plan.draws && plan.columns) random_.emplace(*plan.draws, segments, *plan.columns);
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
    const std::int64_t count = block_.rows * columns;
    const View target = checkpoint::flat_part(out_, delivered_, count);
    delivered_ += count;
    const bool in_place = target.dtype == dtype_of<T> && info_.dtype == dtype_of<T>;
    if (!in_place) values_.resize(at(count));
    T* const values = in_place ? target.as<T>() : values_.data();
    if (block_.name == nullptr) {
      std::fill_n(values, count, T{0});
    } else {
      fill_block(columns, values);
    }
    if (!in_place) deliver(target, count);
    block_.rows = 0;
  }

  void fill_block(std::int64_t columns, T* values) {
    const auto [low, high] = source_columns();
    const std::int64_t read = high - low;
    stored_.resize(at(block_.rows * read));
    if (read > 0) read_source(low, high);
    for (std::int64_t r = 0; r < block_.rows; ++r) {
      T* const to = values + r * columns;
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
    for_each_segment([&](const Segment& segment, std::int64_t begin, std::int64_t end) {
      if (segment.from == kNowhere) return;
      low = std::min(low, segment.from + begin - segment.begin);
      high = std::max(high, segment.from + end - segment.begin);
    });
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

  /// The parts of segments that the block's columns cover.
  template <class Visit>
  void for_each_segment(Visit&& visit) const {
    for (const Segment& segment : segments_) {
      const std::int64_t begin = std::max(segment.begin, block_.begin);
      const std::int64_t end = std::min(segment.end, block_.end);
      if (begin < end) visit(segment, begin, end);
    }
  }

  /// `stored[a]` is source column a.
  void expand_row(const T* stored, std::int64_t row, T* to) {
    if (random_) random_->move_to(block_.lead * info_.shape[row_dim_] + row);
    for_each_segment([&](const Segment& segment, std::int64_t begin, std::int64_t end) {
      const std::int64_t from = segment.from + begin - segment.begin;
      const std::int64_t count = end - begin;
      if (segment.from == kNowhere) {
        fill_nowhere(begin, count, to);
      } else if (segment.copies == 1 || plan_.share == Share::Whole) {
        std::copy_n(stored + from, count, to);
      } else if (plan_.share == Share::Equal) {
        const T copies = static_cast<T>(segment.copies);
        for (std::int64_t i = 0; i < count; ++i) to[i] = stored[from + i] / copies;
      } else {
        project(stored + from, random_->drawn(begin), random_->sum(from), {count, segment.copies}, to);
      }
      to += count;
    });
  }

  /// A uniform number in [-1, 1) times this has the deviation asked for.
  void fill_nowhere(std::int64_t begin, std::int64_t count, T* to) const {
    if (!plan_.draws) {
      std::fill_n(to, count, T{0});
      return;
    }
    const T scale = static_cast<T>(plan_.draws->deviation * std::numbers::sqrt3);
    const float* const drawn = random_->drawn(begin);
    for (std::int64_t i = 0; i < count; ++i) to[i] = scale * static_cast<T>(drawn[i]);
  }

  struct Copies {
    std::int64_t columns;
    std::int64_t of_each;
  };
  /// R_i - (sum R - A) / C with R_i = A / C * u_i, where A is zero deviation * u_i.
  void project(const T* stored, const float* drawn, const T* sum, Copies copies, T* to) const {
    const T deviation = static_cast<T>(plan_.draws->deviation);
    const T share = static_cast<T>(copies.of_each);
    for (std::int64_t i = 0; i < copies.columns; ++i) {
      const T balanced = static_cast<T>(drawn[i]) - sum[i] / share;
      const T part = stored[i] / share;
      const T shared = part + part * balanced;
      const T spread = deviation * balanced;
      to[i] = stored[i] == T{0} ? spread : shared;
    }
  }

  /// Rounds what was computed to the tensor's dtype, and converts that.
  void deliver(const View& target, std::int64_t count) {
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
  std::span<const Segment> segments_;
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
    if (plan_.columns) segments_ = segments_of(*plan_.columns);
  }

  void read(const TensorSource& source, const TensorInfo& info, const Slice& slice,
            const View& out) const override {
    if (info.dtype == DType::F64) {
      Reader<double>(plan_, segments_, source, info, slice, out).run();
    } else {
      Reader<float>(plan_, segments_, source, info, slice, out).run();
    }
  }

 private:
  Expansion plan_;
  std::vector<Segment> segments_;
};

}  // namespace

std::shared_ptr<const TensorRecipe> expanded(Expansion expansion) {
  return std::make_shared<ExpandedTensor>(std::move(expansion));
}

std::vector<double> projected_shares(const AxisMap& columns, const Draws& draws, std::int64_t row) {
  const std::vector<Segment> segments = segments_of(columns);
  RowDraws<double> random(draws, segments, columns);
  random.move_to(row);
  std::vector<double> shares(columns.from.size(), 0.0);
  for (std::int64_t i = 0; i < columns.size(); ++i) {
    const std::int64_t from = columns.from[at(i)];
    if (from == kNowhere) continue;
    const auto copies = static_cast<double>(columns.copies[at(from)]);
    const double balanced =
        copies > 1 ? static_cast<double>(*random.drawn(i)) - *random.sum(from) / copies : 0.0;
    shares[at(i)] = (1.0 + balanced) / copies;
  }
  return shares;
}

}  // namespace moe::growth
