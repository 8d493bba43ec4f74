// Log-probabilities of given targets over all words, and their gradients, a tile of words at a time. Logits stay float
// as the products sum them; what is multiplied once more, the chances of the other words, is rounded to bf16.
//
// Words are cut into parts whatever the rows are, and what the parts found is joined in their order: a row has the same
// bits in any company and for any number of threads, and a few rows go around too.
#include <omp.h>

#include <cmath>
#include <limits>
#include <vector>

#include "panel.h"

#ifdef __AVX512BF16__
namespace affina {

constexpr int64_t WORDS = 8 * TALL;  // of a tile
constexpr int64_t MOST = 2048;       // rows whose chances are held at a time for a weight's gradient
constexpr int64_t ROWS = 288;        // that meet a tile while it is near, at most
constexpr int64_t PARTS = 16;        // of the words, at most
constexpr int64_t FEW = 192;         // rows whose parts are dealt to threads, while what they find takes
constexpr int64_t ROOM = 32 << 20;   // so many bytes at most
constexpr float NEVER = -std::numeric_limits<float>::infinity();

struct HeadCall {
    const bf16* hidden;      // [S, D]
    const void* weight;      // [V, D], rows side by side: bf16, or float to be rounded
    int64_t wide;            // whether it is float
    const int64_t* targets;  // [S]
    int64_t S, V, D;
    double scale, softcap;  // logits are products · scale; softcap 0: none
    // forward; of each position its largest logit, its target's, and Σ exp(logit - largest) over all other words
    float *largest, *target, *rest;
    float* mixed;  // [S, D] Σ exp(logit - largest) · bend · weight over them, or null
    // for backward, or null: [tiles, S, WORDS] exp(logit - mark) · bend of them, and [tiles, S] the marks
    bf16* kept;
    float* marks;
    // backward
    const float* logsumexp;  // [S]
    const bf16* pushed;      // [S, D] hidden states times the gradient of what is multiplied with the weight
    float* grad;             // [V, D] becomes -Σ chance · bend · pushed, targets left out

    int64_t blocks() const { return (D + SIDE - 1) / SIDE; }
    int64_t tiles() const { return (V + WORDS - 1) / WORDS; }
    int64_t parts() const { return std::min(PARTS, tiles()); }
};

// A tile's words: for products with rows, in panels; for sums over words, two to a word in blocks of SIDE columns.
struct Tile {
    const HeadCall& call;
    bf16* rounded;          // [PANEL, D]
    int32_t *panels, *pairs;  // [WORDS / PANEL][D / 2, PANEL], [blocks][WORDS / 2, SIDE]
    float* logits;          // [BLOCK, WORDS]
    int64_t first = 0, count = 0;

    Tile(Parts& memory, const HeadCall& given) : call(given) {
        rounded = memory.take<bf16>(given.wide ? PANEL * given.D + WIDE : 0);
        panels = memory.take<int32_t>(WORDS * (given.D / 2));
        pairs = memory.take<int32_t>(given.mixed ? WORDS / 2 * SIDE * given.blocks() : 0);
        logits = memory.take<float>(BLOCK * WORDS);
    }

    void move(int64_t to) {
        const int64_t D = call.D;
        first = to, count = std::min(WORDS, call.V - to);
        if (call.wide) {
            move((const float*)call.weight + to * D);
            return;
        }
        const bf16* from = (const bf16*)call.weight + to * D;
        for (int64_t n = 0; n < count; n += PANEL) pack_panel(from + n * D, D, count - n, D, panels + n * (D / 2));
        if (call.mixed)
            for (int64_t d = 0; d < D; d += SIDE)
                interleave(from + d, D, count, std::min(SIDE, D - d), pairs + d / SIDE * (WORDS / 2) * SIDE, SIDE);
    }

    void move(const float* from) {
        const int64_t D = call.D, whole = count / PANEL * PANEL;
        for (int64_t n = 0; n < whole; n += PANEL) pack_rounded(from + n * D, D, panels + n * (D / 2));
        if (whole < count) {
            round_rows(from + whole * D, (count - whole) * D, rounded);
            pack_panel(rounded, D, count - whole, D, panels + whole * (D / 2));
        }
        if (call.mixed) interleave_rounded<SIDE>(from, count, D, pairs, WORDS / 2 * SIDE);
    }

