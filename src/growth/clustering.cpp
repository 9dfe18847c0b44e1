#include "growth/clustering.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace moe::growth {
namespace {

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

std::int64_t experts_of(const LayerMeasure& measure) {
  return static_cast<std::int64_t>(measure.routed.size());
}

/// Experts, the most used first; ties by id.
std::vector<std::int64_t> by_use(const LayerMeasure& measure) {
  std::vector<std::int64_t> order(measure.routed.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](std::int64_t a, std::int64_t b) {
    return measure.routed[at(a)] > measure.routed[at(b)];
  });
  return order;
}

double logit_cosine(const LayerMeasure& measure, std::int64_t a, std::int64_t b) {
  const std::int64_t experts = experts_of(measure);
  const auto product = [&](std::int64_t i, std::int64_t j) {
    return measure.logit_products[at(i * experts + j)];
  };
  const double lengths = std::sqrt(product(a, a) * product(b, b));
  return lengths > 0 ? product(a, b) / lengths : 0.0;
}

double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double squares = 0;
  for (std::size_t i = 0; i < a.size(); ++i) squares += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(squares);
}

/// Copies of one expert, up to the noise that expand gives them.
bool alike(const LayerMeasure& measure, std::int64_t a, std::int64_t b) {
  constexpr double kSameLogits = 1 - 1e-6;
  constexpr double kSameOutputs = 0.05;  // of the outputs' length
  if (logit_cosine(measure, a, b) < kSameLogits) return false;
  return distance(measure.mean_output[at(a)], measure.mean_output[at(b)]) <=
         kSameOutputs * std::max(measure.output_norm[at(a)], measure.output_norm[at(b)]);
}

std::vector<std::int64_t> choose_cores(const LayerMeasure& measure, std::int64_t groups) {
  std::vector<std::int64_t> cores;
  std::vector<std::int64_t> spare;
  for (const std::int64_t expert : by_use(measure)) {
    if (std::ssize(cores) == groups) break;
    const bool known =
        std::ranges::any_of(cores, [&](std::int64_t core) { return alike(measure, expert, core); });
    (known ? spare : cores).push_back(expert);
  }
  for (const std::int64_t expert : spare) {
    if (std::ssize(cores) < groups) cores.push_back(expert);
  }
  return cores;
}

std::size_t most_similar(const LayerMeasure& measure, std::int64_t expert,
                         const std::vector<std::int64_t>& cores) {
  std::size_t best = 0;
  const auto better = [&](std::size_t i, std::size_t than) {
    // Copies share a router row with more than their family where shards are tied.
    const bool same = alike(measure, expert, cores[i]);
    if (same != alike(measure, expert, cores[than])) return same;
    return logit_cosine(measure, expert, cores[i]) > logit_cosine(measure, expert, cores[than]);
  };
  for (std::size_t i = 1; i < cores.size(); ++i) {
    if (better(i, best)) best = i;
  }
  return best;
}

void weigh(const LayerMeasure& measure, ExpertGroup& group) {
  double total = 0;
  for (const std::int64_t member : group.members) total += measure.routed[at(member)];
  const auto count = static_cast<double>(group.members.size());
  for (const std::int64_t member : group.members) {
    group.weights.push_back(total > 0 ? measure.routed[at(member)] / total : 1 / count);
  }
}

/// Weighs the groups and puts them in the order of their smallest members.
std::vector<ExpertGroup> finished(const LayerMeasure& measure,
                                  const std::vector<std::vector<std::int64_t>>& members) {
  std::vector<ExpertGroup> groups;
  for (const auto& list : members) {
    groups.push_back({list, {}});
    weigh(measure, groups.back());
  }
  std::ranges::sort(groups, {}, [](const ExpertGroup& group) {
    return *std::ranges::min_element(group.members);
  });
  return groups;
}

}  // namespace

std::vector<ExpertGroup> group_by_frequency(const LayerMeasure& measure, std::int64_t groups) {
  const std::vector<std::int64_t> cores = choose_cores(measure, groups);
  std::vector<std::vector<std::int64_t>> members;
  for (const std::int64_t core : cores) members.push_back({core});
  for (std::int64_t expert = 0; expert < experts_of(measure); ++expert) {
    if (std::ranges::find(cores, expert) != cores.end()) continue;
    members[most_similar(measure, expert, cores)].push_back(expert);
  }
  return finished(measure, members);
}

std::vector<ExpertGroup> group_by_outputs(const LayerMeasure& measure, std::int64_t groups) {
  std::vector<std::vector<std::int64_t>> clusters;
  std::vector<std::vector<double>> apart;
  for (std::int64_t a = 0; a < experts_of(measure); ++a) {
    clusters.push_back({a});
    apart.emplace_back();
    for (const auto& other : measure.mean_output) {
      apart.back().push_back(distance(measure.mean_output[at(a)], other));
    }
  }
  while (std::ssize(clusters) > groups) {
    std::size_t first = 0;
    std::size_t second = 1;
    for (std::size_t a = 0; a < clusters.size(); ++a) {
      for (std::size_t b = a + 1; b < clusters.size(); ++b) {
        if (apart[a][b] < apart[first][second]) first = a, second = b;
      }
    }
    const auto size_a = static_cast<double>(clusters[first].size());
    const auto size_b = static_cast<double>(clusters[second].size());
    for (std::size_t c = 0; c < clusters.size(); ++c) {
      const double mean =
          (size_a * apart[first][c] + size_b * apart[second][c]) / (size_a + size_b);
      apart[first][c] = apart[c][first] = c == first ? 0.0 : mean;
    }
    clusters[first].insert(clusters[first].end(), clusters[second].begin(),
                           clusters[second].end());
    const auto gone = static_cast<std::ptrdiff_t>(second);
    clusters.erase(clusters.begin() + gone);
    apart.erase(apart.begin() + gone);
    for (auto& row : apart) row.erase(row.begin() + gone);
  }
  for (auto& cluster : clusters) {
    std::ranges::sort(cluster);
    const auto most = std::ranges::max_element(cluster, {}, [&](std::int64_t expert) {
      return measure.routed[at(expert)];
    });
    std::rotate(cluster.begin(), most, most + 1);
  }
  return finished(measure, clusters);
}

}  // namespace moe::growth
