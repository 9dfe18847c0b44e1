#include "data/data_config.h"

#include "data/data_sources.h"

namespace moe::data {

void SourceConfig::fields(config::Fields& f) {
  f.text("path", path, "prefix of a token shard: PATH.bin and PATH.idx");
  f.number("weight", weight, "share of the samples, relative to the other sources", {.above = 0});
  if (path.empty()) f.reject("path", "expected the prefix of a token shard");
}

void SyntheticConfig::fields(config::Fields& f) {
  f.integer("domains", domains, "languages that differ in what follows what", {.min = 1, .max = 1024});
  f.number("predictability", predictability,
           "share of tokens that their predecessor decides, but for a choice of four",
           {.min = 0, .max = 1});
  f.integer("samples", samples, "sequences in an epoch", {.min = 1});
  f.integer("validation_samples", validation_samples, "held-out sequences", {.min = 0});
}

void DataConfig::fields(config::Fields& f) {
  f.choice("source", source, data_sources().names(), "where tokens come from");
  f.texts("train", train, "prefixes of token shards that are read as one, by their sizes");
  f.list("sources", sources.size(), [this](std::size_t size) { sources.resize(size); },
         "weighted token shards; instead of `train`",
         [this](std::size_t i, config::Fields& item) { sources[i].fields(item); });
  f.texts("validation", validation, "prefixes of held-out token shards");
  f.number("validation_fraction", validation_fraction,
           "last share of each training shard that is held out; instead of `validation`",
           {.min = 0, .below = 1});
  f.text("tokenizer", tokenizer,
         "auto (the one stored with the shards), bytes, or the path of a tokenizer.json, a .model "
         "file, or a folder that holds one");
  f.optional_integer("eod", eod, "auto",
                     "token that ends documents; auto takes it from PREFIX.json", {.min = 0});
  f.boolean("document_mask", document_mask,
            "attention and loss stay within documents; false: within sequences");
  f.boolean("predict_eod", predict_eod, "the end of a document is a target like any other token");
  f.boolean("shuffle", shuffle, "read samples in a random order, another in each epoch");
  f.integer("prefetch", prefetch, "steps prepared ahead by a thread; 0 = none",
            {.min = 0, .max = 1024});
  f.section("synthetic", "parameters of source: synthetic",
            [this](config::Fields& section) { synthetic.fields(section); });

  if (source == "tokens" && train.empty() && sources.empty()) {
    f.reject("train", "source: tokens needs `train` or `sources`");
  }
  if (!train.empty() && !sources.empty()) {
    f.reject("sources", "expected `train` or `sources`, found both");
  }
  if (!validation.empty() && validation_fraction > 0) {
    f.reject("validation_fraction", "expected `validation` or `validation_fraction`, found both");
  }
}

}  // namespace moe::data
