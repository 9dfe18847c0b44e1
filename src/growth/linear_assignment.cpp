#include "growth/linear_assignment.h"

#include <algorithm>
#include <limits>

namespace moe::growth {
namespace {

constexpr std::int32_t kNone = -1;

/// Minimises cost = -similarity. Reduced costs cost - u - v are never negative, and zero where
/// assigned.
class Assignment {
 public:
  Assignment(std::span<const float> similarity, std::int64_t n)
      : similarity_(similarity), size_(static_cast<std::size_t>(n)) {
    column_of_.assign(size_, kNone);
    row_of_.assign(size_, kNone);
    u_.assign(size_, 0.0);
    v_.assign(size_, 0.0);
  }

  std::vector<std::int32_t> run() {
    start();
    for (std::size_t row = 0; row < size_; ++row) {
      if (column_of_[row] == kNone) augment(row);
    }
    return column_of_;
  }

 private:
  double cost(std::size_t row, std::size_t column) const {
    return -static_cast<double>(similarity_[row * size_ + column]);
  }

  /// Every row takes its cheapest column (its own, among equals) if nobody has it yet.
  void start() {
    for (std::size_t row = 0; row < size_; ++row) {
      std::size_t best = row;
      for (std::size_t column = 0; column < size_; ++column) {
        if (cost(row, column) < cost(row, best)) best = column;
      }
      u_[row] = cost(row, best);
      if (row_of_[best] != kNone) continue;
      row_of_[best] = static_cast<std::int32_t>(row);
      column_of_[row] = static_cast<std::int32_t>(best);
    }
  }

  /// A shortest path from a free row to a free column; assignments along it are exchanged.
  void augment(std::size_t free_row) {
    constexpr double kFar = std::numeric_limits<double>::infinity();
    std::vector<double> distance(size_, kFar);
    std::vector<std::int32_t> from(size_, kNone);
    std::vector<bool> closed(size_, false);
    std::vector<std::size_t> path_rows;
    std::size_t row = free_row;
    double shortest = 0;
    std::size_t column = 0;
    for (;;) {
      path_rows.push_back(row);
      column = relax(row, shortest, distance, from, closed);
      shortest = distance[column];
      closed[column] = true;
      if (row_of_[column] == kNone) break;
      row = static_cast<std::size_t>(row_of_[column]);
    }
    update_prices(path_rows, shortest, distance, closed);
    for (;;) {
      const auto owner = static_cast<std::size_t>(from[column]);
      row_of_[column] = from[column];
      const std::int32_t next = column_of_[owner];
      column_of_[owner] = static_cast<std::int32_t>(column);
      if (owner == free_row) break;
      column = static_cast<std::size_t>(next);
    }
  }

  /// Looks from `row`, which is `shortest` away; returns the nearest open column.
  std::size_t relax(std::size_t row, double shortest, std::vector<double>& distance,
                    std::vector<std::int32_t>& from, const std::vector<bool>& closed) const {
    std::size_t nearest = size_;
    for (std::size_t column = 0; column < size_; ++column) {
      if (closed[column]) continue;
      const double way = shortest + cost(row, column) - u_[row] - v_[column];
      if (way < distance[column]) {
        distance[column] = way;
        from[column] = static_cast<std::int32_t>(row);
      }
      const bool nearer = nearest == size_ || distance[column] < distance[nearest] ||
                          (distance[column] == distance[nearest] && row_of_[column] == kNone &&
                           row_of_[nearest] != kNone);
      if (nearer) nearest = column;
    }
    return nearest;
  }

  void update_prices(const std::vector<std::size_t>& path_rows, double shortest,
                     const std::vector<double>& distance, const std::vector<bool>& closed) {
    u_[path_rows.front()] += shortest;
    for (std::size_t i = 1; i < path_rows.size(); ++i) {
      const std::size_t row = path_rows[i];
      u_[row] += shortest - distance[static_cast<std::size_t>(column_of_[row])];
    }
    for (std::size_t column = 0; column < size_; ++column) {
      if (closed[column]) v_[column] -= shortest - distance[column];
    }
  }

  std::span<const float> similarity_;
  std::size_t size_;
  std::vector<std::int32_t> column_of_;
  std::vector<std::int32_t> row_of_;
  std::vector<double> u_;
  std::vector<double> v_;
};

}  // namespace

std::vector<std::int32_t> best_assignment(std::span<const float> similarity, std::int64_t n) {
  return Assignment(similarity, n).run();
}

}  // namespace moe::growth
