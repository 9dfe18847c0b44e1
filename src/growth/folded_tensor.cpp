#include "growth/folded_tensor.h"

#include "growth/slices.h"
#include "tensor/convert.h"

namespace moe::growth {
namespace {

using checkpoint::TensorInfo;
using checkpoint::TensorSource;

/// The first copy of each source index.
std::vector<std::int64_t> first_copies(const AxisMap& map) {
  std::vector<std::int64_t> first(static_cast<std::size_t>(map.source), kNowhere);
  for (std::int64_t i = map.size() - 1; i >= 0; --i) {
    const std::int64_t from = map.from[static_cast<std::size_t>(i)];
    if (from != kNowhere) first[static_cast<std::size_t>(from)] = i;
  }
  return first;
}

/// Writes values in f64, rounded to the tensor's dtype first.
void deliver(const std::vector<double>& values, DType dtype, const View& out) {
  const auto count = static_cast<std::int64_t>(values.size());
  std::vector<std::byte> rounded(static_cast<std::size_t>(count * size_of(dtype)));
  const View stored = checkpoint::flat_view(rounded.data(), dtype, count);
  convert_elements(checkpoint::flat_view(values.data(), DType::F64, count), stored);
  convert_elements(stored, out);
}

class FoldedTensor : public TensorRecipe {
 public:
  explicit FoldedTensor(const Expansion& plan) : plan_(plan) {
    if (plan.rows) first_row_ = first_copies(*plan.rows);
    if (plan.columns) first_column_ = first_copies(*plan.columns);
  }

  void read(const TensorSource& source, const TensorInfo& info, const Slice& slice,
            const View& out) const override {
    const Shape& wide = source.info(plan_.base).shape;
    const bool matrix = wide.rank() > 1;
    const std::int64_t width = matrix ? info.shape[info.shape.rank() - 1] : 1;
    const std::int64_t rows = matrix ? info.shape[info.shape.rank() - 2] : info.shape[0];
    const std::int64_t wide_width = matrix ? wide[wide.rank() - 1] : 1;
    const std::int64_t wide_rows = matrix ? wide[wide.rank() - 2] : wide[0];
    std::vector<double> row(static_cast<std::size_t>(wide_width));
    std::vector<double> values(static_cast<std::size_t>(width));
    std::int64_t known = -1;
    for_each_run(slice, [&](std::int64_t global, std::int64_t box, std::int64_t count) {
      for (std::int64_t i = global; i < global + count;) {
        const std::int64_t line = i / width;  // of all leading dims
        if (line != known) {
          const std::int64_t from = first_row(line % rows);
          read_row(source, wide, line / rows * wide_rows + from, row);
          fold(row, from, values);
          known = line;
        }
        const std::int64_t stop = std::min(global + count, (line + 1) * width);
        const std::vector<double> part(values.begin() + i % width, values.begin() + i % width + stop - i);
        deliver(part, info.dtype,
                checkpoint::flat_part(out, box - slice.flat_begin + i - global, stop - i));
        i = stop;
      }
    });
  }

 private:
  std::int64_t first_row(std::int64_t row) const {
    return plan_.rows ? first_row_[static_cast<std::size_t>(row)] : row;
  }

  void read_row(const TensorSource& source, const Shape& wide, std::int64_t line,
                std::vector<double>& row) const {
    Slice slice = whole(wide);
    const auto width = static_cast<std::int64_t>(row.size());
    slice.flat_begin = line * width;
    slice.flat_end = slice.flat_begin + width;
    source.read(plan_.base, slice, checkpoint::flat_view(row.data(), DType::F64, width));
  }

  void fold(const std::vector<double>& row, std::int64_t from, std::vector<double>& values) const {
    const double scale = plan_.row_scale ? (*plan_.row_scale)[static_cast<std::size_t>(from)] : 1.0;
    if (!plan_.columns) {
      std::copy(row.begin(), row.end(), values.begin());
    } else if (plan_.share == Share::Whole) {
      for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = row[static_cast<std::size_t>(first_column_[i])];
      }
    } else {
      std::fill(values.begin(), values.end(), 0.0);
      for (std::size_t i = 0; i < row.size(); ++i) {
        const std::int64_t to = plan_.columns->from[i];
        if (to != kNowhere) values[static_cast<std::size_t>(to)] += row[i];
      }
    }
    for (double& value : values) value /= scale;
  }

  Expansion plan_;
  std::vector<std::int64_t> first_row_;
  std::vector<std::int64_t> first_column_;
};

class FoldedSum : public TensorRecipe {
 public:
  FoldedSum(std::string base, std::shared_ptr<const AxisMap> map, double scale)
      : base_(std::move(base)), map_(std::move(map)), scale_(scale) {}

  void read(const TensorSource& source, const TensorInfo& info, const Slice& slice,
            const View& out) const override {
    std::vector<double> wide(map_->from.size());
    source.read(base_, checkpoint::flat_view(wide.data(), DType::F64, map_->size()));
    std::vector<double> sums(static_cast<std::size_t>(map_->source), 0.0);
    for (std::size_t i = 0; i < wide.size(); ++i) {
      if (map_->from[i] != kNowhere) sums[static_cast<std::size_t>(map_->from[i])] += wide[i] / scale_;
    }
    std::vector<double> part;
    for_each_run(slice, [&](std::int64_t global, std::int64_t, std::int64_t count) {
      part.insert(part.end(), sums.begin() + global, sums.begin() + global + count);
    });
    deliver(part, info.dtype, out);
  }

 private:
  std::string base_;
  std::shared_ptr<const AxisMap> map_;
  double scale_;
};

}  // namespace

std::shared_ptr<const TensorRecipe> folded(const Expansion& expansion) {
  return std::make_shared<FoldedTensor>(expansion);
}

std::shared_ptr<const TensorRecipe> folded_sum(std::string base, std::shared_ptr<const AxisMap> map,
                                               double scale) {
  return std::make_shared<FoldedSum>(std::move(base), std::move(map), scale);
}

}  // namespace moe::growth
