#include "run/upcycle_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/format.h"

namespace moe::run {
namespace {

using Json = nlohmann::ordered_json;

/// "104.74 B (104,744,775,680)".
std::string count_text(std::int64_t count) {
  return format("{} ({})", human_count(static_cast<double>(count)), with_thousands(count));
}

std::string shape_text(const ModelConfig& c) {
  std::string text = format("{} layers, hidden {}, heads {} x {} in {} groups, feed-forward {}",
                            c.num_hidden_layers, c.hidden_size, c.num_attention_heads, c.head_width(),
                            c.key_value_heads(), c.intermediate_size);
  if (c.num_experts > 0) {
    text += format("; {} of {} experts of {} in {} layers", c.num_experts_per_tok, c.num_experts,
                   c.expert_width(), c.sparse_layer_count());
    if (c.shared_expert_intermediate_size > 0) {
      text += format(", shared expert {}", c.shared_expert_intermediate_size);
    }
  }
  return text;
}

std::string sizes_text(const ModelConfig& config) {
  const ParameterCount count = count_parameters(config);
  const std::int64_t length = config.max_position_embeddings;
  return format("  shape       {}\n  parameters  {}\n  active      {}\n  FLOPs       {} a token in training, {} in inference, at {} tokens of context\n",
                shape_text(config), count_text(count.total), count_text(count.active),
                human_count(training_flops_per_token(config, length)),
                human_count(training_flops_per_token(config, length) / 3.0), with_thousands(length));
}

Json sizes_json(const ModelConfig& config) {
  const ParameterCount count = count_parameters(config);
  const std::int64_t length = config.max_position_embeddings;
  return {{"parameters_total", count.total},
          {"parameters_active", count.active},
          {"parameters_total_text", human_count(static_cast<double>(count.total))},
          {"parameters_active_text", human_count(static_cast<double>(count.active))},
          {"training_flops_per_token", training_flops_per_token(config, length)},
          {"inference_flops_per_token", training_flops_per_token(config, length) / 3.0},
          {"sequence_length", length},
          {"num_hidden_layers", config.num_hidden_layers},
          {"hidden_size", config.hidden_size},
          {"intermediate_size", config.intermediate_size},
          {"num_attention_heads", config.num_attention_heads},
          {"num_key_value_heads", config.key_value_heads()},
          {"head_dim", config.head_width()},
          {"num_experts", config.num_experts},
          {"num_experts_per_tok", config.num_experts > 0 ? config.num_experts_per_tok : 0},
          {"rms_norm_eps", config.rms_norm_eps}};
}

std::string depth_text(const std::vector<std::int64_t>& map) {
  return format("  depth map   {}\n", fmt::join(map, ","));
}

using Row = std::vector<std::string>;

/// Columns as wide as their longest cell; the first two from the left, numbers from the right.
std::string table_text(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths(rows.front().size(), 0);
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      text += i < 2 ? format("{:<{}}", row[i], widths[i]) : format("{:>{}}", row[i], widths[i]);
      text += i + 1 < row.size() ? "  " : "\n";
    }
  }
  return text;
}

}  // namespace

std::string outline_text(const OutlineReport& report) {
  std::string text = format("source        {}\n", report.source) + sizes_text(report.config);
  for (std::size_t i = 0; i < report.stages.size(); ++i) {
    const growth::StageOutline& stage = report.stages[i];
    text += format("stage {:<7} {}: {}; {}\n", i + 1, stage.name, stage.method,
                   stage.keeps_function ? "keeps the function" : "changes the function");
    text += sizes_text(stage.config);
    if (stage.depth_map) text += depth_text(*stage.depth_map);
  }
  return text;
}

std::string outline_json(const OutlineReport& report) {
  Json told{{"source", report.source}, {"source_sizes", sizes_json(report.config)}, {"stages", Json::array()}};
  for (const growth::StageOutline& stage : report.stages) {
    Json row{{"stage", stage.name}, {"method", stage.method}, {"keeps_function", stage.keeps_function}};
    row.update(sizes_json(stage.config));
    row["depth_map"] = stage.depth_map ? Json(*stage.depth_map) : Json();
    told["stages"].push_back(row);
  }
  return told.dump(2) + "\n";
}

std::string growth_table(const std::vector<growth::StageReport>& reports) {
  std::vector<Row> rows{{"stage", "method", "loss before", "loss after", "largest logit difference",
                         "parameters", "active", "expert cosine", "promise"}};
  for (const growth::StageReport& report : reports) {
    rows.push_back({report.stage, report.method, format("{:.6f}", report.loss_before),
                    format("{:.6f}", report.loss_after),
                    format("{:.3g} of {:.3g}", report.max_logit_difference, report.max_logit),
                    human_count(static_cast<double>(report.parameters_total)),
                    human_count(static_cast<double>(report.parameters_active)),
                    report.expert_cosine ? format("{:.6f}", *report.expert_cosine) : "-",
                    report.keeps_function ? "exact" : "none"});
  }
  return table_text(rows);
}

std::string growth_json(const GrowthOrigin& origin, const std::vector<growth::StageReport>& reports) {
  Json told = Json::parse(growth_state(origin));
  told["stages"] = Json::array();
  for (const growth::StageReport& report : reports) {
    told["stages"].push_back({{"stage", report.stage},
                              {"method", report.method},
                              {"loss_before", report.loss_before},
                              {"loss_after", report.loss_after},
                              {"max_logit_difference", report.max_logit_difference},
                              {"parameters_total", report.parameters_total},
                              {"parameters_active", report.parameters_active},
                              {"expert_cosine", report.expert_cosine ? Json(*report.expert_cosine) : Json()}});
  }
  return told.dump(2) + "\n";
}

std::string growth_state(const GrowthOrigin& origin) {
  return Json{{"source", origin.source},
              {"source_digest", origin.source_digest},
              {"seed", origin.seed},
              {"verified_on", origin.verified_on},
              {"tokens", origin.tokens},
              {"plan", origin.plan}}
      .dump();
}

}  // namespace moe::run
