#include <type_traits>

#include "kernels/attention/attention_tile.h"

namespace moe::kernels::MOE_ISA {
namespace {

/// Working memory of one span of keys. Probabilities and their gradients stand [columns, keys]: the
/// products for dk and dv read them as they stand or packed, the one for dq through a transposing pack.
template <class Mode>
struct BackwardMemory {
  using Packed = typename Mode::Packed;
  using C = typename Mode::Acc;
  /// What is packed: numbers that the product multiplies.
  using Factor = std::conditional_t<Mode::kSpan == 1, C, BFloat16>;
  Packed* k_across;  // k as panels [width, kPanel]
  Packed* v_across;  // v as panels [width, kPanel]
  Packed* k_along;   // k as panels [keys, kPanel]
  C* dk;             // [kKeys, width]
  C* dv;             // [kKeys, width]
  Packed* q_rows;    // panels [width, kMicroRows]
  Packed* do_rows;   // panels [width, kMicroRows]
  Packed* q_along;   // panels [columns, kPanel]
  Packed* do_along;  // panels [columns, kPanel]
  C* score;          // [kMicroRows, kKeys], then p before it is rounded
  C* dp;             // [kMicroRows, kKeys]
  Factor* p;         // [kColumns, kKeys]
  Factor* ds;        // [kColumns, kKeys]
  Packed* ds_rows;   // panels [keys, kMicroRows]
  Packed* along;     // p or ds packed, [packed columns, kKeys]; unused where they can be read as they stand
  C* lane_key;       // key of each lane, relative to the tile

  BackwardMemory(Pieces& pieces, std::int64_t width) {
    const std::int64_t depths = packed_depths<Mode>(width);
    const std::int64_t keys = packed_depths<Mode>(kKeys);
    const std::int64_t columns = packed_depths<Mode>(kColumns);
    const std::int64_t wide = round_up(width, kPanel<Mode>);
    k_across = pieces.take<Packed>(depths * kKeys);
    v_across = pieces.take<Packed>(depths * kKeys);
    k_along = pieces.take<Packed>(keys * wide);
    dk = pieces.take<C>(width * kKeys);
    dv = pieces.take<C>(width * kKeys);
    q_rows = pieces.take<Packed>(depths * kColumns);
    do_rows = pieces.take<Packed>(depths * kColumns);
    q_along = pieces.take<Packed>(columns * wide);
    do_along = pieces.take<Packed>(columns * wide);
    score = pieces.take<C>(kMicroRows * kKeys);
    dp = pieces.take<C>(kMicroRows * kKeys);
    p = pieces.take<Factor>(kColumns * kKeys);
    ds = pieces.take<Factor>(kColumns * kKeys);
    ds_rows = pieces.take<Packed>(keys * kMicroRows);
    along = pieces.take<Packed>(Mode::kSpan == 1 ? 0 : columns * kKeys);
    lane_key = pieces.take<C>(kKeys);
  }
};

/// One task: a span of the keys of one sequence and group, and where its share of dq is summed.
template <class C>
struct KeyTask {
  std::int64_t sequence;
  std::int64_t group;
  Span keys;
  C* dq;  // [columns of the sequence and group, width], zeroed by the task
};

template <class T>
struct Backward {
  using C = ComputeType<T>;
  using Mode = typename ModeOf<T>::type;
  using Memory = BackwardMemory<Mode>;
  using Packed = typename Memory::Packed;
  using Factor = typename Memory::Factor;
  static constexpr std::int64_t kPanelWidth = kPanel<Mode>;
  static_assert(kKeys % kPanelWidth == 0 && kColumns % kMicroRows == 0);
  static_assert(kKeys % Mode::kSpan == 0 && kColumns % Mode::kSpan == 0);

