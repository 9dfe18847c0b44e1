#include "kernels/attention/attention.h"

#include "kernels/attention/attention_tile.h"

namespace moe::kernels::MOE_ISA {
namespace {

/// Working memory of one block of columns. Scores and probabilities stand [keys, columns]: softmax
/// runs down the columns without sums across lanes, and the product with v reads them as they stand.
template <class Mode>
struct ForwardMemory {
  using Packed = typename Mode::Packed;
  using C = typename Mode::Acc;
  Packed* q;       // panels [width, kPanel]
  Packed* k;       // panels [width, kMicroRows]
  Packed* v;       // panels [keys, kPanel]
  C* score;        // [kKeys, kColumns]
  Packed* p;       // e^(score - maximum), [packed keys, kColumns]; in place of the scores if it can be
  C* across;       // [kMicroRows, kKeys], scores of few columns
  C* sum;          // o before its division, [kColumns, width]
  C* first;        // per column: first key, last key, running maximum and denominator, and what
  C* last;         // earlier sums are multiplied by
  C* maximum;
  C* denominator;
  C* factor;

  ForwardMemory(Pieces& pieces, std::int64_t width) {
    const std::int64_t depths = packed_depths<Mode>(width);
    q = pieces.take<Packed>(depths * kColumns);
    k = pieces.take<Packed>(depths * kKeys);
    v = pieces.take<Packed>(packed_depths<Mode>(kKeys) * round_up(width, kPanel<Mode>));
    score = pieces.take<C>(kKeys * kColumns);
    if constexpr (Mode::kSpan == 1) {
      p = score;
    } else {
      p = pieces.take<Packed>(packed_depths<Mode>(kKeys) * kColumns);
    }
    across = pieces.take<C>(kMicroRows * kKeys);
    sum = pieces.take<C>(kColumns * width);
    first = pieces.take<C>(kColumns);
    last = pieces.take<C>(kColumns);
    maximum = pieces.take<C>(kColumns);
    denominator = pieces.take<C>(kColumns);
    factor = pieces.take<C>(kColumns);
  }
};

template <class T>
struct Forward {
  using C = ComputeType<T>;
  using Mode = typename ModeOf<T>::type;
  using Memory = ForwardMemory<Mode>;
  static constexpr std::int64_t kPanelWidth = kPanel<Mode>;
  static_assert(kColumns % kPanelWidth == 0 && kKeys % kPanelWidth == 0);
  static_assert(kKeys % Mode::kSpan == 0);

  AttentionProblem x;
  Heads<const T> q;
  Heads<const T> k;
  Heads<const T> v;
  Heads<T> o;
  View begin;
  View end;
  C* logsumexp;
  C scale;

  explicit Forward(const Attention& args)
      : x(attention_problem(args)),
        q(args.q),
        k(args.k),
        v(args.v),
        o(args.o),
        begin(args.begin),
        end(args.end),
        logsumexp(args.logsumexp.as<C>()),
        scale(static_cast<C>(args.scale)) {}

  void block(const ColumnBlock& columns) const {
    const Scratch scratch(bytes_of<Memory>(x.width));
    const auto memory = memory_in<Memory>(scratch, x.width);
    const ColumnRanges ranges(x, columns, begin, end);
    start(columns, ranges, memory);
    const Span all = ranges.of(0, columns.count);
    for (std::int64_t key = all.first / kKeys * kKeys; key < all.last; key += kKeys) {
      const Span tile{key, all.last - key < kKeys ? all.last : key + kKeys};
      if (meet(tile, all).empty()) continue;
      pack_panels<Mode, kPanelWidth>(v.keys(x, columns.sequence, columns.group, key, false),
                                     {0, x.width, 0, tile.last - key}, memory.v);
      if (few(columns)) {
        few_scores(tile, columns, memory);
        softmax(tile, 0, ranges, memory);
      } else {
        pack_panels<Mode, kMicroRows>(k.keys(x, columns.sequence, columns.group, key, true),
                                      {0, tile.last - key, 0, x.width}, memory.k);
        for (std::int64_t c = 0; c < columns.count; c += kPanelWidth) {
          scores(tile, c, meet(ranges.of(c, kPanelWidth), tile), memory);
          softmax(tile, c, ranges, memory);
        }
      }
      for (std::int64_t c = 0; c < columns.count; c += kMicroRows) {
        const std::int64_t rows = columns.count - c < kMicroRows ? columns.count - c : kMicroRows;
        accumulate(tile, c, rows, meet(ranges.of(c, rows), tile), memory);
      }
    }
    finish(columns, memory);
  }

