// Which numbers of [T, K] stay when a share is dropped: a bit each, 32 to a word, rows of whole words.
#pragma once
#include "vector.h"

namespace affina {

constexpr int64_t BITS = 32;

constexpr uint64_t STEP = 0x9E3779B97F4A7C15;

// SplitMix64 (Steele, Lea and Flood, 2014).
inline uint64_t mixed(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
}

inline int64_t words_of_bits(int64_t columns) { return (columns + BITS - 1) / BITS; }

// value · scale where its bit is set, 0 elsewhere.
inline floats kept(floats value, uint32_t bits, float scale) {
#ifdef __AVX512F__
    return (floats)_mm512_maskz_mul_ps((__mmask16)bits, (__m512)value, _mm512_set1_ps(scale));
#else
    floats made;
    for (int j = 0; j < WIDE; j++) made[j] = bits >> j & 1 ? value[j] * scale : 0.0f;
    return made;
#endif
}

// The 32 bits that stand for a row or a column of a matrix of which a share is dropped.
inline uint32_t code(uint64_t seed, int64_t place) { return (uint32_t)(mixed(seed + (uint64_t)(place + 1) * STEP) >> 32); }

// value · scale where 16 bits that two codes give are `threshold` at least, 0 elsewhere.
inline floats kept(floats value, words rows, uint32_t column, uint32_t threshold, float scale) {
    words drawn = (rows ^ column) * 0x7FEB352D;
    drawn = (drawn ^ (drawn >> 15)) * 0x846CA68B;
    return (floats)((words)(value * scale) & (words)((drawn >> 16) >= threshold));
}

inline doubles kept(doubles value, words rows, uint32_t column, uint32_t threshold, float scale) {
    const doubles by = widened<doubles>(kept(spread(1.0f), rows, column, threshold, scale)), made = value * by;
    return {(eights)((longs)made.low & (longs)(by.low != 0.0)), (eights)((longs)made.high & (longs)(by.high != 0.0))};
}

// out = x · scale where the bit is set, 0 elsewhere; K is a multiple of 16.
template <class S>
void keep(const S* x, const uint32_t* bits, int64_t T, int64_t K, float scale, S* out);

}  // namespace affina

// A number stays where 16 bits drawn for it are `threshold` at least: by the seed and its place alone.
extern "C" void affina_drop_draw(uint64_t seed, int64_t T, int64_t K, int64_t threshold, uint32_t* bits);