    // The logits of at most BLOCK rows, beyond the last word what no softmax sees.
    void multiply(int64_t row, int64_t rows) {
        const int64_t D = call.D, bytes = D * (int64_t)sizeof(bf16);
        for (int64_t n = 0; n < count; n += PANEL) {
            const auto product = count - n > WIDE ? panel<12, 2, float> : panel<16, 1, float>;
            product({(const char*)(call.hidden + row * D), bytes, panels + n * (D / 2), D / 2}, {}, rows, logits + n, WORDS, count - n);
        }
        const float scale = (float)call.scale, inner = (float)(call.scale / std::max(call.softcap, 1e-30));
        for (int64_t i = 0; i < rows; i++) {
            float* line = logits + i * WORDS;
            for (int64_t n = 0; n < count && (call.softcap || scale != 1.0f); n += WIDE)
                store(line + n, call.softcap ? hyperbolic_tangent(load(line + n) * inner) * (float)call.softcap : load(line + n) * scale);
            for (int64_t n = count; n < WORDS; n++) line[n] = NEVER;
        }
    }

    // A chance times d logit / d (scale · product); 0 stays 0 where the logit is not finite.
    floats bent(floats logit, floats chance) const {
        if (!call.softcap) return chance;
        const floats t = logit * (float)(1.0 / call.softcap);
        return (floats)((ints)(chance * (1.0f - t * t)) & (chance != 0.0f));
    }

    // The target's place in this tile, or -1.
    int64_t place(int64_t row) const {
        const int64_t local = call.targets[row] - first;
        return local >= 0 && local < count ? local : -1;
    }
};

// What logits are compared with: the largest, or 0 where all so far are -∞.
inline float level(float largest) { return largest == NEVER ? 0.0f : largest; }

// What is found of rows over some of the words; see HeadCall.
struct Found {
    float *largest, *target, *rest, *mixed;  // [rows], [rows, D]

    Found(Parts& memory, const HeadCall& call, int64_t rows) {
        for (float** one : {&largest, &target, &rest}) *one = memory.take<float>(rows);
        mixed = call.mixed ? memory.take<float>(rows * call.D) : nullptr;
    }

    explicit Found(const HeadCall& call) : largest(call.largest), target(call.target), rest(call.rest), mixed(call.mixed) {}

    Found from(int64_t row, int64_t D) const {
        Found made = *this;
        made.largest += row, made.target += row, made.rest += row;
        if (mixed) made.mixed += row * D;
        return made;
    }

    void clear(int64_t rows, int64_t D) const {
        for (int64_t t = 0; t < rows; t++) largest[t] = target[t] = NEVER, rest[t] = 0;
        if (mixed) std::memset(mixed, 0, (size_t)(rows * D) * sizeof(float));
    }

    // What was found over the words that come next. Not inlined: a row's bits are those of one way of rounding.
    __attribute__((noinline)) void join(const Found& next, int64_t rows, int64_t D) const {
        for (int64_t t = 0; t < rows; t++) {
            const float here = next.largest[t], most = here > largest[t] || here != here ? here : largest[t];
            const float before = std::exp(largest[t] - level(most)), now = std::exp(here - level(most));
            if (next.target[t] != NEVER) target[t] = next.target[t];
            largest[t] = most, rest[t] = rest[t] * before + next.rest[t] * now;
            for (int64_t d = 0; mixed && d < D; d++)
                mixed[t * D + d] = mixed[t * D + d] * before + next.mixed[t * D + d] * now;
        }
    }
};

// Rows [begin, end) over the tiles of a part.
struct HeadRows {
    Tile tile;
    Found found;
    bf16* chances;  // [BLOCK, WORDS]
    float* mixed;   // [ROWS, blocks · SIDE]

    HeadRows(Parts& memory, const HeadCall& call) : tile(memory, call), found(memory, call, ROWS) {
        chances = memory.take<bf16>(call.mixed ? BLOCK * WORDS : 0);
        mixed = memory.take<float>(call.mixed ? ROWS * call.blocks() * SIDE : 0);
    }

    // One row of logits: its maximum and sum go on; what its sums so far are multiplied by.
    float soften(int64_t row, const Found& found, float* line, bf16* into) {
        const int64_t local = tile.place(row);
        floats most = load(line);
        for (int64_t n = WIDE; n < WORDS; n += WIDE) most = larger(most, load(line + n));
        float largest = *found.largest;
        for (int i = 0; i < WIDE; i++) largest = most[i] > largest || most[i] != most[i] ? most[i] : largest;
        if (local >= 0) *found.target = line[local], line[local] = NEVER;
        const float shift = level(largest);
        floats sum{};
        for (int64_t n = 0; n < WORDS; n += WIDE) {
            const floats logit = load(line + n), chance = power_of_two((logit - shift) * LOG2_E);
            sum += chance;
            if (into) store(into + n, tile.bent(logit, chance));
        }
        const float fade = std::exp(*found.largest - shift);
        *found.rest = *found.rest * fade + added(sum);
        *found.largest = largest;
        return fade;
    }

