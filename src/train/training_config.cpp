#include "train/training_config.h"

#include "base/format.h"

namespace moe::train {

void TrainingConfig::fields(config::Fields& f) {
  f.optional_integer("steps", steps, "null", "updates of the run", {.min = 1});
  f.optional_integer("tokens", tokens, "null", "length of the run in tokens, instead of steps",
                     {.min = 1});
  f.integer("sequence_length", sequence_length, "tokens of one sequence", {.min = 1});
  f.integer("micro_batch_size", micro_batch_size, "sequences one rank computes at a time",
            {.min = 1});
  f.integer("global_batch_size", global_batch_size,
            "sequences of one update, over all ranks; accumulation follows from it", {.min = 1});
  f.number("gradient_clip", gradient_clip, "largest global gradient norm; 0: no clipping", {.min = 0});
  f.boolean("recompute", recompute,
            "form activations again in backward instead of keeping them; changes no bit");
  if (steps.has_value() == tokens.has_value()) {
    f.reject("steps", "give exactly one of steps and tokens");
  }
  if (global_batch_size % micro_batch_size != 0) {
    f.reject("micro_batch_size", format("must divide global_batch_size ({}), got {}",
                                        global_batch_size, micro_batch_size));
  }
}

std::int64_t TrainingConfig::total_steps() const {
  if (steps) return *steps;
  const std::int64_t per_step = global_batch_size * sequence_length;
  return (tokens.value_or(0) + per_step - 1) / per_step;
}

void EvalConfig::fields(config::Fields& f) {
  f.integer("interval", interval, "steps between evaluations on held-out text; 0: never", {.min = 0});
  f.boolean("final", final_evaluation, "read all held-out text after the last step");
  f.optional_integer("batches", batches, "null",
                     "batches a rank reads in evaluations on the way; null: all held-out text",
                     {.min = 1});
}

}  // namespace moe::train
