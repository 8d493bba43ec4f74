// One layer of attention over a forest: where its lanes, rows and columns stand, as words of small products.
#pragma once
#include <cmath>

#include "dropped.h"
#include "forest.h"
#include "tile.h"

namespace affina {
namespace {

constexpr float LOWEST = -1e30f;
constexpr int64_t SOON = 16;  // rows

inline int64_t rounded(int64_t n) { return (n + WIDE - 1) / WIDE * WIDE; }

inline void copy(const float* from, float* to) { store(to, load(from)); }
inline void copy(const bf16* from, bf16* to) { std::memcpy(to, from, WIDE * sizeof(bf16)); }
inline void copy(const bf16* from, float* to) { store(to, load(from)); }
inline void put(float from, float* to) { *to = from; }
inline void put(bf16 from, bf16* to) { *to = from; }
inline void put(bf16 from, float* to) { *to = scalar(&from); }

template <class Storage>
struct Layer {
    using Mode = typename ModeOf<Storage>::Type;
    using Element = typename Mode::Element;
    static constexpr bool CONVERTED = sizeof(Element) != sizeof(Storage);

    const Call& call;
    const Forest& forest;
    int64_t ratio = call.heads / call.groups, words = call.width / Mode::STEP, broad = rounded(call.width);
    Tensor k = call.k, v = call.v;      // as elements
    Tensor wide_v = call.v;             // as elements of wide products
    const int32_t* pairs = nullptr;     // [groups, pairs, width] of k or v, two keys to a word

    const Storage* lane(const Tensor& tensor, const Lanes& lanes, int64_t group, int64_t l) const {
        const int64_t at = lanes.first + l;
        const int64_t token = forest.segments[lanes.segment].start + at / ratio;
        return (const Storage*)tensor.of(token, group * ratio + at % ratio);
    }

    int64_t depth(const Lanes& lanes, int64_t l) const {
        return forest.segments[lanes.segment].depth + (lanes.first + l) / ratio;
    }

    // What stands for a lane, and for a block's keys, where weights are dropped: by places in T and the head alone.
    uint32_t code_of(const Lanes& lanes, int64_t group, int64_t l) const {
        const int64_t at = lanes.first + l, head = group * ratio + at % ratio;
        return code(call.seed, head * call.tokens + forest.segments[lanes.segment].start + at / ratio);
    }

    void codes_of(const Block& block, uint32_t* into) const {
        for (int64_t n = 0; n < block.keys && call.threshold; n++)
            into[n] = code(call.seed, call.heads * call.tokens + block.start + n);
    }

    // Rows of k or v as the left matrix of a product over the width, in words of 4 bytes or of 8.
    Left rows(const Tensor& tensor, const Block& block, int64_t group, int64_t word = 4) const {
        return {tensor.of(block.start, group), tensor.row, word};
    }

    // The transpose of k or v as the left matrix of a product over keys.
    Left columns(const Tensor& tensor, const Block& block, int64_t group) const {
        if (Mode::STEP == 1) return {tensor.of(block.start, group), 4, tensor.row};
        const int32_t* at = pairs + (group * forest.pairs + block.pair) * call.width;
        return {(const char*)at, 4, 4 * call.width};
    }

    // Calls `use(l, row)` for every lane's row of a tensor, and fetches the rows that come soon: they lie apart.
    template <class Use>
    void walk(const Tensor& tensor, const Lanes& lanes, int64_t group, Use use) const {
        const char *at = (const char*)lane(tensor, lanes, group, 0), *soon = at;
        int64_t head = lanes.first % ratio, soon_head = head, bytes = call.width * (int64_t)sizeof(Storage);
        const int64_t turn = tensor.row - (ratio - 1) * tensor.head;
        const auto step = [&](const char*& row, int64_t& h) {
            const bool last = ++h == ratio;
            row += last ? turn : tensor.head;
            h = last ? 0 : h;
        };
        for (int64_t l = 0, ahead = 0; l < lanes.count; l++) {
            for (; ahead < std::min(l + SOON, lanes.count); ahead++, step(soon, soon_head))
                for (int64_t byte = 0; byte < bytes; byte += 64) __builtin_prefetch(soon + byte);
            use(l, (const Storage*)at);
            step(at, head);
        }
    }

