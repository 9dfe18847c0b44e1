/// A digest of a tensor's values that does not depend on how they were cut into slices: equal
/// before and after resharding, or the resharding lost, moved, repeated or changed an element.
///
/// Sum modulo 2^64, over all elements, of mix(index * A + bits * B), where `index` is the element's
/// flat index in the global tensor, `bits` its stored bits zero-extended to 64, and mix a strong
/// 64-bit finaliser. A sum needs no order, so ranks digest what they hold and the parts are added.
#pragma once

#include <cstdint>

#include "tensor/slice.h"
#include "tensor/view.h"

namespace moe::checkpoint {

class TensorSource;

/// The share of `slice` in its tensor's digest. @shape data contiguous, slice.numel() elements
/// @det yes  @cost about 1 ns an element
std::uint64_t layout_digest(const Slice& slice, const View& data);

/// The digest of a whole tensor, streamed in bounded memory.
std::uint64_t layout_digest(const TensorSource& source, const std::string& name);

}  // namespace moe::checkpoint
