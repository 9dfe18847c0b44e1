/// A tensor whose rows and columns are copies of a smaller one's: the two steps of function-preserving
/// width growth, and their variants.
///
///     U~[o][i] = W[o][g_in(i)] * share(o, i)     shares of the copies of a column sum to 1
///     U [o][i] = U~[g_out(o)][i] * scale[o]      fresh rows may come from another layer's W
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "growth/axis_map.h"
#include "growth/grown_source.h"

namespace moe::growth {

/// What the copies of a column get of it.
enum class Share {
  Whole,      ///< all of it: what writes the residual stream, or is copied as a neuron
  Equal,      ///< 1 / C
  Projected,  ///< R_i - (sum R - A) / C with random R: exact, and no two copies alike
};

/// Draws behind projected shares and behind columns that come from nowhere: one uniform number in
/// [-1, 1) for each element, keyed by its index.
struct Draws {
  Random random{0, ""};
  /// Projected shares: R = A/C * u, or this * u where A is zero; it is also the deviation of columns
  /// that come from nowhere.
  double deviation = 0;
  /// All rows draw the same: rows that are equal stay equal (experts that must tie).
  bool rows_alike = false;
};

struct Expansion {
  std::string base;                              ///< tensor of the source
  std::string upper;                             ///< where fresh rows come from; empty: from base too
  std::shared_ptr<const AxisMap> rows;           ///< of the last dim but one, of a vector's only dim; null: as is
  std::shared_ptr<const AxisMap> columns;        ///< of the last dim of a matrix; null: as is
  std::shared_ptr<const std::vector<double>> row_scale;  ///< by result row; null: 1
  Share share = Share::Whole;
  std::optional<Draws> draws;  ///< none: columns from nowhere are zero
};

/// @shape [n] or [..., rows, columns]; other leading dims are as in the source
/// @paper bert2BERT arXiv:2110.07143 (two steps); LEMON arXiv:2310.07999 (projected shares)
std::shared_ptr<const TensorRecipe> expanded(Expansion expansion);

/// The shares that `draws` gives the copies in row `row`: by result column.
/// @invariant shares of the copies of one column sum to 1 up to rounding
std::vector<double> projected_shares(const AxisMap& columns, const Draws& draws, std::int64_t row);

}  // namespace moe::growth
