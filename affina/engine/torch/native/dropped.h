// Which numbers of [T, K] stay when a share is dropped: a bit each, 32 to a word, rows of whole words.
#pragma once
#include "vector.h"

namespace affina {

constexpr int64_t BITS = 32;

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

// out = x · scale where the bit is set, 0 elsewhere; K is a multiple of 16.
template <class S>
void keep(const S* x, const uint32_t* bits, int64_t T, int64_t K, float scale, S* out);

}  // namespace affina

// A number stays where 16 bits drawn for it are `threshold` at least: by the seed and its place alone.
extern "C" void affina_drop_draw(uint64_t seed, int64_t T, int64_t K, int64_t threshold, uint32_t* bits);
