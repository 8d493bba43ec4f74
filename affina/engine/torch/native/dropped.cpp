// Bits that say which numbers of an input stay, and the input with the others left out.
#include "dropped.h"

namespace affina {

constexpr int64_t DRAWS = 8;  // of 64 bits, for a word of BITS numbers

inline uint32_t at_least(const uint64_t* drawn, uint16_t threshold) {
#ifdef __AVX512BW__
    return _mm512_cmpge_epu16_mask(_mm512_loadu_si512(drawn), _mm512_set1_epi16((short)threshold));
#else
    uint32_t word = 0;
    for (int i = 0; i < BITS; i++) word |= (uint32_t)((uint16_t)(drawn[i / 4] >> (i % 4 * 16)) >= threshold) << i;
    return word;
#endif
}

template <class S>
void keep(const S* x, const uint32_t* bits, int64_t T, int64_t K, float scale, S* out) {
    const int64_t words = words_of_bits(K);
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < T; t++)
        for (int64_t n = 0; n < K; n += WIDE)
            store(out + t * K + n, kept(load(x + t * K + n), bits[t * words + n / BITS] >> n % BITS, scale));
}

template void keep(const bf16*, const uint32_t*, int64_t, int64_t, float, bf16*);
template void keep(const float*, const uint32_t*, int64_t, int64_t, float, float*);

}  // namespace affina

using namespace affina;

extern "C" void affina_drop_draw(uint64_t seed, int64_t T, int64_t K, int64_t threshold, uint32_t* bits) {
    const int64_t count = T * words_of_bits(K);
#pragma omp parallel for schedule(static)
    for (int64_t n = 0; n < count; n++) {
        uint64_t drawn[DRAWS];
        for (int64_t q = 0; q < DRAWS; q++) drawn[q] = mixed(seed + (uint64_t)(DRAWS * n + q + 1) * STEP);
        bits[n] = at_least(drawn, (uint16_t)threshold);
    }
}

extern "C" void affina_drop_keep_bf16(const bf16* x, const uint32_t* bits, int64_t T, int64_t K, float scale, bf16* out) {
    keep(x, bits, T, K, scale, out);
}

extern "C" void affina_drop_keep_float32(const float* x, const uint32_t* bits, int64_t T, int64_t K, float scale, float* out) {
    keep(x, bits, T, K, scale, out);
}