    // [lanes, broad], absent lanes and columns 0.
    void gather(const Tensor& tensor, const Lanes& lanes, int64_t group, Element* into) const {
        walk(tensor, lanes, group, [&](int64_t l, const Storage* from) {
            Element* to = into + l * broad;
            int64_t d = 0;
            for (; d + WIDE <= call.width; d += WIDE) copy(from + d, to + d);
            for (; d < call.width; d++) put(from[d], to + d);
            for (; d < broad; d++) to[d] = Element{};
        });
        const int64_t absent = rounded(lanes.count) - lanes.count;
        std::memset((void*)(into + lanes.count * broad), 0, (size_t)(absent * broad) * sizeof(Element));
    }

    // k or v as the elements of products, where they are stored otherwise.
    template <class Number>
    void convert(Tensor& tensor, Number* into) const {
        const int64_t row = call.groups * call.width;
#pragma omp parallel for schedule(static)
        for (int64_t t = 0; t < call.tokens; t++)
            for (int64_t g = 0; g < call.groups; g++)
                for (int64_t d = 0; d < call.width; d++)
                    into[t * row + g * call.width + d] = scalar((const Storage*)tensor.of(t, g) + d);
        constexpr int64_t size = sizeof(Number);
        tensor = {(char*)into, size * row, size * call.width};
    }

    // Two keys to a word, never of two segments; an odd last key's partner is 0.
    void interleave(const Tensor& tensor, int32_t* into) {
        const int64_t blocks = (int64_t)forest.blocks.size();
#pragma omp parallel for schedule(static)
        for (int64_t n = 0; n < blocks * call.groups; n++) {
            const Block& block = forest.blocks[n % blocks];
            const int64_t group = n / blocks;
            int32_t* to = into + (group * forest.pairs + block.pair) * call.width;
            for (int64_t i = 0; i < block.keys; i += 2, to += call.width) {
                const uint16_t* low = (const uint16_t*)tensor.of(block.start + i, group);
                const uint16_t* high = i + 1 < block.keys ? (const uint16_t*)tensor.of(block.start + i + 1, group) : nullptr;
                for (int64_t d = 0; d < call.width; d++) to[d] = (int32_t)(low[d] | (high ? (uint32_t)high[d] << 16 : 0u));
            }
        }
        pairs = into;
    }

    // What every product over keys needs, made once for the call from `shared` memory.
    void prepare(const Tensor& turned, Parts shared) {
        if constexpr (CONVERTED) {
            const int64_t size = call.tokens * call.groups * call.width;
            convert(k, shared.take<float>(size));
            convert(v, shared.take<float>(size));
        } else if constexpr (Mode::STEP == 2) {
            interleave(turned, shared.take<int32_t>(pair_words()));
        }
    }

    int64_t pair_words() const { return Mode::STEP == 2 ? call.groups * forest.pairs * call.width : 0; }

    int64_t shared_bytes() const {
        return 4 * (CONVERTED ? 2 * call.tokens * call.groups * call.width : pair_words()) + 4096;
    }
};

// Raw scores → capped scores; with `slope`, also what their gradient is multiplied by.
inline floats capped(const Call& call, floats raw, floats* slope = nullptr) {
    const floats t = hyperbolic_tangent(raw * (float)(call.scale / call.softcap));
    if (slope) *slope = 1.0f - t * t;
    return t * (float)call.softcap;
}

inline ints depths_of(const int32_t* depths) {
    ints value;
    std::memcpy(&value, depths, sizeof value);
    return value;
}

inline words codes_at(const uint32_t* codes) { return (words)depths_of((const int32_t*)codes); }

template <class Storage, class Number>
void write(Storage* to, const Number* from, int64_t width, float scale) {
    int64_t d = 0;
    for (; d + WIDE <= width; d += WIDE) store(to + d, narrow(load(from + d) * scale));
    for (; d < width; d++) {
        Storage one[WIDE];
        store(one, spread((float)(from[d] * scale)));
        to[d] = one[0];
    }
}

}  // namespace
}  // namespace affina