  AttentionProblem x;
  ColumnCut cut;
  Heads<const T> q;
  Heads<const T> k;
  Heads<const T> v;
  Heads<const T> o;
  Heads<const T> d_o;
  Heads<T> dq;
  Heads<T> dk;
  Heads<T> dv;
  View begin;
  View end;
  const C* logsumexp;
  C* delta;  // [tokens, heads]: sum over the width of o * do
  C scale;

  Backward(const AttentionBackward& args, const AttentionProblem& problem, C* delta_)
      : x(problem),
        cut(problem),
        q(args.q),
        k(args.k),
        v(args.v),
        o(args.o),
        d_o(args.d_o),
        dq(args.dq),
        dk(args.dk),
        dv(args.dv),
        begin(args.begin),
        end(args.end),
        logsumexp(args.logsumexp.as<const C>()),
        delta(delta_),
        scale(static_cast<C>(args.scale)) {}

  void find_delta(std::int64_t token) const {
    for (std::int64_t h = 0; h < x.heads; ++h) {
      const T* out = o.at(token, h);
      const T* d_out = d_o.at(token, h);
      delta[token * x.heads + h] =
          reduce_add(sum_vectors<C>(x.width, [=](std::int64_t j, auto lanes) {
            return load(out + j, lanes) * load(d_out + j, lanes);
          }));
    }
  }

  std::int64_t columns_of_group() const { return x.queries * x.ratio; }

  void run(const KeyTask<C>& task) const {
    const Scratch scratch(bytes_of<Memory>(x.width));
    const auto memory = memory_in<Memory>(scratch, x.width);
    for (std::int64_t i = 0; i < kKeys; ++i) memory.lane_key[i] = static_cast<C>(i);
    clear_row(task.dq, columns_of_group() * x.width);
    for (std::int64_t key = task.keys.first; key < task.keys.last; key += kKeys) {
      tile_of_keys(task, {key, task.keys.last - key < kKeys ? task.keys.last : key + kKeys},
                   memory);
    }
  }

  /// dq of one query of one head from the shares of `parts` tasks, `apart` elements apart.
  void write_dq(std::int64_t sequence, std::int64_t group, std::int64_t column, const C* share,
                std::int64_t parts, std::int64_t apart) const {
    T* out = dq.at(sequence * x.queries + column / x.ratio, group * x.ratio + column % x.ratio);
    for_vectors<C>(x.width, [=](std::int64_t j, auto lanes) {
      Vec<C> sum = load(share + j, lanes);
      for (std::int64_t part = 1; part < parts; ++part) {
        sum += load(share + part * apart + j, lanes);
      }
      store(out + j, sum, lanes);
    });
  }

 private:
  void tile_of_keys(const KeyTask<C>& task, Span tile, const Memory& memory) const {
    const std::int64_t keys = tile.last - tile.first;
    const auto across = [&](const Heads<const T>& heads) {
      return heads.keys(x, task.sequence, task.group, tile.first, true);
    };
    pack_panels<Mode, kPanelWidth>(across(k), {0, keys, 0, x.width}, memory.k_across);
    pack_panels<Mode, kPanelWidth>(across(v), {0, keys, 0, x.width}, memory.v_across);
    pack_panels<Mode, kPanelWidth>(k.keys(x, task.sequence, task.group, tile.first, false),
                                   {0, x.width, 0, keys}, memory.k_along);
    clear_row(memory.dk, keys * x.width);
    clear_row(memory.dv, keys * x.width);
    for (std::int64_t at = 0; at < cut.blocks(); ++at) {
      const ColumnBlock block = cut.block(x, task.sequence, task.group, at);
      const ColumnRanges ranges(x, block, begin, end);
      if (meet(ranges.of(0, block.count), tile).empty()) continue;
      tile_of_columns(task, tile, block, ranges, memory);
    }
    for (std::int64_t i = 0; i < keys; ++i) {
      const std::int64_t token = task.sequence * x.keys + tile.first + i;
      copy_row(memory.dk + i * x.width, dk.at(token, task.group), x.width);
      copy_row(memory.dv + i * x.width, dv.at(token, task.group), x.width);
    }
  }

