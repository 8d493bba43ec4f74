// What stands between a decoder block's matrix products, each in one pass over memory: norms, rotary positions, gates,
// residual sums, and the low-rank products (LoRA) that are added on the way, in float32.
//
// T rows, D width, I inner width, R rank. Storage S is bf16 or float; sums and statistics are float. Every width is a
// multiple of 16. Each row is computed by one thread in a fixed order: the same bits for any number of threads.
#include "block.h"

#include <cmath>

namespace affina {

constexpr int ROWS = 4;       // rows that share each load of b
constexpr int RANKS = 512;    // the largest rank
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

template <class S>
void norm_row(const float* x, const float* weight, float eps, int64_t D, S* out, float* rstd) {
    floats squares{};
    for (int64_t n = 0; n < D; n += WIDE) {
        const floats each = load(x + n);
        squares += each * each;
    }
    const float scale = 1.0f / std::sqrt(total(squares) / D + eps);
    *rstd = scale;
    for (int64_t n = 0; n < D; n += WIDE) store(out + n, load(x + n) * scale * load(weight + n));
}

template <class S>
void rms_norm(const float* x, const float* weight, float eps, int64_t T, int64_t D, S* out, float* rstd) {
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < T; t++) norm_row(x + t * D, weight, eps, D, out + t * D, rstd + t);
}

// out = residual + y + bias + low-rank; where `weight` is given also its norm.
template <class S>
void add_residual(
    const float* residual, const S* y, const float* bias, LowRank<S> low, int64_t T, int64_t D, float* out,
    const float* weight, float eps, S* normed, float* rstd
) {
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < T; t += ROWS) {
        const int rows = T - t < ROWS ? T - t : ROWS;
        each_sum(y, bias, Lines<S>(low, t, rows), t, rows, D, [&](int i, int64_t n, const floats& sum) {
            const int64_t at = (t + i) * D + n;
            store(out + at, load(residual + at) + sum);
        });
        if (weight)
            for (int i = 0; i < rows; i++) norm_row(out + (t + i) * D, weight, eps, D, normed + (t + i) * D, rstd + t + i);
    }
}

// The norm's backward pass: grad_out = grad + rstd · (w·d − x̂ · mean(w·d·x̂)), where d = dy + low-rank, x̂ = x · rstd.
// `cast`, where given, receives grad_out in storage precision; `grad_weight` [shares, D] gains each share's part of Σ_t d·x̂.
template <class S>
void norm_backward(
    const float* x, const float* rstd, const float* weight, const S* dy, LowRank<S> low, const float* grad, int64_t T,
    int64_t D, float* grad_out, S* cast, float* grad_weight, int64_t shares
) {
    const int64_t share = (T / ROWS + shares) / shares * ROWS;
#pragma omp parallel for schedule(static)
    for (int64_t part = 0; part < shares; part++) {
        float d[ROWS * WIDEST];
        const int64_t stop = (part + 1) * share < T ? (part + 1) * share : T;
        for (int64_t t = part * share; t < stop; t += ROWS) {
            const int rows = stop - t < ROWS ? stop - t : ROWS;
            each_sum(
                dy, nullptr, Lines<S>(low, t, rows), t, rows, D,
                [&](int i, int64_t n, const floats& sum) { store(d + i * D + n, sum); }
            );
            for (int i = 0; i < rows; i++) {
                const float scale = rstd[t + i];
                const float* at = x + (t + i) * D;
                floats dot{};
                for (int64_t n = 0; n < D; n += WIDE) dot += load(d + i * D + n) * load(weight + n) * load(at + n);
                const float mean = total(dot) * scale * scale / D;
                for (int64_t n = 0; n < D; n += WIDE) {
                    const floats each = load(d + i * D + n), here = load(at + n);
                    const floats sum = load(grad + (t + i) * D + n) + scale * (each * load(weight + n) - here * mean);
                    store(grad_out + (t + i) * D + n, sum);
                    if (cast) store(cast + (t + i) * D + n, sum);
                    if (grad_weight) {
                        float* w = grad_weight + part * D + n;
                        store(w, load(w) + each * here * scale);
                    }
                }
            }
        }
    }
}

