// A weight laid out in panels of 32 columns, and products of many rows with one: bf16 by pairs, sums float.
#pragma once
#include <algorithm>

#include "thin.h"
#include "tile.h"

#ifdef __AVX512BF16__
namespace affina {

constexpr int64_t PAIRS = 128;  // of rows that are summed at once: their words stay near
constexpr int64_t BLOCK = 48;   // rows that go through every panel while they are near
constexpr int64_t AHEAD = 24;  // steps whose words are asked for before their turn

// Rows of pairs along the summed axis and, laid out in a panel, what they are multiplied by.
struct Factor {
    const char* at;
    int64_t row;
    const int32_t* words;
    int64_t steps;
    const uint32_t* bits = nullptr;  // of each row a word for the panel's columns: what stays of the product, `scale` times
    int64_t bits_row = 0;
    float scale = 1.0f;
};

template <int ROWS, int VECTORS>
__attribute__((always_inline)) inline void add_steps(floats (&sum)[ROWS][VECTORS], const Factor& a) {
    for (int64_t k = 0; k < a.steps; k++) {
        ints right[VECTORS];
#pragma GCC unroll 2
        for (int j = 0; j < VECTORS; j++) {
            std::memcpy(&right[j], a.words + k * PANEL + WIDE * j, sizeof right[j]);
            __builtin_prefetch(a.words + (k + AHEAD) * PANEL + WIDE * j);
        }
#pragma GCC unroll 16
        for (int i = 0; i < ROWS; i++) {
            int32_t word;
            std::memcpy(&word, a.at + i * a.row + 4 * k, sizeof word);
            const ints left = ints{} + word;
#pragma GCC unroll 2
            for (int j = 0; j < VECTORS; j++) sum[i][j] = Pairs::add(sum[i][j], left, right[j]);
        }
    }
}

// c [ROWS, 16 · VECTORS] = the product of `a` and, in the same sums, of `low`.
template <int ROWS, int VECTORS, class Out>
inline void product_ahead(const Factor& a, const Factor& low, Out* c, int64_t c_row, int64_t columns) {
    floats sum[ROWS][VECTORS];  // every loop over it is unrolled: it lives in registers
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 2
        for (int j = 0; j < VECTORS; j++) sum[i][j] = floats{};
    if (low.bits) {
        add_steps(sum, low);
#pragma GCC unroll 16
        for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 2
            for (int j = 0; j < VECTORS; j++) sum[i][j] = kept(sum[i][j], low.bits[i * low.bits_row] >> WIDE * j, low.scale);
        add_steps(sum, a);
    } else {
        add_steps(sum, a);
        add_steps(sum, low);
    }
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 2
        for (int j = 0; j < VECTORS; j++) {
            Out line[WIDE];
            const int64_t left = columns - WIDE * j;
            store(left >= WIDE ? c + i * c_row + WIDE * j : line, sum[i][j]);
            if (left > 0 && left < WIDE) std::memcpy(c + i * c_row + WIDE * j, line, left * sizeof(Out));
        }
}

// A panel's product for any number of rows, in as large steps as there are rows for.
template <int ROWS, int VECTORS, class Out>
inline void panel(Factor a, Factor low, int64_t rows, Out* c, int64_t c_row, int64_t columns) {
    for (; rows >= ROWS; rows -= ROWS, a.at += ROWS * a.row, low.at += ROWS * low.row, c += ROWS * c_row) {
        product_ahead<ROWS, VECTORS>(a, low, c, c_row, columns);
        if (low.bits) low.bits += ROWS * low.bits_row;
    }
    constexpr int FEWER = ROWS > 8 ? 8 : ROWS / 2;
    if constexpr (FEWER > 0) {
        if (rows > 0) panel<FEWER, VECTORS>(a, low, rows, c, c_row, columns);
    }
}

// `count` floats as bf16; up to WIDE more are written.
inline void round_rows(const float* from, int64_t count, bf16* to) {
    for (int64_t k = 0; k < count; k += WIDE) {
        floats value{};
        std::memcpy(&value, from + k, (count - k < WIDE ? count - k : WIDE) * sizeof(float));
        store(to + k, value);
    }
}

// [rows, K] → one panel.
inline void pack_panel(const bf16* weight, int64_t row, int64_t rows, int64_t K, int32_t* to) {
    const int64_t words = K / 2, even = words / WIDE * WIDE;
    for (int64_t i = 0; i < PANEL; i += WIDE) {
        const bool whole = rows - i >= WIDE;
        for (int64_t k = 0; whole && k < even; k += WIDE)
            transpose16((const int32_t*)(weight + i * row) + k, row / 2, to + k * PANEL + i, PANEL);
        for (int64_t k = whole ? even : 0; k < words; k++)
            for (int64_t j = i; j < i + WIDE; j++) {
                to[k * PANEL + j] = 0;
                if (j < rows) std::memcpy(to + k * PANEL + j, weight + j * row + 2 * k, sizeof *to);
            }
    }
}

// 16 floats from column k on of a row of K, those beyond its end zero; what comes later is asked for.
inline __m512 read(const float* row, int64_t k, int64_t K) {
    constexpr int64_t LATER = 128;
    __builtin_prefetch(row + k + LATER);
    const int64_t left = K - k;
    return _mm512_maskz_loadu_ps(left >= WIDE ? 0xffff : left <= 0 ? 0 : (1u << left) - 1, row + k);
}

// `pack_panel` of PANEL rows of floats, which are rounded; K is even.
inline void pack_rounded(const float* weight, int64_t K, int32_t* to) {
    alignas(64) int32_t lines[WIDE][WIDE], turned[WIDE][WIDE];
    for (int64_t i = 0; i < PANEL; i += WIDE)
        for (int64_t k = 0; k < K; k += PANEL) {
            for (int64_t j = 0; j < WIDE; j++) {
                const float* row = weight + (i + j) * K;
                _mm512_store_si512(lines[j], (__m512i)_mm512_cvtne2ps_pbh(read(row, k + WIDE, K), read(row, k, K)));
            }
            int32_t* into = to + k / 2 * PANEL + i;
            const bool whole = K - k >= PANEL;
            transpose16(lines[0], WIDE, whole ? into : turned[0], whole ? PANEL : WIDE);
            for (int64_t w = 0; w < (K - k) / 2 && !whole; w++) std::memcpy(into + w * PANEL, turned[w], sizeof turned[w]);
        }
}

// `interleave` of rows of K floats, which are rounded: panels of COLUMNS columns, `to_panel` words apart.
template <int64_t COLUMNS>
inline void interleave_rounded(const float* weight, int64_t rows, int64_t K, int32_t* to, int64_t to_panel) {
    for (int64_t i = 0; i < rows; i += 2, to += COLUMNS, weight += 2 * K)
        for (int64_t k = 0; k < (K + COLUMNS - 1) / COLUMNS * COLUMNS; k += WIDE) {
            const __m512 low = read(weight, k, K), high = read(weight + K, k, i + 1 < rows ? K : 0);
            Pairs::put_words(to + k / COLUMNS * to_panel + k % COLUMNS, 0, (floats)low, (floats)high, true);
        }
}

// Rows 2n and 2n + 1 of [rows, columns] as pairs: words [rows / 2 rounded up, to_row], what is not there zero.
inline void interleave(const bf16* from, int64_t row, int64_t rows, int64_t columns, int32_t* to, int64_t to_row) {
    alignas(64) uint16_t order[2][PANEL];
    for (int i = 0; i < PANEL; i++) order[0][i] = i / 2 + i % 2 * PANEL, order[1][i] = order[0][i] + PANEL / 2;
    const __m512i low = _mm512_load_si512(order[0]), high = _mm512_load_si512(order[1]);
    for (int64_t t = 0; t < rows; t += 2, from += 2 * row, to += to_row)
        for (int64_t n = 0; n < to_row; n += PANEL) {
            const int64_t left = std::max<int64_t>(0, std::min<int64_t>(PANEL, columns - n));
            const __mmask32 here = left < PANEL ? (1u << left) - 1 : ~0u, below = t + 1 < rows ? here : 0;
            const __m512i first = _mm512_maskz_loadu_epi16(here, from + n);
            const __m512i second = _mm512_maskz_loadu_epi16(below, from + row + n);
            _mm512_storeu_si512(to + n, _mm512_permutex2var_epi16(first, low, second));
            _mm512_storeu_si512(to + n + WIDE, _mm512_permutex2var_epi16(first, high, second));
        }
}

}  // namespace affina
#endif