    // What rows [begin, end) find over a part stands in `found`.
    void compute(int64_t begin, int64_t end, int64_t part) {
        const HeadCall& call = tile.call;
        const int64_t wide = call.blocks() * SIDE, tiles = call.tiles(), parts = call.parts();
        found.clear(end - begin, 0);
        if (call.mixed) std::memset(mixed, 0, (size_t)((end - begin) * wide) * sizeof(float));
        for (int64_t n = part * tiles / parts; n < (part + 1) * tiles / parts; n++) {
            tile.move(n * WORDS);
            for (int64_t t = begin; t < end; t += BLOCK) {
                const int64_t rows = std::min(BLOCK, end - t), at = n * call.S + t;
                float* sums = mixed + (t - begin) * wide;
                bf16* into = call.kept ? call.kept + at * WORDS : call.mixed ? chances : nullptr;
                tile.multiply(t, rows);
                for (int64_t i = 0; i < rows; i++) {
                    const Found own = found.from(t + i - begin, call.D);
                    const float fade = soften(t + i, own, tile.logits + i * WORDS, into ? into + i * WORDS : into);
                    if (call.kept) call.marks[at + i] = *own.largest;
                    for (int64_t d = 0; call.mixed && fade != 1.0f && d < wide; d += WIDE)
                        store(sums + i * wide + d, load(sums + i * wide + d) * fade);
                }
                for (int64_t d = 0; call.mixed && d < wide; d += SIDE)
                    every_row<Pairs, SIDE / WIDE>(
                        {(const char*)into, WORDS * (int64_t)sizeof(bf16), 4}, rows,
                        {tile.pairs + d * (WORDS / 2), SIDE}, (tile.count + 1) / 2, {sums + d, wide, true}
                    );
            }
        }
        for (int64_t t = begin; call.mixed && t < end; t++)
            std::memcpy(found.mixed + (t - begin) * call.D, mixed + (t - begin) * wide, (size_t)call.D * sizeof(float));
    }
};

// A tile of words over all rows, MOST at a time: the gradient of its weight.
struct HeadWords {
    Tile tile;
    bf16* chances;  // [rows, WORDS]
    int32_t* left;  // [WORDS / TALL][rows / 2, PANEL]

    HeadWords(Parts& memory, const HeadCall& call) : tile(memory, call) {
        const int64_t rows = std::min(MOST, call.S);
        chances = memory.take<bf16>(rows * WORDS);
        left = memory.take<int32_t>(WORDS / TALL * ((rows + 1) / 2) * PANEL);
    }

    // The chances of rows from `t` on, computed again.
    void weigh(int64_t t, int64_t rows, bf16* into) {
        const HeadCall& call = tile.call;
        tile.multiply(t, rows);
        for (int64_t i = 0; i < rows; i++) {
            float* line = tile.logits + i * WORDS;
            if (const int64_t local = tile.place(t + i); local >= 0) line[local] = NEVER;
            for (int64_t n = 0; n < WORDS; n += WIDE) {
                const floats logit = load(line + n), chance = power_of_two((logit - call.logsumexp[t + i]) * LOG2_E);
                store(into + i * WORDS + n, tile.bent(logit, chance));
            }
        }
    }

    // The same from what the forward pass kept.
    void again(int64_t t, int64_t rows) {
        const HeadCall& call = tile.call;
        const int64_t at = tile.first / WORDS * call.S + t;
        for (int64_t i = 0; i < rows; i++) {
            const float scale = std::exp(call.marks[at + i] - call.logsumexp[t + i]);
            for (int64_t n = 0; n < WORDS; n += WIDE)
                store(chances + i * WORDS + n, load(call.kept + (at + i) * WORDS + n) * scale);
        }
    }

    void compute(int64_t first, const int32_t* pushed) {
        const HeadCall& call = tile.call;
        tile.first = first, tile.count = std::min(WORDS, call.V - first);
        if (!call.kept) tile.move(first);
        for (int64_t begin = 0; begin < call.S; begin += MOST) {
            const int64_t rows = std::min(MOST, call.S - begin), pairs = (rows + 1) / 2;
            if (call.kept) again(begin, rows);
            for (int64_t t = 0; t < rows && !call.kept; t += BLOCK)
                weigh(begin + t, std::min(BLOCK, rows - t), chances + t * WORDS);
            for (int64_t n = 0; n < WORDS; n += TALL)
                interleave(chances + n, WORDS, rows, TALL, left + n / TALL * pairs * PANEL, PANEL);
            for (int64_t d = 0; d < call.D; d += SIDE)
                for (int64_t n = 0; n < tile.count; n += TALL) add(begin, pairs, n, d, pushed);
        }
    }