  void tile_of_columns(const KeyTask<C>& task, Span tile, const ColumnBlock& block,
                       const ColumnRanges& ranges, const Memory& memory) const {
    const Block lanes{0, block.count, 0, x.width};
    const Block depths{0, x.width, 0, block.count};
    pack_panels<Mode, kMicroRows>(q.columns(x, block, true), lanes, memory.q_rows);
    pack_panels<Mode, kMicroRows>(d_o.columns(x, block, true), lanes, memory.do_rows);
    pack_panels<Mode, kPanelWidth>(q.columns(x, block, false), depths, memory.q_along);
    pack_panels<Mode, kPanelWidth>(d_o.columns(x, block, false), depths, memory.do_along);
    for (std::int64_t c = 0; c < block.count; c += kMicroRows) {
      const std::int64_t rows = block.count - c < kMicroRows ? block.count - c : kMicroRows;
      const Span seen = meet(ranges.of(c, rows), tile);
      const std::int64_t keys = tile.last - tile.first;
      across_keys(memory.q_rows, memory.k_across, scale, c, rows, seen, tile, memory.score);
      across_keys(memory.do_rows, memory.v_across, C(1), c, rows, seen, tile, memory.dp);
      for (std::int64_t i = 0; i < rows; ++i) {
        differentiate(block, c + i, ranges.range[c + i], tile, memory.score + i * kKeys,
                      memory.dp + i * kKeys, memory);
      }
      if (!seen.empty()) add_dq(task, block, c, rows, seen, tile, keys, memory);
    }
    add_along(memory.p, memory.do_along, C(1), tile, block, ranges, memory, memory.dv);
    add_along(memory.ds, memory.q_along, scale, tile, block, ranges, memory, memory.dk);
  }

  /// out[rows, keys] = factor * rows of `a` from column c on times the panels of `b` that hold `seen`.
  void across_keys(const Packed* a, const Packed* b, C factor, std::int64_t c, std::int64_t rows,
                   Span seen, Span tile, C* out) const {
    if (seen.empty()) return;
    MicroArgs<Mode> args{};
    args.depth = packed_depths<Mode>(x.width);
    args.a = a + c * args.depth;
    args.a_stride = kMicroRows;
    args.b_stride = kPanelWidth;
    args.c_stride = kKeys;
    args.columns = kPanelWidth;
    args.alpha = factor;
    args.beta = 0;
    std::int64_t j = (seen.first - tile.first) / kPanelWidth * kPanelWidth;
    for (; j < seen.last - tile.first; j += kPanelWidth) {
      args.b = b + j * args.depth;
      args.c = out + j;
      run_micro<Mode>(rows, args);
    }
  }

