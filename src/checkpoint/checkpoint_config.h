/// The config section `checkpoint`.
#pragma once

#include "checkpoint/retention.h"
#include "config/fields.h"

namespace moe::checkpoint {

struct CheckpointConfig {
  std::int64_t interval = 1000;
  std::int64_t keep_last = 2;
  std::optional<std::int64_t> keep_every;
  std::string resume = "auto";
  std::optional<std::string> init_from;
  bool follow_links = false;

  Retention retention() const { return {keep_last, keep_every}; }

  void fields(config::Fields& f) {
    f.integer("interval", interval, "steps between checkpoints; 0: only after the last step",
              {.min = 0});
    f.integer("keep_last", keep_last, "the newest checkpoints that stay", {.min = 1});
    f.optional_integer("keep_every", keep_every, "null",
                       "checkpoints at multiples of this step stay for ever", {.min = 1});
    f.text("resume", resume,
           "auto (the newest valid checkpoint of this run, else start anew), latest (the same, but "
           "there must be one), never, or the path of a step, checkpoints or run folder");
    f.optional_text("init_from", init_from, "null",
                    "weights to start from where nothing is resumed: a step, checkpoints or run folder, or a Hugging "
                    "Face folder. Optimizer, schedule and data start anew; keys of `model` that are not written are the "
                    "source's");
    f.boolean("follow_links", follow_links,
              "init_from: links of a Hugging Face folder may lead out of it, as in Hugging Face's cache");
    if (init_from && init_from->empty()) f.reject("init_from", "expected null or a path");
    if (init_from && resume != "auto" && resume != "never") {
      f.reject("init_from", "would never be read: resume names what the run goes on from; expected resume auto or never");
    }
    if (resume.empty()) f.reject("resume", "expected auto, latest, never or a path");
  }
};

}  // namespace moe::checkpoint
