/// Tokens that growth is verified and calibrated on.
#pragma once

#include <memory>

#include "data/tokenizer.h"
#include "growth/stage.h"
#include "run/open_model.h"

namespace moe::run {

/// Text by the model's own tokenizer; without a text, uniform draws over its vocabulary.
class ModelProbe : public growth::TokenProbe {
 public:
  explicit ModelProbe(const StoredModel& source);

  /// At most `calibration.tokens` ids: the start of the text.
  /// @throws DataError: an unreadable text, one of fewer than two tokens, a tokenizer that does not fit the
  ///   model, or none
  std::vector<std::int32_t> tokens(const growth::CalibrationConfig& calibration) const override;

 private:
  std::string where_;
  std::int64_t vocab_size_;
  std::shared_ptr<const data::Tokenizer> tokenizer_;  ///< null: the model carries none of ours
};

}  // namespace moe::run
