#include "metrics/metrics_file.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>

#include "base/error.h"
#include "base/format.h"
#include "metrics/escape.h"

namespace moe::metrics {
namespace {

using Json = nlohmann::json;

/// Calls `visit(line with its newline, is the last one torn)`.
template <class Visit>
void for_each_line(std::string_view contents, Visit&& visit) {
  while (!contents.empty()) {
    const std::size_t newline = contents.find('\n');
    const bool torn = newline == std::string_view::npos;
    const std::string_view line = contents.substr(0, torn ? contents.size() : newline + 1);
    visit(line, torn);
    contents.remove_prefix(line.size());
  }
}

/// The parsed line, or discarded if it is not an object with a whole `step`.
Json parse_line(std::string_view line) {
  Json parsed = Json::parse(line, nullptr, false);
  if (!parsed.is_object() || !parsed.contains("step") || !parsed["step"].is_number_integer()) {
    return Json(Json::value_t::discarded);
  }
  return parsed;
}

double number(const Json& line, const char* key) {
  const auto found = line.find(key);
  if (found == line.end() || !found->is_number()) return std::numeric_limits<double>::quiet_NaN();
  return found->get<double>();
}

std::optional<double> optional_number(const Json& line, const char* key) {
  if (!line.contains(key)) return std::nullopt;
  return number(line, key);
}

StepRecord to_record(const Json& line) {
  StepRecord record;
  record.step = line["step"].get<std::int64_t>();
  const auto tokens = line.find("tokens");
  if (tokens != line.end() && tokens->is_number_integer()) record.tokens = tokens->get<std::int64_t>();
  record.loss = number(line, "loss");
  record.balance_loss = number(line, "balance_loss");
  record.z_loss = number(line, "z_loss");
  record.grad_norm = number(line, "grad_norm");
  record.lr = number(line, "lr");
  record.tokens_per_second = number(line, "tokens_per_second");
  record.mfu = number(line, "mfu");
  record.step_seconds = number(line, "step_seconds");
  record.eval_loss = optional_number(line, "eval_loss");
  record.eval_bits_per_byte = optional_number(line, "eval_bits_per_byte");
  return record;
}

}  // namespace

std::string metrics_line(const StepRecord& record) {
  std::string line = format(
      R"({{"step": {}, "tokens": {}, "loss": {}, "balance_loss": {}, "z_loss": {}, )"
      R"("grad_norm": {}, "lr": {}, "tokens_per_second": {}, "mfu": {}, "step_seconds": {})",
      record.step, record.tokens, json_number(record.loss), json_number(record.balance_loss),
      json_number(record.z_loss), json_number(record.grad_norm), json_number(record.lr),
      json_number(record.tokens_per_second), json_number(record.mfu),
      json_number(record.step_seconds));
  if (record.eval_loss) line += R"(, "eval_loss": )" + json_number(*record.eval_loss);
  if (record.eval_bits_per_byte) {
    line += R"(, "eval_bits_per_byte": )" + json_number(*record.eval_bits_per_byte);
  }
  return line + "}\n";
}

std::vector<StepRecord> read_metrics(const Path& path) {
  const std::string contents = read_file(path);
  std::vector<StepRecord> records;
  std::int64_t line_number = 0;
  for_each_line(contents, [&](std::string_view line, bool torn) {
    ++line_number;
    const Json parsed = parse_line(line);
    if (!parsed.is_discarded()) {
      records.push_back(to_record(parsed));
    } else if (!torn) {
      throw DataError(format("{}:{}: expected a JSON object with an integer \"step\", found '{}'",
                             path.string(), line_number, line.substr(0, 60)));
    }
  });
  return records;
}

void keep_metrics_until(const Path& path, std::int64_t last_step) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return;
  const std::string contents = read_file(path);
  std::string kept;
  for_each_line(contents, [&](std::string_view line, bool torn) {
    if (torn || last_step == 0) return;
    const Json parsed = parse_line(line);
    if (!parsed.is_discarded() && parsed["step"].get<std::int64_t>() <= last_step) kept += line;
  });
  if (kept.size() != contents.size()) write_file_atomically(path, kept);
}

}  // namespace moe::metrics
