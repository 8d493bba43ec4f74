// Sums over rows that take a bias and a low-rank product in, and what norms need of a row.
#pragma once
#include <cmath>

#include "block.h"

namespace affina {

constexpr int ROWS = 4;       // rows that share each load of b
constexpr int RANKS = 1536;   // the largest rank
constexpr int64_t WIDEST = 16384;

// The product's u of ROWS rows in float; a row beyond the last repeats the first.
template <class S>
struct Lines {
    const float* b;
    int64_t rank;
    float u[ROWS][RANKS];

    Lines(const LowRank<S>& low, int64_t t, int rows) : b(low.b), rank(low.rank) {
        for (int i = 0; i < ROWS; i++) {
            const S* from = low.u + (t + (i < rows ? i : 0)) * low.stride;
            for (int64_t r = 0; r < rank; r++) u[i][r] = scalar(from + r);
        }
    }
};

// acc = y (+ bias) (+ low-rank product), for ROWS × 16·COLS numbers.
template <int COLS, class S>
inline void summed(
    floats (&acc)[ROWS][COLS], const S* y, int64_t stride, const float* bias, const Lines<S>& low, int64_t t, int rows,
    int64_t n, int64_t width
) {
#pragma GCC unroll 4
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 4
        for (int j = 0; j < COLS; j++) {
            acc[i][j] = load(y + (t + (i < rows ? i : 0)) * stride + n + WIDE * j);
            if (bias) acc[i][j] += load(bias + n + WIDE * j);
        }
    for (int64_t r = 0; r < low.rank; r++) {
        floats b[COLS];
#pragma GCC unroll 4
        for (int j = 0; j < COLS; j++) b[j] = load(low.b + r * width + n + WIDE * j);
#pragma GCC unroll 4
        for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 4
            for (int j = 0; j < COLS; j++) acc[i][j] += low.u[i][r] * b[j];
    }
}

// The same for ROWS whole rows of y [T, D]: `take` receives the row, the column and the numbers from there on.
template <class S, class Take>
inline void each_sum(const S* y, const float* bias, const Lines<S>& low, int64_t t, int rows, int64_t D, const Take& take) {
    int64_t n = 0;
    for (; n + 4 * WIDE <= D; n += 4 * WIDE) {
        floats acc[ROWS][4];
        summed<4>(acc, y, D, bias, low, t, rows, n, D);
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < 4; j++) take(i, n + WIDE * j, acc[i][j]);
    }
    for (; n < D; n += WIDE) {
        floats acc[ROWS][1];
        summed<1>(acc, y, D, bias, low, t, rows, n, D);
        for (int i = 0; i < rows; i++) take(i, n, acc[i][0]);
    }
}

// Σ (x - mean)², the squares float; of rows that are stored as float it is summed in double, so that its order is not seen.
template <class Stored, class X>
inline auto squared(const X* x, float mean, int64_t D) {
    using Wide = typename SumOf<Stored>::Type;
    Wide squares{};
    for (int64_t n = 0; n < D; n += WIDE) {
        const floats each = load(x + n) - mean;
        squares += widened<Wide>(each * each);
    }
    return total(squares);
}

inline float mean_of(const float* x, int64_t D) {
    floats sum{};
    for (int64_t n = 0; n < D; n += WIDE) sum += load(x + n);
    return total(sum) / D;
}

}  // namespace affina
