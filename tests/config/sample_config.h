/// A config with every kind of field, shaped like a run's.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "config/decode.h"

namespace moe::config::testing {

struct RopeScaling {
  double factor = 8.0;
  std::string type = "llama3";
  void fields(Fields& f) {
    f.number("factor", factor, "how far the context is stretched", {.min = 1.0});
    f.choice("type", type, {"llama3", "linear"}, "how frequencies change");
  }
  bool operator==(const RopeScaling&) const = default;
};

struct Model {
  std::int64_t hidden_size = 64;
  std::int64_t num_hidden_layers = 2;
  std::int64_t num_experts_per_tok = 2;
  std::optional<double> capacity_factor;
  std::string balance_loss = "micro_batch";
  bool tie_word_embeddings = false;
  std::vector<std::int64_t> sparse_layers;
  bool has_rope_scaling = false;
  RopeScaling rope_scaling;
  void fields(Fields& f) {
    f.integer("hidden_size", hidden_size, "model width D", {.min = 1, .max = 65536});
    f.integer("num_hidden_layers", num_hidden_layers, "layers L", {.min = 1});
    f.integer("num_experts_per_tok", num_experts_per_tok, "experts a token visits, K", {.min = 1});
    f.optional_number("capacity_factor", capacity_factor, "null", "room per expert",
                      {.above = 0.0});
    f.choice("balance_loss", balance_loss, {"micro_batch", "sequence", "global", "none"},
             "what the balance loss is taken over");
    f.boolean("tie_word_embeddings", tie_word_embeddings, "one matrix for embedding and head");
    f.integers("sparse_layers", sparse_layers, "layers with experts", {.min = 0});
    f.optional_section("rope_scaling", has_rope_scaling, "longer contexts",
                       [this](Fields& g) { rope_scaling.fields(g); });
  }
  bool operator==(const Model&) const = default;
};

struct Source {
  std::string prefix;
  double weight = 1.0;
  void fields(Fields& f) {
    f.text("prefix", prefix, "path of the shards");
    f.number("weight", weight, "share of the mixture", {.above = 0.0});
  }
  bool operator==(const Source&) const = default;
};

struct Data {
  std::string source = "synthetic";
  std::vector<Source> sources;
  std::vector<std::string> languages;
  std::vector<std::string> phases{"train"};
  void fields(Fields& f) {
    f.choice("source", source, {"synthetic", "shards"}, "where tokens come from");
    f.list(
        "sources", sources.size(), [this](std::size_t n) { sources.resize(n); }, "shards to mix",
        [this](std::size_t i, Fields& g) { sources[i].fields(g); });
    f.texts("languages", languages, "languages to keep");
    f.choices("phases", phases, {"train", "validation"}, "what is read");
  }
  bool operator==(const Data&) const = default;
};

struct Training {
  std::optional<std::int64_t> steps;
  std::int64_t sequence_length = 128;
  std::int64_t micro_batch_size = 1;
  std::int64_t global_batch_size = 4;
  double gradient_clip = 1.0;
  void fields(Fields& f) {
    f.optional_integer("steps", steps, "null", "optimizer steps", {.min = 1});
    f.integer("sequence_length", sequence_length, "tokens of one sequence", {.min = 1});
    f.integer("micro_batch_size", micro_batch_size, "sequences at a time", {.min = 1});
    f.integer("global_batch_size", global_batch_size, "sequences of one step", {.min = 1});
    f.number("gradient_clip", gradient_clip, "largest gradient norm", {.min = 0.0});
    if (global_batch_size % micro_batch_size != 0) {
      f.reject("global_batch_size", "must be a multiple of micro_batch_size");
    }
  }
  bool operator==(const Training&) const = default;
};

struct Optimizer {
  std::string name = "adamw";
  double learning_rate = 3e-4;
  double beta1 = 0.9;
  void fields(Fields& f) {
    f.choice("name", name, {"adamw", "muon"}, "the method");
    f.number("learning_rate", learning_rate, "largest rate", {.above = 0.0});
    f.number("beta1", beta1, "decay of the first moment", {.min = 0.0, .below = 1.0});
  }
  bool operator==(const Optimizer&) const = default;
};

struct Parallel {
  std::optional<std::int64_t> data;
  std::int64_t expert = 1;
  void fields(Fields& f) {
    f.optional_integer("data", data, "auto", "data ranks", {.min = 1});
    f.integer("expert", expert, "expert ranks", {.min = 1});
  }
  bool operator==(const Parallel&) const = default;
};

struct Checkpoint {
  std::optional<std::string> resume;
  void fields(Fields& f) { f.optional_text("resume", resume, "auto", "latest, never or a path"); }
  bool operator==(const Checkpoint&) const = default;
};

struct SampleRun {
  std::string name = "run";
  std::string output = "runs";
  std::int64_t seed = 1;
  Model model;
  Data data;
  Training training;
  Optimizer optimizer;
  Parallel parallel;
  Checkpoint checkpoint;
  void fields(Fields& f) {
    f.text("name", name, "name of the run");
    f.text("output", output, "folder of all runs");
    f.integer("seed", seed, "seed of everything", {.min = 0});
    f.section("model", "The network.", [this](Fields& g) { model.fields(g); });
    f.section("data", "Where tokens come from.", [this](Fields& g) { data.fields(g); });
    f.section("training", "How long, how much.", [this](Fields& g) { training.fields(g); });
    f.section("optimizer", "The update.", [this](Fields& g) { optimizer.fields(g); });
    f.section("parallel", "The mesh.", [this](Fields& g) { parallel.fields(g); });
    f.section("checkpoint", "What is kept.", [this](Fields& g) { checkpoint.fields(g); });
  }
  bool operator==(const SampleRun&) const = default;
};

inline SampleRun decode_text(std::string_view text,
                             const std::vector<std::string>& overrides = {}) {
  Document document = Document::parse(text, "run.yaml");
  document.override_with(overrides);
  return decode<SampleRun>(document);
}

/// The message of the ConfigError that decoding throws, or "" if it throws none.
inline std::string error_of(std::string_view text, const std::vector<std::string>& overrides = {}) {
  try {
    decode_text(text, overrides);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

}  // namespace moe::config::testing
