#include "comm/require.h"

#include <span>

#include "base/error.h"
#include "base/format.h"
#include "comm/local_reduce.h"

namespace moe::comm {
namespace {

std::string describe_view(const View& view) {
  return format("{} {}",
                format_shape(std::span(view.dims).first(static_cast<std::size_t>(view.rank))),
                to_string(view.dtype));
}

}  // namespace

void require_contiguous(const char* operation, const char* name, const View& view) {
  if (view.is_contiguous()) return;
  throw ShapeError(
      format("[{}] {}: expected contiguous memory, got {} with strides {}", operation, name,
             describe_view(view),
             format_shape(std::span(view.strides).first(static_cast<std::size_t>(view.rank)))));
}

void require_reducible(const char* operation, const View& view) {
  if (is_reducible(view.dtype)) return;
  throw DTypeError(format("[{}] buffer: expected f32, f64, i32 or i64, got {}. HINT: reduce in f32",
                          operation, describe_view(view)));
}

void require_same_dtype(const char* operation, const View& a, const View& b) {
  if (a.dtype == b.dtype) return;
  throw DTypeError(format("[{}] both buffers: expected one element type, got {} and {}", operation,
                          describe_view(a), describe_view(b)));
}

void require_numel(const char* operation, const char* name, const View& view, std::int64_t numel) {
  if (view.numel() == numel) return;
  throw ShapeError(
      format("[{}] {}: expected {} elements, got {}", operation, name, numel, describe_view(view)));
}

}  // namespace moe::comm