// y gains a low-rank product, rounded once.
template <class S>
void add_low(S* y, LowRank<S> low, int64_t T, int64_t D) {
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < T; t += ROWS) {
        const int rows = T - t < ROWS ? T - t : ROWS;
        each_sum(y, nullptr, Lines<S>(low, t, rows), t, rows, D, [&](int i, int64_t n, const floats& sum) {
            store(y + (t + i) * D + n, sum);
        });
    }
}

// silu(g) = g·σ(g); gelu's tanh form 0.5·g·(1 + tanh(c·(g + 0.044715 g³))) = g·σ(2c·(g + 0.044715 g³)).
inline floats sigmoid(floats x) { return 1.0f / (1.0f + exponential(-x)); }

inline void activation(floats g, bool gelu, floats& value, floats& slope) {
    constexpr float c = 1.5957691216f;  // 2·sqrt(2/π)
    if (gelu) {
        const floats gate = sigmoid(c * (g + 0.044715f * g * g * g));
        value = g * gate;
        slope = gate + value * (1.0f - gate) * c * (1.0f + 0.134145f * g * g);
    } else {
        const floats gate = sigmoid(g);
        value = g * gate;
        slope = gate * (1.0f + g * (1.0f - gate));
    }
}

// y [T, 2 I] holds gate and up side by side; their sums with bias and low-rank are written back, out = act(gate) · up.
template <class S>
void gated(S* y, const float* bias, LowRank<S> gate, LowRank<S> up, bool gelu, int64_t T, int64_t I, S* out) {
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < T; t += ROWS) {
        const int rows = T - t < ROWS ? T - t : ROWS;
        const Lines<S> gates(gate, t, rows), ups(up, t, rows);
        for (int64_t n = 0; n < I; n += 2 * WIDE) {
            floats g[ROWS][2], u[ROWS][2];
            summed<2>(g, y, 2 * I, bias, gates, t, rows, n, I);
            summed<2>(u, y + I, 2 * I, bias ? bias + I : bias, ups, t, rows, n, I);
            for (int i = 0; i < rows; i++)
                for (int j = 0; j < 2; j++) {
                    const int64_t at = (t + i) * 2 * I + n + WIDE * j;
                    floats value, slope;
                    activation(g[i][j], gelu, value, slope);
                    store(y + at, g[i][j]);
                    store(y + at + I, u[i][j]);
                    store(out + (t + i) * I + n + WIDE * j, value * u[i][j]);
                }
        }
    }
}

// y's gate and up become their gradients; dout is taken with its low-rank part; `again` is act(gate) · up once more.
template <class S>
void gated_backward(S* y, const S* dout, LowRank<S> low, bool gelu, int64_t T, int64_t I, S* again) {
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < T; t += ROWS) {
        const int rows = T - t < ROWS ? T - t : ROWS;
        const Lines<S> lines(low, t, rows);
        for (int64_t n = 0; n < I; n += 2 * WIDE) {
            floats d[ROWS][2];
            summed<2>(d, dout, I, nullptr, lines, t, rows, n, I);
            for (int i = 0; i < rows; i++)
                for (int j = 0; j < 2; j++) {
                    const int64_t at = (t + i) * 2 * I + n + WIDE * j;
                    const floats g = load(y + at), u = load(y + at + I);
                    floats value, slope;
                    activation(g, gelu, value, slope);
                    store(y + at, d[i][j] * u * slope);
                    store(y + at + I, d[i][j] * value);
                    store(again + (t + i) * I + n + WIDE * j, value * u);
                }
        }
    }
}