 private:
  void start(const ColumnBlock& columns, const ColumnRanges& ranges,
             const Memory& memory) const {
    const Block all{0, columns.count, 0, x.width};
    if (few(columns)) {
      pack_panels<Mode, kMicroRows>(q.columns(x, columns, true), all, memory.q);
      clear_row(memory.score, kKeys * kColumns);  // lanes without a column stay zero
    } else {
      pack_panels<Mode, kPanelWidth>(q.columns(x, columns, true), all, memory.q);
    }
    clear_row(memory.sum, columns.count * x.width);
    for (std::int64_t c = 0; c < kColumns; ++c) {
      memory.first[c] = static_cast<C>(ranges.range[c].first);
      memory.last[c] = static_cast<C>(ranges.range[c].last);
      memory.maximum[c] = -static_cast<C>(__builtin_inf());
      memory.denominator[c] = 0;
      memory.factor[c] = 1;
    }
  }

  /// When decoding, keys fill the registers, not columns. Each score is summed in the same order
  /// either way.
  static bool few(const ColumnBlock& columns) { return columns.count <= kMicroRows; }

  void few_scores(Span tile, const ColumnBlock& columns, const Memory& memory) const {
    const std::int64_t keys = tile.last - tile.first;
    pack_panels<Mode, kPanelWidth>(k.keys(x, columns.sequence, columns.group, tile.first, true),
                                   {0, keys, 0, x.width}, memory.k);
    MicroArgs<Mode> args{};
    args.depth = packed_depths<Mode>(x.width);
    args.a = memory.q;
    args.a_stride = kMicroRows;
    args.b_stride = kPanelWidth;
    args.c_stride = kKeys;
    args.alpha = scale;
    args.beta = 0;
    for (std::int64_t j = 0; j < keys; j += kPanelWidth) {
      args.b = memory.k + j * args.depth;
      args.c = memory.across + j;
      args.columns = keys - j < kPanelWidth ? keys - j : kPanelWidth;
      run_micro<Mode>(columns.count, args);
    }
    for (std::int64_t i = 0; i < keys; ++i) {
      for (std::int64_t c = 0; c < columns.count; ++c) {
        memory.score[i * kColumns + c] = memory.across[c * kKeys + i];
      }
    }
  }

  /// Scores of one panel of columns with the keys of `seen`, in whole groups of kMicroRows keys.
  void scores(Span tile, std::int64_t c, Span seen, const Memory& memory) const {
    MicroArgs<Mode> args{};
    args.depth = packed_depths<Mode>(x.width);
    args.a_stride = kMicroRows;
    args.b = memory.q + c * args.depth;
    args.b_stride = kPanelWidth;
    args.c_stride = kColumns;
    args.columns = kPanelWidth;
    args.alpha = scale;
    args.beta = 0;
    const std::int64_t keys = tile.last - tile.first;
    std::int64_t i = (seen.first - tile.first) / kMicroRows * kMicroRows;
    for (; i < seen.last - tile.first; i += kMicroRows) {
      args.a = memory.k + i * args.depth;
      args.c = memory.score + i * kColumns + c;
      run_micro<Mode>(keys - i, args);
    }
  }

  void softmax(Span tile, std::int64_t panel, const ColumnRanges& ranges,
               const Memory& memory) const {
    for (std::int64_t c = panel; c < panel + kPanelWidth; c += kLanes<C>) {
      const Span some = meet(ranges.of(c, kLanes<C>), tile);
      if (some.empty()) {
        store(memory.factor + c, broadcast(C(1)));
        continue;
      }
      const Span seen = whole_packed<Mode>(some);  // keys added by this are masked
      bool whole = true;
      for (std::int64_t i = c; i < c + kLanes<C>; ++i) {
        whole = whole && ranges.range[i].first <= seen.first && seen.last <= ranges.range[i].last;
      }
      const std::int64_t skipped = seen.first - tile.first;
      C* score = memory.score + skipped * kColumns + c;
      if (!whole) mask(score, seen, c, memory);
      exponentials(score, seen.last - seen.first, c, memory,
                   memory.p + skipped / Mode::kSpan * kColumns + c);
    }
  }

