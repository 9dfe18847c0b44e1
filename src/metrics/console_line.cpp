#include "metrics/console_line.h"

#include <algorithm>
#include <cmath>

#include "base/format.h"

namespace moe::metrics {
namespace {

std::string step_of(const StepRecord& record, std::int64_t total_steps) {
  if (total_steps <= 0) return with_thousands(record.step);
  const std::string total = with_thousands(total_steps);
  return format("{:>{}}/{}", with_thousands(record.step), total.size(), total);
}

std::string whole_number(double value) {
  if (!std::isfinite(value) || std::abs(value) > 1e15) return "?";
  return with_thousands(std::llround(value));
}

std::int64_t dead_experts(const StepRecord& record) {
  std::int64_t dead = 0;
  for (const ExpertLoad& load : record.experts) dead += load.dead_experts;
  return dead;
}

}  // namespace

std::string step_line(const StepRecord& record, std::int64_t total_steps) {
  std::string line = format("step {}  loss {:.4f}", step_of(record, total_steps), record.loss);
  const bool sparse =
      !record.experts.empty() || record.balance_loss != 0 || record.z_loss != 0;
  if (sparse) line += format("  balance {:.3f}  z {:.3f}", record.balance_loss, record.z_loss);
  line += format("  grad {:.3f}  lr {:.2e}  {:>7} tok/s  mfu {:>4.1f} %  mem {}  eta {}",
                 record.grad_norm, record.lr, whole_number(record.tokens_per_second),
                 100 * record.mfu, human_bytes(static_cast<double>(record.memory_bytes)),
                 human_duration(record.eta_seconds));
  if (const std::int64_t dead = dead_experts(record); dead > 0) {
    line += format("  dead experts {}", dead);
  }
  return line;
}

std::string eval_line(const StepRecord& record) {
  if (!record.eval_loss) return "";
  std::string line = format("eval at step {}: loss {:.4f}", with_thousands(record.step),
                            *record.eval_loss);
  if (record.eval_bits_per_byte) {
    line += format(", {:.4f} bits per byte", *record.eval_bits_per_byte);
  }
  return line;
}

std::string progress_line(const StepRecord& record, std::int64_t total_steps, int columns) {
  constexpr int kMinBar = 8;
  constexpr int kMaxBar = 40;
  if (total_steps <= 0) return step_line(record, 0).substr(0, static_cast<std::size_t>(columns));
  const double done =
      std::clamp(static_cast<double>(record.step) / static_cast<double>(total_steps), 0.0, 1.0);
  const std::string text =
      format("  {:5.1f} %  {}  eta {}  loss {:.4f}", 100 * done, step_of(record, total_steps),
             human_duration(record.eta_seconds), record.loss);
  const int width = std::min(kMaxBar, columns - static_cast<int>(text.size()) - 2);
  if (width < kMinBar) return text.substr(2, static_cast<std::size_t>(std::max(columns, 0)));
  const auto filled = static_cast<std::size_t>(std::floor(done * width));
  std::string bar(filled, '=');
  if (filled < static_cast<std::size_t>(width)) bar += '>';
  bar.resize(static_cast<std::size_t>(width), ' ');
  return "[" + bar + "]" + text;
}

}  // namespace moe::metrics