  /// One column: p = e^(score - logsumexp), ds = p (dp - delta); zeros where the column sees nothing.
  /// `score` and `dp` [kKeys] are overwritten.
  ///
  /// Where the tile has all keys of the column, delta is the mean of the very dp that it is taken from. What
  /// cancels in exact arithmetic then cancels here (a column with one key has ds = 0), while o * do, summed in
  /// another order, would leave rounding errors larger than the gradients of short sequences.
  void differentiate(const ColumnBlock& block, std::int64_t c, Span range, Span tile, C* score, C* dp,
                     const Memory& memory) const {
    Factor* p = memory.p + c * kKeys;
    Factor* ds = memory.ds + c * kKeys;
    const Span seen = meet(range, tile);
    if (seen.empty()) {
      clear_row(p, kKeys);
      clear_row(ds, kKeys);
      return;
    }
    const std::int64_t at = block.token(x, c) * x.heads + block.head(x, c);
    const Span lanes{(seen.first - tile.first) / kLanes<C> * kLanes<C>,
                     round_up(seen.last - tile.first, kLanes<C>)};
    clear_row(p, lanes.first);
    clear_row(ds, lanes.first);
    clear_row(p + lanes.last, kKeys - lanes.last);
    clear_row(ds + lanes.last, kKeys - lanes.last);
    const Vec<C> base = broadcast(logsumexp[at]);
    const Vec<C> first = broadcast(static_cast<C>(seen.first - tile.first));
    const Vec<C> last = broadcast(static_cast<C>(seen.last - tile.first));
    Vec<C> mass = zero<C>();
    Vec<C> pulled = zero<C>();
    for (std::int64_t j = lanes.first; j < lanes.last; j += kLanes<C>) {
      const Vec<C> key = load(memory.lane_key + j);
      const auto inside = (first <= key) & (key < last);
      const Vec<C> probability = select(inside, exp(load(score + j) - base), zero<C>());
      const Vec<C> d_probability = select(inside, load(dp + j), zero<C>());
      store(score + j, probability);
      store(p + j, probability);
      store(dp + j, d_probability);
      mass += probability;
      pulled += probability * d_probability;
    }
    const bool whole = tile.first <= range.first && range.last <= tile.last;
    const Vec<C> pull = broadcast(whole ? reduce_add(pulled) / reduce_add(mass) : delta[at]);
    for (std::int64_t j = lanes.first; j < lanes.last; j += kLanes<C>) {
      // Lanes without a key have p = 0.
      store(ds + j, load(score + j) * (load(dp + j) - pull));
    }
  }

  /// dq of a few columns += scale * ds k.
  void add_dq(const KeyTask<C>& task, const ColumnBlock& block, std::int64_t c, std::int64_t rows,
              Span seen, Span tile, std::int64_t keys, const Memory& memory) const {
    const Span packed = packed_span<Mode>({seen.first - tile.first, seen.last - tile.first});
    const Operand<Factor> ds{memory.ds + c * kKeys, kKeys, true, nullptr, 1, 0};
    MicroArgs<Mode> args{};
    args.depth = packed.last - packed.first;
    pack_panels<Mode, kMicroRows>(
        ds, {0, rows, packed.first * Mode::kSpan, args.depth * Mode::kSpan}, memory.ds_rows);
    args.a = memory.ds_rows;
    args.a_stride = kMicroRows;
    args.b_stride = kPanelWidth;
    args.alpha = scale;
    args.beta = 1;
    // Rows of dq stand as the columns of the whole group do: heads within queries.
    const bool whole = block.heads == x.ratio;
    args.c_stride = x.width;
    const std::int64_t base = block.first_query * x.ratio + block.first_head;
    for (std::int64_t j = 0; j < x.width; j += kPanelWidth) {
      args.b = memory.k_along + j * packed_depths<Mode>(keys) + packed.first * kPanelWidth;
      args.columns = x.width - j < kPanelWidth ? x.width - j : kPanelWidth;
      if (whole) {
        args.c = task.dq + (base + c) * x.width + j;
        run_micro<Mode>(rows, args);
        continue;
      }
      for (std::int64_t i = 0; i < rows; ++i) {  // more heads than columns: one row at a time
        MicroArgs<Mode> one = args;
        one.a = args.a + i;
        const std::int64_t row = base + (c + i) / block.heads * x.ratio + (c + i) % block.heads;
        one.c = task.dq + row * x.width + j;
        run_micro<Mode>(1, one);
      }
    }
  }

  /// m [columns, keys] as packed columns by keys, kKeys apart.
  const Packed* columns_packed(const Factor* m, std::int64_t columns, std::int64_t keys,
                               const Memory& memory) const {
    if constexpr (Mode::kSpan == 1) {
      return m;
    } else {
      copy_panels<Mode, kKeys>(Operand<Factor>{m, kKeys, false, nullptr, 1, 0}, {0, keys, 0, columns},
                               memory.along);
      return memory.along;
    }
  }

