#include "nn/forward_context.h"

#include <cstring>

#include "base/check.h"

namespace moe::nn {

KeyValueCache::KeyValueCache(std::int64_t layers, std::int64_t batch, std::int64_t capacity)
    : batch_(batch), capacity_(capacity), layers_(static_cast<std::size_t>(layers)) {}

namespace {

void copy_rows(const Tensor& from, std::int64_t from_row, const Tensor& to, std::int64_t to_row,
               std::int64_t rows) {
  to.narrow(to_row, rows).copy_from(from.narrow(from_row, rows));
}

Tensor stored(const Tensor& store, std::int64_t batch, std::int64_t capacity, std::int64_t used) {
  if (batch == 1) return store.narrow(0, used);
  Shape shape = store.shape();
  shape.set(0, batch * used);
  Tensor all = Tensor::empty(shape, store.dtype());
  for (std::int64_t b = 0; b < batch; ++b) copy_rows(store, b * capacity, all, b * used, used);
  return all;
}

}  // namespace

KeyValueCache::Pair KeyValueCache::append(std::int64_t layer, const Tensor& key,
                                          const Tensor& value) {
  Pair& pair = layers_[static_cast<std::size_t>(layer)];
  if (!pair.key.defined()) {
    const Shape shape{batch_ * capacity_, key.dim(1), key.dim(2)};
    pair.key = Tensor::empty(shape, key.dtype());
    pair.value = Tensor::empty(shape, value.dtype());
  }
  const std::int64_t fresh = key.dim(0) / batch_;
  MOE_CHECK_LE(length_ + fresh, capacity_);
  for (std::int64_t b = 0; b < batch_; ++b) {
    copy_rows(key, b * fresh, pair.key, b * capacity_ + length_, fresh);
    copy_rows(value, b * fresh, pair.value, b * capacity_ + length_, fresh);
  }
  const std::int64_t used = length_ + fresh;
  return {stored(pair.key, batch_, capacity_, used), stored(pair.value, batch_, capacity_, used)};
}

}  // namespace moe::nn
