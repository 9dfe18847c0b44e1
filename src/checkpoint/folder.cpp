#include "checkpoint/folder.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/format.h"
#include "checkpoint/durable.h"

namespace moe::checkpoint {
namespace {

constexpr std::string_view kStepPrefix = "step_";
constexpr std::string_view kLeftover = ".tmp-";
constexpr std::size_t kStepDigits = 8;

std::vector<std::string> names_in(const Path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    names.push_back(entry.path().filename().string());
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace

std::string step_name(std::int64_t step) {
  return format("step_{:08d}", step);
}

std::optional<std::int64_t> step_from_name(std::string_view name) {
  if (!name.starts_with(kStepPrefix)) return {};
  const std::string_view digits = name.substr(kStepPrefix.size());
  std::int64_t step = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), step);
  const bool good = error == std::errc{} && end == digits.data() + digits.size() && step >= 0 &&
                    digits.size() >= kStepDigits;
  if (!good || step_name(step) != name) return {};
  return step;
}

bool is_leftover_name(std::string_view name) {
  const std::size_t at = name.find(kLeftover);
  if (at == std::string_view::npos) return false;
  const std::string_view base = name.substr(0, at);
  return base == kLatestName || step_from_name(base).has_value();
}

std::vector<std::int64_t> list_steps(const Path& folder) {
  std::vector<std::int64_t> steps;
  for (const std::string& name : names_in(folder)) {
    const auto step = step_from_name(name);
    if (step && std::filesystem::is_directory(folder / name)) steps.push_back(*step);
  }
  std::ranges::sort(steps);
  return steps;
}

std::optional<Path> set_aside_after(const Path& folder, std::int64_t step) {
  std::vector<std::int64_t> steps = list_steps(folder);
  std::erase_if(steps, [step](std::int64_t saved) { return saved <= step; });
  if (steps.empty()) return std::nullopt;
  int number = 1;
  while (std::filesystem::exists(folder / format("superseded_{}", number))) ++number;
  const Path aside = folder / format("superseded_{}", number);
  std::error_code error;
  std::filesystem::create_directory(aside, error);
  // The newest first: if it stops half way, what is left is still a run that can be resumed.
  for (auto it = steps.rbegin(); it != steps.rend() && !error; ++it) {
    std::filesystem::rename(folder / step_name(*it), aside / step_name(*it), error);
  }
  if (error) {
    throw CheckpointError(format("{}: cannot move superseded steps to {}: {}", folder.string(),
                                 aside.string(), error.message()));
  }
  return aside;
}

std::vector<std::string> clean_leftovers(const Path& folder) {
  std::vector<std::string> removed;
  for (const std::string& name : names_in(folder)) {
    if (!is_leftover_name(name)) continue;
    remove_quietly(folder / name);
    removed.push_back(name);
  }
  return removed;
}

}  // namespace moe::checkpoint