  /// out[keys, width] += factor * transpose of m [columns, keys] times the panels of `b`, over the
  /// columns that see a key of each group of kMicroRows.
  void add_along(const Factor* m, const Packed* b, C factor, Span tile, const ColumnBlock& block,
                 const ColumnRanges& ranges, const Memory& memory, C* out) const {
    const std::int64_t keys = tile.last - tile.first;
    const Packed* a = columns_packed(m, block.count, keys, memory);
    MicroArgs<Mode> args{};
    args.a_stride = kKeys;
    args.b_stride = kPanelWidth;
    args.c_stride = x.width;
    args.alpha = factor;
    args.beta = 1;
    for (std::int64_t i = 0; i < keys; i += kMicroRows) {
      const std::int64_t rows = keys - i < kMicroRows ? keys - i : kMicroRows;
      const Span here{tile.first + i, tile.first + i + rows};
      Span columns{0, block.count};
      while (!columns.empty() && meet(ranges.range[columns.first], here).empty()) ++columns.first;
      while (!columns.empty() && meet(ranges.range[columns.last - 1], here).empty()) --columns.last;
      if (columns.empty()) continue;
      const Span packed = packed_span<Mode>(columns);
      args.depth = packed.last - packed.first;
      args.a = a + packed.first * kKeys + i;
      for (std::int64_t j = 0; j < x.width; j += kPanelWidth) {
        args.b = b + j * packed_depths<Mode>(block.count) + packed.first * kPanelWidth;
        args.c = out + i * x.width + j;
        args.columns = x.width - j < kPanelWidth ? x.width - j : kPanelWidth;
        run_micro<Mode>(rows, args);
      }
    }
  }
};

/// Spans the keys of a sequence and group are cut into: a function of the shape alone, since it
/// decides in what order dq is summed. Enough tasks for many threads, as few dq shares as possible.
MOE_INLINE std::int64_t key_parts(const AttentionProblem& x) {
  constexpr std::int64_t kTasks = 16;
  const std::int64_t groups = x.batch * x.groups;
  const std::int64_t wanted = groups < 1 ? 1 : (kTasks + groups - 1) / groups;
  const std::int64_t most = (x.keys + kKeys - 1) / kKeys;
  return most < 1 ? 1 : wanted < most ? wanted : most;
}

template <class T>
void run(const Stream& stream, const AttentionBackward& args) {
  using C = ComputeType<T>;
  const AttentionProblem x = attention_problem(args);
  constexpr auto kBytes = static_cast<std::int64_t>(sizeof(C));
  const std::int64_t tokens = x.batch * x.queries;
  const std::int64_t groups = x.batch * x.groups;
  const std::int64_t parts = key_parts(x);
  const std::int64_t share = x.queries * x.ratio * x.width;
  const Scratch scratch((tokens * x.heads + groups * parts * share) * kBytes);
  C* delta = scratch.as<C>();
  C* shares = delta + tokens * x.heads;
  const Backward<T> backward(args, x, delta);
  parallel_rows(stream, tokens, x.heads * x.width, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t t = first; t < last; ++t) backward.find_delta(t);
  });
  const std::int64_t span = round_up((x.keys + parts - 1) / parts, kKeys);
  parallel(stream, groups * parts, 1, [&](std::int64_t at, std::int64_t) {
    const std::int64_t first = at % parts * span;
    const std::int64_t last = first + span < x.keys ? first + span : x.keys;
    backward.run({at / parts / x.groups, at / parts % x.groups, {first, last},
                  shares + at * share});
  });
  const std::int64_t columns = x.queries * x.ratio;
  parallel_rows(stream, groups * columns, x.width, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      const std::int64_t group = i / columns;
      backward.write_dq(group / x.groups, group % x.groups, i % columns,
                        shares + group * parts * share + i % columns * x.width, parts,
                        share);
    }
  });
}

}  // namespace

void attention_backward(Stream& stream, const AttentionBackward& args) {
  with_type("attention_backward", "q", args.q.dtype,
            [&]<class T>(Type<T>) { run<T>(stream, args); });
}

}  // namespace moe::kernels::MOE_ISA
