// Products and sums of thin.cpp, for whoever calls them from here.
#pragma once
#include "dropped.h"

namespace affina {

constexpr int PANEL = 32;              // columns of a laid-out weight that stand together
constexpr int64_t SIDE = 64, TALL = 24;  // columns of x and of u that are summed together: four vectors by four times six

// Columns [first, first + columns) of y gain u · rows before they are rounded.
struct Low {
    const bf16* u;  // [T, rank]; of another job that has floats, perhaps
    int64_t u_row, rank;
    const float* rows;       // [rank, columns]; the rank is even
    int64_t first, columns;  // `first` is whole panels
    int32_t* words;          // [panels, rank / 2, PANEL], filled there first
    const uint32_t* bits = nullptr;  // [T, words of columns], where only a part of the columns gains it, `scale` times
    double scale = 1.0;

    int64_t panels() const { return (columns + PANEL - 1) / PANEL; }
};

// y [T, N] = x [T, K] · Wᵀ: W laid out in `words`, or given as floats to be laid out there first.
struct Product {
    const bf16* x;
    int32_t* words;
    const float* floats;  // [N, K] or null
    int64_t N, K;
    bf16* y;
    int64_t y_row;
    const Low* lows;
    int64_t low_count;

    int64_t panels() const { return (N + PANEL - 1) / PANEL; }
};

// y [N, R] (or [R, N] where `across`) = scale · Σ_t x[t, n] · u[t, r], float.
struct Sum {
    const bf16* x;
    int64_t x_row, N;
    const bf16* u;
    int64_t u_row, R;
    double scale;
    int64_t across;
    float* y;

    int64_t blocks() const { return (N + SIDE - 1) / SIDE; }
    int64_t panels() const { return (R + TALL - 1) / TALL; }
};

}  // namespace affina

extern "C" void affina_thin_times(const affina::Product* jobs, int64_t count, int64_t x_row, int64_t T);
extern "C" int affina_thin_sums(const affina::Sum* jobs, int64_t count, int64_t T);