// y's queries and keys (sums with bias and low-rank) are normed where weights are given, and turned by their positions.
// cos, sin [T, W]. With norms, y keeps the sums and rstd [T, H + K] their scales; out may be y where there are none.
template <class S>
void heads(
    S* y, const float* bias, LowRank<S> q, LowRank<S> k, LowRank<S> v, const float* query_weight, const float* key_weight,
    float eps, const float* cos, const float* sin, Heads h, int64_t T, S* out, float* rstd
) {
    const int64_t N = (h.H + 2 * h.K) * h.W, half = h.W / 2;
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < T; t += ROWS) {
        const int rows = T - t < ROWS ? T - t : ROWS;
        const Lines<S> lines[3] = {{q, t, rows}, {k, t, rows}, {v, t, rows}};
        float line[ROWS * 512];
        for (int64_t head = 0; head < h.H + 2 * h.K; head++) {
            const bool query = head < h.H, value = head >= h.H + h.K;
            const Lines<S>& low = lines[query ? 0 : value ? 2 : 1];
            const int64_t first = query ? 0 : value ? h.H + h.K : h.H, columns = (query ? h.H : h.K) * h.W;
            for (int64_t n = 0; n < h.W; n += 2 * WIDE) {
                floats acc[ROWS][2];
                summed<2>(
                    acc, y + first * h.W, N, bias ? bias + first * h.W : bias, low, t, rows, (head - first) * h.W + n, columns
                );
                for (int i = 0; i < rows; i++)
                    for (int j = 0; j < 2; j++) store(line + i * h.W + n + WIDE * j, acc[i][j]);
            }
            for (int i = 0; i < rows; i++) {
                float* at = line + i * h.W;
                S* to = out + (t + i) * N + head * h.W;
                const float* weight = value ? nullptr : query ? query_weight : key_weight;
                if (weight) {
                    S* kept = y + (t + i) * N + head * h.W;
                    floats squares{};
                    for (int64_t n = 0; n < h.W; n += WIDE) {
                        store(kept + n, load(at + n));
                        squares += load(at + n) * load(at + n);
                    }
                    const float scale = 1.0f / std::sqrt(total(squares) / h.W + eps);
                    rstd[(t + i) * (h.H + h.K) + head] = scale;
                    for (int64_t n = 0; n < h.W; n += WIDE) store(at + n, load(at + n) * scale * load(weight + n));
                }
                if (value) {
                    for (int64_t n = 0; n < h.W; n += WIDE) store(to + n, load(at + n));
                    continue;
                }
                const float *c = cos + (t + i) * h.W, *s = sin + (t + i) * h.W;
                for (int64_t n = 0; n < half; n += WIDE) {
                    const floats a = load(at + n), b = load(at + half + n);
                    store(to + n, a * load(c + n) - b * load(s + n));
                    store(to + half + n, b * load(c + half + n) + a * load(s + half + n));
                }
            }
        }
    }
}

// The gradient of `heads` in its outputs becomes, in place, that in its inputs; y and rstd are what `heads` kept.
// Where there are norms grad_weight [shares, 2, W], if given, gains Σ d·x̂ of queries, then of keys.
template <class S>
void heads_backward(
    S* grad, const S* y, const float* rstd, const float* query_weight, const float* key_weight, const float* cos,
    const float* sin, Heads h, int64_t T, float* grad_weight, int64_t shares
) {
    const int64_t N = (h.H + 2 * h.K) * h.W, half = h.W / 2, share = (T + shares - 1) / shares;
#pragma omp parallel for schedule(static)
    for (int64_t part = 0; part < shares; part++) {
        float line[512];
        const int64_t stop = (part + 1) * share < T ? (part + 1) * share : T;
        for (int64_t t = part * share; t < stop; t++) {
            for (int64_t head = 0; head < h.H + h.K; head++) {
                S* at = grad + t * N + head * h.W;
                const float *c = cos + t * h.W, *s = sin + t * h.W;
                for (int64_t n = 0; n < half; n += WIDE) {
                    const floats a = load(at + n), b = load(at + half + n);
                    store(line + n, a * load(c + n) + b * load(s + half + n));
                    store(line + half + n, b * load(c + half + n) - a * load(s + n));
                }
                const float* weight = head < h.H ? query_weight : key_weight;
                if (weight) {
                    const S* x = y + t * N + head * h.W;
                    const float scale = rstd[t * (h.H + h.K) + head];
                    float* w = grad_weight ? grad_weight + (2 * part + (head >= h.H)) * h.W : nullptr;
                    floats dot{};
                    for (int64_t n = 0; n < h.W; n += WIDE) dot += load(line + n) * load(weight + n) * load(x + n);
                    const float mean = total(dot) * scale * scale / h.W;
                    for (int64_t n = 0; n < h.W; n += WIDE) {
                        const floats d = load(line + n), here = load(x + n);
                        if (w) store(w + n, load(w + n) + d * here * scale);
                        store(line + n, scale * (d * load(weight + n) - here * mean));
                    }
                }
                for (int64_t n = 0; n < h.W; n += WIDE) store(at + n, load(line + n));
            }
        }
    }
}

}  // namespace affina

