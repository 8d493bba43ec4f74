// Log-probabilities of given targets over all words, and their gradients, a tile of words at a time. Logits stay float
// as the products sum them; what is multiplied once more, the chances of the other words, is rounded to bf16.
//
// Every number is computed in an order that does not depend on how rows are dealt: the same bits for any number of
// threads.
#include <omp.h>

#include <cmath>
#include <limits>

#include "panel.h"

#ifdef __AVX512BF16__
namespace affina {

constexpr int64_t WORDS = 8 * TALL;  // of a tile
constexpr int64_t MOST = 2048;       // rows whose chances are held at a time for a weight's gradient
constexpr int64_t ROWS = 288;        // that meet a tile while it is near, at most
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
};

// A tile's words: for products with rows, in panels; for sums over words, two to a word in blocks of SIDE columns.
struct Tile {
    const HeadCall& call;
    bf16* rounded;          // [WORDS, D]
    int32_t *panels, *pairs;  // [WORDS / PANEL][D / 2, PANEL], [blocks][WORDS / 2, SIDE]
    float* logits;          // [BLOCK, WORDS]
    int64_t first = 0, count = 0;

    Tile(Parts& memory, const HeadCall& given) : call(given) {
        rounded = memory.take<bf16>(given.wide ? WORDS * given.D + WIDE : 0);
        panels = memory.take<int32_t>(WORDS * (given.D / 2));
        pairs = memory.take<int32_t>(given.mixed ? WORDS / 2 * SIDE * given.blocks() : 0);
        logits = memory.take<float>(BLOCK * WORDS);
    }

    void move(int64_t to) {
        const int64_t D = call.D;
        first = to, count = std::min(WORDS, call.V - to);
        const bf16* from = (const bf16*)call.weight + to * D;
        if (call.wide) {
            round_rows((const float*)call.weight + to * D, count * D, rounded);
            from = rounded;
        }
        for (int64_t n = 0; n < count; n += PANEL) pack_panel(from + n * D, D, count - n, D, panels + n * (D / 2));
        if (call.mixed)
            for (int64_t d = 0; d < D; d += SIDE)
                interleave(from + d, D, count, std::min(SIDE, D - d), pairs + d / SIDE * (WORDS / 2) * SIDE, SIDE);
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

// Rows [begin, end) over all words.
struct HeadRows {
    Tile tile;
    bf16* chances;  // [BLOCK, WORDS]
    float* mixed;   // [ROWS, blocks · SIDE]

    HeadRows(Parts& memory, const HeadCall& call) : tile(memory, call) {
        chances = memory.take<bf16>(call.mixed ? BLOCK * WORDS : 0);
        mixed = memory.take<float>(call.mixed ? ROWS * call.blocks() * SIDE : 0);
    }

    // One row of logits: its maximum and sum go on; what its sums so far are multiplied by.
    float soften(int64_t row, float* line, bf16* into) {
        const HeadCall& call = tile.call;
        const int64_t local = tile.place(row);
        floats most = load(line);
        for (int64_t n = WIDE; n < WORDS; n += WIDE) most = larger(most, load(line + n));
        float largest = call.largest[row];
        for (int i = 0; i < WIDE; i++) largest = most[i] > largest || most[i] != most[i] ? most[i] : largest;
        if (local >= 0) call.target[row] = line[local], line[local] = NEVER;
        floats sum{};
        for (int64_t n = 0; n < WORDS; n += WIDE) {
            const floats logit = load(line + n), chance = power_of_two((logit - largest) * LOG2_E);
            sum += chance;
            if (into) store(into + n, tile.bent(logit, chance));
        }
        const float fade = std::exp(call.largest[row] - largest);
        call.rest[row] = call.rest[row] * fade + added(sum);
        call.largest[row] = largest;
        return fade;
    }

    void compute(int64_t begin, int64_t end) {
        const HeadCall& call = tile.call;
        const int64_t wide = call.blocks() * SIDE;
        for (int64_t t = begin; t < end; t++) call.largest[t] = call.target[t] = NEVER, call.rest[t] = 0;
        if (call.mixed) std::memset(mixed, 0, (size_t)((end - begin) * wide) * sizeof(float));
        for (int64_t first = 0; first < call.V; first += WORDS) {
            tile.move(first);
            for (int64_t t = begin; t < end; t += BLOCK) {
                const int64_t rows = std::min(BLOCK, end - t), at = first / WORDS * call.S + t;
                float* sums = mixed + (t - begin) * wide;
                bf16* into = call.kept ? call.kept + at * WORDS : call.mixed ? chances : nullptr;
                tile.multiply(t, rows);
                for (int64_t i = 0; i < rows; i++) {
                    const float fade = soften(t + i, tile.logits + i * WORDS, into ? into + i * WORDS : into);
                    if (call.kept) call.marks[at + i] = call.largest[t + i];
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
            std::memcpy(call.mixed + t * call.D, mixed + (t - begin) * wide, (size_t)call.D * sizeof(float));
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

}  // namespace affina

using namespace affina;

// 0, or 1 when there is no memory.
extern "C" int affina_head_forward(const HeadCall* call) {
    const int64_t each = share(call->S);
    return each_item<HeadRows>(*call, (call->S + each - 1) / each, [&](HeadRows& work, int64_t n) {
        work.compute(n * each, std::min(call->S, (n + 1) * each));
    });
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