    // What rows from `begin` on add to the gradient of words from `n` and columns from `d` on.
    void add(int64_t begin, int64_t pairs, int64_t n, int64_t d, const int32_t* pushed) {
        const HeadCall& call = tile.call;
        const int32_t* right = pushed + (d / SIDE * ((call.S + 1) / 2) + begin / 2) * SIDE;
        const int64_t words = std::min(TALL, tile.count - n), columns = std::min(SIDE, call.D - d);
        float sums[TALL * SIDE];
        for (int64_t p = 0; p < pairs; p += PAIRS)
            every_row<Pairs, SIDE / WIDE>(
                {(const char*)(left + (n / TALL * pairs + p) * PANEL), 4, 4 * PANEL}, words, {right + p * SIDE, SIDE},
                std::min(pairs - p, PAIRS), {sums, SIDE, p > 0}
            );
        for (int64_t i = 0; i < words; i++) {
            float* to = call.grad + (tile.first + n + i) * call.D + d;
            for (int64_t j = 0; j < columns; j++) to[j] = (begin > 0 ? to[j] : 0.0f) - sums[i * SIDE + j];
        }
    }
};

// Rows of an item: all threads have as many items, of at most ROWS and whole steps of the product.
int64_t share(int64_t S) {
    const int64_t threads = omp_get_max_threads(), rounds = (S + threads * ROWS - 1) / (threads * ROWS);
    const int64_t each = (S + threads * rounds - 1) / (threads * rounds);
    return std::min(ROWS, (each + 11) / 12 * 12);
}

// A few rows, all parts of the words at once.
int forward_few(const HeadCall& call) {
    static thread_local Scratch held;
    const auto room = [&](Parts memory, std::vector<Found>& found) {
        for (int64_t n = 0; n < call.parts(); n++) found.emplace_back(memory, call, call.S);
        return memory.used;
    };
    std::vector<Found> counted, found;
    char* base = held.of(room(Parts{nullptr}, counted));
    if (base == nullptr) return 1;
    room(Parts{base}, found);
    const int failed = each_item<HeadRows>(call, call.parts(), [&](HeadRows& work, int64_t part) {
        work.compute(0, call.S, part);
        found[part].clear(call.S, call.D);
        found[part].join(work.found, call.S, call.D);
    });
    if (failed) return failed;
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < call.S; t++) {
        const Found into = Found(call).from(t, call.D);
        into.clear(1, call.D);
        for (const Found& each : found) into.join(each.from(t, call.D), 1, call.D);
    }
    return 0;
}

// Many rows, dealt to threads; each goes through all parts.
int forward_many(const HeadCall& call) {
    const int64_t each = share(call.S);
    return each_item<HeadRows>(call, (call.S + each - 1) / each, [&](HeadRows& work, int64_t n) {
        const int64_t begin = n * each, end = std::min(call.S, begin + each);
        const Found into = Found(call).from(begin, call.D);
        into.clear(end - begin, call.D);
        for (int64_t part = 0; part < call.parts(); part++) {
            work.compute(begin, end, part);
            into.join(work.found, end - begin, call.D);
        }
    });
}

}  // namespace affina

using namespace affina;

// 0, or 1 when there is no memory.
extern "C" int affina_head_forward(const HeadCall* call) {
    const int64_t bytes = call->parts() * call->S * (call->mixed ? call->D : 1) * (int64_t)sizeof(float);
    return call->S <= FEW && bytes <= ROOM ? forward_few(*call) : forward_many(*call);
}

// Bytes of what a forward pass may keep for the backward pass: [kept, marks].
extern "C" void affina_head_sizes(const HeadCall* call, int64_t* into) {
    into[0] = call->tiles() * call->S * WORDS * (int64_t)sizeof(bf16);
    into[1] = call->tiles() * call->S * (int64_t)sizeof(float);
}

extern "C" int affina_head_backward(const HeadCall* call) {
    static thread_local Scratch held;
    const int64_t pairs = (call->S + 1) / 2, blocks = call->blocks();
    int32_t* pushed = (int32_t*)held.of((size_t)(blocks * pairs * SIDE) * sizeof(int32_t));
    if (pushed == nullptr) return 1;
#pragma omp parallel for schedule(static)
    for (int64_t d = 0; d < blocks; d++)
        interleave(call->pushed + d * SIDE, call->D, call->S, std::min(SIDE, call->D - d * SIDE), pushed + d * pairs * SIDE, SIDE);
    return each_item<HeadWords>(*call, call->tiles(), [&](HeadWords& work, int64_t n) {
        work.compute(n * WORDS, pushed);
    });
}
#endif

extern "C" int affina_head() {
#ifdef __AVX512BF16__
    return 1;
#else
    return 0;  // no bf16 products on this processor
#endif
}