using namespace affina;

#define LOW(S, name) const S *name##_u, const float *name##_b, int64_t name##_stride, int64_t name##_rank
#define AS_LOW(S, name) LowRank<S>{name##_u, name##_b, name##_stride, name##_rank}
#define FACES(S, suffix)                                                                                                    \
    extern "C" void rms_norm_##suffix(                                                                                      \
        const float* x, const float* w, float eps, int64_t T, int64_t D, S* out, float* rstd                                \
    ) {                                                                                                                     \
        rms_norm<S>(x, w, eps, T, D, out, rstd);                                                                            \
    }                                                                                                                       \
    extern "C" void add_residual_##suffix(                                                                                  \
        const float* res, const S* y, const float* bias, LOW(S, low), int64_t T, int64_t D, float* out, const float* w,     \
        float eps, S* normed, float* rstd                                                                                   \
    ) {                                                                                                                     \
        add_residual<S>(res, y, bias, AS_LOW(S, low), T, D, out, w, eps, normed, rstd);                                     \
    }                                                                                                                       \
    extern "C" void norm_backward_##suffix(                                                                                 \
        const float* x, const float* rstd, const float* w, const S* dy, LOW(S, low), const float* grad, int64_t T,          \
        int64_t D, float* out, S* cast, float* gw, int64_t shares                                                           \
    ) {                                                                                                                     \
        norm_backward<S>(x, rstd, w, dy, AS_LOW(S, low), grad, T, D, out, cast, gw, shares);                                \
    }                                                                                                                       \
    extern "C" void gated_##suffix(                                                                                         \
        S* y, const float* bias, LOW(S, gate), LOW(S, up), int64_t gelu, int64_t T, int64_t I, S* out                       \
    ) {                                                                                                                     \
        gated<S>(y, bias, AS_LOW(S, gate), AS_LOW(S, up), gelu, T, I, out);                                                 \
    }                                                                                                                       \
    extern "C" void gated_backward_##suffix(                                                                                \
        S* y, const S* dout, LOW(S, low), int64_t gelu, int64_t T, int64_t I, S* again                                      \
    ) {                                                                                                                     \
        gated_backward<S>(y, dout, AS_LOW(S, low), gelu, T, I, again);                                                      \
    }                                                                                                                       \
    extern "C" void add_low_##suffix(S* y, LOW(S, low), int64_t T, int64_t D) {                                             \
        add_low<S>(y, AS_LOW(S, low), T, D);                                                                                \
    }                                                                                                                       \
    extern "C" void heads_##suffix(                                                                                         \
        S* y, const float* bias, LOW(S, q), LOW(S, k), LOW(S, v), const float* qw, const float* kw, float eps,              \
        const float* cos, const float* sin, int64_t H, int64_t K, int64_t W, int64_t T, S* out, float* rstd                 \
    ) {                                                                                                                     \
        heads<S>(y, bias, AS_LOW(S, q), AS_LOW(S, k), AS_LOW(S, v), qw, kw, eps, cos, sin, {H, K, W}, T, out, rstd);        \
    }                                                                                                                       \
    extern "C" void heads_backward_##suffix(                                                                                \
        S* grad, const S* y, const float* rstd, const float* qw, const float* kw, const float* cos, const float* sin,       \
        int64_t H, int64_t K, int64_t W, int64_t T, float* gw, int64_t shares                                               \
    ) {                                                                                                                     \
        heads_backward<S>(grad, y, rstd, qw, kw, cos, sin, {H, K, W}, T, gw, shares);                                       \
    }

FACES(float, float32)
FACES(bf16, bf16)

#define FROM_HERE(name) template decltype(name<bf16>) name<bf16>;
FROM_HERE(rms_norm)
FROM_HERE(add_residual)
FROM_HERE(norm_backward)
FROM_HERE(gated)
FROM_HERE(gated_backward)
FROM_HERE(heads)
FROM_HERE(heads_backward)
FROM_HERE(add_low)
