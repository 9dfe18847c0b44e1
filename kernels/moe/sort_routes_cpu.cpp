#include "kernels/moe/sort_routes.h"

#include "kernels/common/dispatch.h"
#include "kernels/moe/admission.h"

namespace moe::kernels::MOE_ISA {
namespace {

/// Routes per block: each block counts for itself, so that blocks can be counted and placed at
/// once.
constexpr std::int64_t kBlock = 8192;

void count_block(const std::int32_t* expert, std::int64_t begin, std::int64_t end,
                 std::int64_t experts, std::int32_t* count) {
  clear_row(count, experts);
  for (std::int64_t i = begin; i < end; ++i) {
    if (expert[i] < -1 || expert[i] >= experts) {
      throw_index("sort_routes", "expert", i, expert[i], experts);
    }
    if (expert[i] >= 0) ++count[expert[i]];
  }
}

/// Turns counts [blocks, experts] into first rows, in the order (expert, block); fills offset.
void place_blocks(std::int32_t* count, std::int64_t blocks, std::int64_t experts,
                  std::int32_t* offset) {
  std::int32_t total = 0;
  for (std::int64_t e = 0; e < experts; ++e) {
    offset[e] = total;
    for (std::int64_t b = 0; b < blocks; ++b) {
      const std::int32_t here = count[b * experts + e];
      count[b * experts + e] = total;
      total += here;
    }
  }
  offset[experts] = total;
}

template <class C>
void limit_by_weight(const LimitCapacity& args, std::int64_t routes) {
  admit_by_weight(args.expert.as<std::int32_t>(), args.weight.as<const C>(), routes, args.capacity);
}

/// All first choices in token order, then all second choices, and so on.
void limit_by_choice(std::int32_t* expert, std::int64_t tokens, std::int64_t choices,
                     std::int64_t experts, std::int64_t capacity) {
  const Scratch scratch(experts * static_cast<std::int64_t>(sizeof(std::int64_t)));
  auto* taken = scratch.as<std::int64_t>();
  clear_row(taken, experts);
  for (std::int64_t k = 0; k < choices; ++k) {
    for (std::int64_t t = 0; t < tokens; ++t) {
      std::int32_t& chosen = expert[t * choices + k];
      if (chosen < 0) continue;
      if (chosen >= experts) {
        throw_index("limit_capacity", "expert", t * choices + k, chosen, experts);
      }
      if (taken[chosen]++ >= capacity) chosen = -1;
    }
  }
}

}  // namespace

void sort_routes(Stream& stream, const SortRoutes& args) {
  const char* kernel = "sort_routes";
  for (const View* view : {&args.expert, &args.offset, &args.route, &args.row}) {
    expect_dtype(kernel, "argument", *view, DType::I32);
  }
  const std::int64_t routes = flat(kernel, "expert", args.expert);
  const std::int64_t experts = flat(kernel, "offset", args.offset) - 1;
  expect_flat(kernel, "route", args.route, routes);
  expect_flat(kernel, "row", args.row, routes);
  const auto* expert = args.expert.as<const std::int32_t>();
  auto* route = args.route.as<std::int32_t>();
  auto* row = args.row.as<std::int32_t>();

  const std::int64_t blocks = (routes + kBlock - 1) / kBlock;
  const Scratch scratch(blocks * experts * static_cast<std::int64_t>(sizeof(std::int32_t)));
  auto* count = scratch.as<std::int32_t>();
  parallel(stream, routes, kBlock, [=](std::int64_t begin, std::int64_t end) {
    count_block(expert, begin, end, experts, count + begin / kBlock * experts);
  });
  place_blocks(count, blocks, experts, args.offset.as<std::int32_t>());
  parallel(stream, routes, kBlock, [=](std::int64_t begin, std::int64_t end) {
    std::int32_t* next = count + begin / kBlock * experts;
    for (std::int64_t i = begin; i < end; ++i) {
      row[i] = expert[i] < 0 ? -1 : next[expert[i]]++;
      if (row[i] >= 0) route[row[i]] = static_cast<std::int32_t>(i);
    }
  });
}

void limit_capacity(Stream&, const LimitCapacity& args) {
  const char* kernel = "limit_capacity";
  expect_dtype(kernel, "expert", args.expert, DType::I32);
  const RowLayout layout = rows_of(kernel, "expert", args.expert);
  const std::int64_t routes = flat(kernel, "expert", args.expert);
  if (!args.by_weight) {
    return limit_by_choice(args.expert.as<std::int32_t>(), layout.rows, layout.columns,
                           args.experts, args.capacity);
  }
  expect_flat(kernel, "weight", args.weight, routes);
  with_compute_type(kernel, "weight", args.weight.dtype,
                    [&]<class C>(Type<C>) { limit_by_weight<C>(args, routes); });
}

}  // namespace moe::kernels::MOE_ISA