  MOE_INLINE void mask(C* score, Span seen, std::int64_t c, const Memory& memory) const {
    const Vec<C> first = load(memory.first + c);
    const Vec<C> last = load(memory.last + c);
    const Vec<C> hidden = broadcast(-static_cast<C>(__builtin_inf()));
    for (std::int64_t key = seen.first; key < seen.last; ++key, score += kColumns) {
      const Vec<C> at = broadcast(static_cast<C>(key));
      store(score, select((first <= at) & (at < last), load(score), hidden));
    }
  }

  /// One register of columns: p = e^(score - maximum), of whole packed elements.
  MOE_INLINE void exponentials(const C* score, std::int64_t keys, std::int64_t c,
                               const Memory& memory, typename Mode::Packed* packed) const {
    const Vec<C> before = load(memory.maximum + c);
    Vec<C> top = before;
    for (std::int64_t i = 0; i < keys; ++i) top = max(top, load(score + i * kColumns));
    const Vec<C> none = broadcast(-static_cast<C>(__builtin_inf()));
    const Vec<C> base = select(top == none, zero<C>(), top);
    Vec<C> sum = zero<C>();
    for (std::int64_t i = 0; i < keys; i += Mode::kSpan) {
      Vec<C> p[Mode::kSpan];
      for (int half = 0; half < Mode::kSpan; ++half) {
        p[half] = exp(load(score + (i + half) * kColumns) - base);
        sum += p[half];
      }
      Mode::store_packed(packed + i / Mode::kSpan * kColumns, p);
    }
    const Vec<C> factor = exp(before - base);
    store(memory.denominator + c, fma(load(memory.denominator + c), factor, sum));
    store(memory.maximum + c, top);
    store(memory.factor + c, factor);
  }

  /// sum = factor * sum + p v for a few columns.
  void accumulate(Span tile, std::int64_t c, std::int64_t rows, Span seen,
                  const Memory& memory) const {
    if (seen.empty()) return;
    for (std::int64_t i = c; i < c + rows; ++i) {
      const Vec<C> factor = broadcast(memory.factor[i]);
      C* row = memory.sum + i * x.width;
      if (memory.factor[i] == 1) continue;
      for_vectors<C>(x.width, [=](std::int64_t j, auto lanes) {
        store(row + j, load(row + j, lanes) * factor, lanes);
      });
    }
    const Span packed = packed_span<Mode>({seen.first - tile.first, seen.last - tile.first});
    MicroArgs<Mode> args{};
    args.depth = packed.last - packed.first;
    args.a = memory.p + packed.first * kColumns + c;
    args.a_stride = kColumns;
    args.b_stride = kPanelWidth;
    args.c_stride = x.width;
    args.alpha = 1;
    args.beta = 1;
    for (std::int64_t j = 0; j < x.width; j += kPanelWidth) {
      args.b = memory.v + j * packed_depths<Mode>(tile.last - tile.first) + packed.first * kPanelWidth;
      args.c = memory.sum + c * x.width + j;
      args.columns = x.width - j < kPanelWidth ? x.width - j : kPanelWidth;
      run_micro<Mode>(rows, args);
    }
  }

  void finish(const ColumnBlock& columns, const Memory& memory) const {
    for (std::int64_t c = 0; c < columns.count; ++c) {
      const C denominator = memory.denominator[c];
      const Vec<C> inverse = broadcast(denominator == 0 ? C(0) : C(1) / denominator);
      const C* sum = memory.sum + c * x.width;
      T* out = o.column(x, columns, c);
      for_vectors<C>(x.width, [=](std::int64_t j, auto lanes) {
        store(out + j, load(sum + j, lanes) * inverse, lanes);
      });
      logsumexp[columns.token(x, c) * x.heads + columns.head(x, c)] =
          memory.maximum[c] + log(denominator);
    }
  }
};

template <class T>
void run(const Stream& stream, const Attention& args) {
  const Forward<T> forward(args);
  const AttentionProblem& x = forward.x;
  const ColumnCut cut(x);
  const std::int64_t heads = x.batch * x.groups;
  const std::int64_t blocks = cut.blocks();
  parallel(stream, heads * blocks, 1, [&](std::int64_t at, std::int64_t) {
    // Late queries see most keys: they come first.
    const std::int64_t head = at % heads;
    forward.block(cut.block(x, head / x.groups, head % x.groups, blocks - 1 - at / heads));
  });
}

}  // namespace

void attention(Stream& stream, const Attention& args) {
  with_type("attention", "q", args.q.dtype, [&]<class T>(Type<T>) { run<T>(stream, args); });
}

}  // namespace moe::kernels::MOE_ISA
