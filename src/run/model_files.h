/// The small files that travel with a model's weights: its tokenizer, and how to generate with it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "checkpoint/checkpoint.h"
#include "data/tokenizer.h"
#include "interop/contained_file.h"

namespace moe::run {

/// Name -> contents.
using ModelFiles = std::map<std::string, std::string>;

/// tokenizer.model, tokenizer.json, tokenizer_config.json, generation_config.json and their like; none
/// need be there. A folder without generation_config.json gets one from the ids in its config.json.
/// @throws CheckpointError: a link that leaves the folder, a file beyond 256 MiB
ModelFiles hugging_face_files(const interop::ContainedFolder& folder);

/// What a checkpoint carries.
ModelFiles checkpoint_files(const checkpoint::Checkpoint& checkpoint);

/// The files as a checkpoint carries them: with the name of the tokenizer, if it is one we have.
ModelFiles for_checkpoint(ModelFiles files, const std::string& where);

/// The files as transformers reads them: without ours, and with a generation_config.json.
ModelFiles for_hugging_face(ModelFiles files, const std::string& where);

/// Token ids in generation_config.json.
struct SpecialIds {
  std::optional<std::int64_t> bos;
  std::vector<std::int64_t> eos;
};
SpecialIds special_ids(const ModelFiles& files, const std::string& where);

/// The tokenizer among the files, or null: none there, or none of ours (a warning says so).
std::shared_ptr<const data::Tokenizer> tokenizer_in(const ModelFiles& files,
                                                    const std::string& where);

}  // namespace moe::run
