/// What a forward pass knows beside its activations.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "ops/attention.h"
#include "ops/rope.h"
#include "tensor/tensor.h"

namespace moe::nn {

/// Keys and values of earlier tokens, one pair of tensors a layer; used by generation only.
class KeyValueCache {
 public:
  /// @shape per layer [batch * capacity, G, C], sequences one after another
  KeyValueCache(std::int64_t layers, std::int64_t batch, std::int64_t capacity);

  std::int64_t length() const { return length_; }
  std::int64_t capacity() const { return capacity_; }
  std::int64_t batch() const { return batch_; }
  /// Tokens of the pass now running become part of the past.
  void advance(std::int64_t tokens) { length_ += tokens; }

  struct Pair {
    Tensor key;
    Tensor value;
  };
  /// Stores this pass's k and v ([batch * n, G, C]) behind the past and returns all that is known.
  /// @shape each [batch * (length + n), G, C]; batch > 1 copies, batch 1 returns windows
  Pair append(std::int64_t layer, const Tensor& key, const Tensor& value);

 private:
  std::int64_t batch_;
  std::int64_t capacity_;
  std::int64_t length_ = 0;
  std::vector<Pair> layers_;
};

enum class Phase { Train, Evaluate };

/// @invariant shared by all layers of one pass; a recomputed segment sees the same context
struct ForwardContext {
  Phase phase = Phase::Train;
  Tensor position_T;                        ///< i32, for rotary embedding
  Tensor mask_T;                            ///< u8, 0 = padding; undefined = all real
  std::map<std::int64_t, ops::AttentionRange> range_of_window;  ///< key 0 = no window
  KeyValueCache* cache = nullptr;
  std::int64_t real_tokens = 0;             ///< tokens whose mask is not 0

  bool training() const { return phase == Phase::Train; }
};

}  // namespace moe::nn
