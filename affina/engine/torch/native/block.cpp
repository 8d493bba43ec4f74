// What stands between a decoder block's matrix products, each in one pass over memory: norms, rotary positions, gates,
// residual sums, and the low-rank products (LoRA) that are added on the way, in float32.
//
// T rows, D width, I inner width, R rank. Storage S is bf16 or float; sums and statistics are float. Every width is a
// multiple of 16. Each row is computed by one thread in a fixed order: the same bits for any number of threads.
#include "sums.h"

namespace affina {

template <class S>
void norm_row(const float* x, Norm norm, int64_t D, S* out, float* rstd) {
    const float mean = norm.bias ? mean_of(x, D) : 0.0f, scale = 1 / std::sqrt(squared<S>(x, mean, D) / D + norm.eps);
    *rstd = scale;
    for (int64_t n = 0; n < D; n += WIDE) {
        const floats made = (load(x + n) - mean) * scale * load(norm.weight + n);
        store(out + n, norm.bias ? made + load(norm.bias + n) : made);
    }
}

template <class S>
void norm_rows(const float* x, Norm norm, int64_t T, int64_t D, S* out, float* rstd) {
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < T; t++) norm_row(x + t * D, norm, D, out + t * D, rstd + t);
}

// out = residual + join(y + bias + low-rank); where `norm` has a weight also its norm. Where the join has a norm, y keeps
// the sums.
template <class S>
void add_residual(
    const float* residual, S* y, const float* bias, LowRank<S> low, Join join, int64_t T, int64_t D, float* out, Norm norm,
    S* normed, float* rstd
) {
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < T; t += ROWS) {
        const int rows = T - t < ROWS ? T - t : ROWS;
        const Lines<S> lines(low, t, rows);
        if (join.weight) {
            each_sum(y, bias, lines, t, rows, D, [&](int i, int64_t n, const floats& sum) { store(y + (t + i) * D + n, sum); });
            for (int64_t row = t; row < t + rows; row++) {
                const S* from = y + row * D;
                const float scale = 1 / std::sqrt(squared<S>(from, 0.0f, D) / D + join.eps);
                join.rstd[row] = scale;
                for (int64_t n = 0; n < D; n += WIDE) {
                    const floats made = load(from + n) * (scale * join.times) * load(join.weight + n);
                    store(out + row * D + n, load(residual + row * D + n) + made);
                }
            }
        } else
            each_sum(y, bias, lines, t, rows, D, [&](int i, int64_t n, const floats& sum) {
                const int64_t at = (t + i) * D + n;
                store(out + at, load(residual + at) + sum * join.times);
            });
        if (norm.weight)
            for (int i = 0; i < rows; i++) norm_row(out + (t + i) * D, norm, D, normed + (t + i) * D, rstd + t + i);
    }
}

// The gradient in y (the sums that `add_residual` kept there) of what `join` made of them: with a norm
// rstd · (w·d − ŷ · mean(w·d·ŷ)), where d = times · grad and ŷ = y · rstd; `grad_weight` [shares, D], where given, gains Σ d·ŷ.
template <class S>
void join_backward(
    const float* grad, const S* y, Join join, int64_t T, int64_t D, S* dy, float* grad_weight, int64_t shares
) {
    const int64_t share = (T + shares - 1) / shares;
#pragma omp parallel for schedule(static)
    for (int64_t part = 0; part < shares; part++)
        for (int64_t t = part * share; t < (part + 1) * share && t < T; t++) {
            const float* d = grad + t * D;
            S* to = dy + t * D;
            if (!join.weight) {
                for (int64_t n = 0; n < D; n += WIDE) store(to + n, load(d + n) * join.times);
                continue;
            }
            const S* from = y + t * D;
            const float scale = join.rstd[t];
            floats dot{};
            for (int64_t n = 0; n < D; n += WIDE) dot += load(d + n) * load(join.weight + n) * load(from + n);
            const float mean = total(dot) * scale * scale / D;
            for (int64_t n = 0; n < D; n += WIDE) {
                const floats each = load(d + n) * join.times, here = load(from + n);
                store(to + n, scale * (each * load(join.weight + n) - here * (mean * join.times)));
                if (grad_weight) {
                    float* w = grad_weight + part * D + n;
                    store(w, load(w) + each * here * scale);
                }
            }
        }
}

// The norm's backward pass: grad_out = grad + rstd · (w·d − x̂ · mean(w·d·x̂)), where d = dy + low-rank, x̂ = x · rstd; of a
// layer norm x̂ = (x − mean) · rstd, and the mean of w·d is taken off. `cast`, where given, receives grad_out in storage
// precision; `grad_weight` [shares, D] gains each share's part of Σ_t d·x̂, `grad_bias` that of Σ_t d. Where one number
// of a row is far larger than the others, little is left of its difference: in float32 it is taken in double.
template <class S>
void norm_backward(
    const float* x, const float* rstd, Norm norm, const S* dy, LowRank<S> low, const float* grad, int64_t T, int64_t D,
    float* grad_out, S* cast, float* grad_weight, float* grad_bias, int64_t shares
) {
    using Wide = typename SumOf<S>::Type;
    const auto wide = widened<Wide>;
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
                const float centre = norm.bias ? mean_of(at, D) : 0.0f;
                Wide dot{}, sums{};
                for (int64_t n = 0; n < D; n += WIDE) {
                    const Wide each = wide(load(d + i * D + n)) * wide(load(norm.weight + n));
                    dot += each * wide(load(at + n) - centre);
                    sums += each;
                }
                const auto mean = total(dot) * scale * scale / D, level = norm.bias ? total(sums) / D : 0;
                for (int64_t n = 0; n < D; n += WIDE) {
                    const floats each = load(d + i * D + n), here = load(at + n) - centre;
                    const Wide change = wide(each) * wide(load(norm.weight + n)) - level - wide(here) * mean;
                    const floats sum = narrow(wide(load(grad + (t + i) * D + n)) + change * scale);
                    store(grad_out + (t + i) * D + n, sum);
                    if (cast) store(cast + (t + i) * D + n, sum);
                    if (grad_weight) {
                        float* w = grad_weight + part * D + n;
                        store(w, load(w) + each * here * scale);
                    }
                    if (grad_bias) {
                        float* b = grad_bias + part * D + n;
                        store(b, load(b) + each);
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

// silu(g) = g·σ(g); gelu g·Φ(g), its tanh form 0.5·g·(1 + tanh(c·(g + 0.044715 g³))) = g·σ(2c·(g + 0.044715 g³)).
inline floats sigmoid(floats x) { return 1.0f / (1.0f + exponential(-x)); }

// The error function, absolute error below 2e-7 (Abramowitz and Stegun, 1964, 7.1.26); e is exp(-x²).
inline floats error_function(floats x, floats e) {
    const floats size = (floats)((ints)x & 0x7fffffff), t = 1.0f / (1.0f + 0.3275911f * size);
    floats p = spread(1.061405429f);
    p = p * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    return (floats)((ints)(1.0f - p * t * e) | ((ints)x & (int32_t)0x80000000));
}

inline void activation(floats g, int64_t curve, floats& value, floats& slope) {
    constexpr float c = 1.5957691216f;  // 2·sqrt(2/π)
    if (curve == ERROR) {
        const floats e = exponential(g * g * -0.5f), share = 0.5f + 0.5f * error_function(g * 0.70710678f, e);
        value = g * share;
        slope = share + g * e * 0.39894228f;  // 1/sqrt(2π)
    } else if (curve == TANH) {
        const floats gate = sigmoid(c * (g + 0.044715f * g * g * g));
        value = g * gate;
        slope = gate + value * (1.0f - gate) * c * (1.0f + 0.134145f * g * g);
    } else if (curve >= RELU) {
        value = g < 0 ? floats{} : g;
        slope = g > 0 ? spread(1.0f) : floats{};
        if (curve == SQUARED) slope = 2.0f * value, value *= value;
    } else {
        const floats gate = sigmoid(g);
        value = g * gate;
        slope = gate * (1.0f + g * (1.0f - gate));
    }
}

// y [T, 2 I] holds gate and up side by side; their sums with bias and low-rank are written back, out = act(gate) · up. Of
// one part, y [T, I], out = act(y).
template <class S>
void gated(S* y, const float* bias, LowRank<S> gate, LowRank<S> up, Act act, int64_t T, int64_t I, S* out) {
    const int64_t stride = act.parts * I;
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < T; t += ROWS) {
        const int rows = T - t < ROWS ? T - t : ROWS;
        const Lines<S> gates(gate, t, rows), ups(up, t, rows);
        for (int64_t n = 0; n < I; n += 2 * WIDE) {
            floats g[ROWS][2], u[ROWS][2];
            summed<2>(g, y, stride, bias, gates, t, rows, n, I);
            if (act.parts > 1) summed<2>(u, y + I, stride, bias ? bias + I : bias, ups, t, rows, n, I);
            for (int i = 0; i < rows; i++)
                for (int j = 0; j < 2; j++) {
                    const int64_t at = (t + i) * stride + n + WIDE * j;
                    floats value, slope;
                    activation(g[i][j], act.curve, value, slope);
                    store(y + at, g[i][j]);
                    if (act.parts > 1) {
                        store(y + at + I, u[i][j]);
                        value *= u[i][j];
                    }
                    store(out + (t + i) * I + n + WIDE * j, value);
                }
        }
    }
}

// y's parts become their gradients; dout is taken with its low-rank part; `again` is what `gated` gave once more.
template <class S>
void gated_backward(S* y, const S* dout, LowRank<S> low, Act act, int64_t T, int64_t I, S* again) {
    const int64_t stride = act.parts * I;
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < T; t += ROWS) {
        const int rows = T - t < ROWS ? T - t : ROWS;
        const Lines<S> lines(low, t, rows);
        for (int64_t n = 0; n < I; n += 2 * WIDE) {
            floats d[ROWS][2];
            summed<2>(d, dout, I, nullptr, lines, t, rows, n, I);
            for (int i = 0; i < rows; i++)
                for (int j = 0; j < 2; j++) {
                    const int64_t at = (t + i) * stride + n + WIDE * j;
                    floats value, slope, down = d[i][j];
                    activation(load(y + at), act.curve, value, slope);
                    if (act.parts > 1) {
                        const floats u = load(y + at + I);
                        store(y + at + I, down * value);
                        down *= u, value *= u;
                    }
                    store(y + at, down * slope);
                    store(again + (t + i) * I + n + WIDE * j, value);
                }
        }
    }
}

// Queries, keys or values in a row: their first head, how many there are, how many share a norm, and the norm's place
// among a row's.
struct Kind {
    int64_t first, count, together, norm;
    const float* weight;

    static Kind of(int kind, const Heads& h, const float* query_weight, const float* key_weight) {
        if (kind == 0) return {0, h.H, h.jointly ? h.H : 1, 0, query_weight};
        if (kind == 1) return {h.H, h.K, h.jointly ? h.K : 1, h.jointly ? 1 : h.H, key_weight};
        return {h.H + h.K, h.K, 1, 0, nullptr};
    }
};

// y's queries and keys (sums with bias and low-rank) are normed where weights are given, and turned by their positions.
// cos, sin [T, turned]. With norms, y keeps the sums and rstd [T, norms of a row] their scales; out may be y where there
// are none.
template <class S>
void heads(
    S* y, const float* bias, LowRank<S> q, LowRank<S> k, LowRank<S> v, const float* query_weight, const float* key_weight,
    float eps, const float* cos, const float* sin, Heads h, int64_t T, S* out, float* rstd
) {
    const int64_t N = (h.H + 2 * h.K) * h.W, half = h.turned / 2;
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < T; t += ROWS) {
        const int rows = T - t < ROWS ? T - t : ROWS;
        const Lines<S> lines[3] = {{q, t, rows}, {k, t, rows}, {v, t, rows}};
        float line[ROWS * WIDEST];
        for (int kind = 0; kind < 3; kind++) {
            const Kind own = Kind::of(kind, h, query_weight, key_weight);
            const int64_t size = own.together * h.W;
            for (int64_t head = 0; head < own.count; head += own.together) {
                const S* from = y + own.first * h.W;
                const float* shift = bias ? bias + own.first * h.W : bias;
                int64_t n = 0;
                for (; n + 2 * WIDE <= size; n += 2 * WIDE) {
                    floats acc[ROWS][2];
                    summed<2>(acc, from, N, shift, lines[kind], t, rows, head * h.W + n, own.count * h.W);
                    for (int i = 0; i < rows; i++)
                        for (int j = 0; j < 2; j++) store(line + i * size + n + WIDE * j, acc[i][j]);
                }
                for (; n < size; n += WIDE) {
                    floats acc[ROWS][1];
                    summed<1>(acc, from, N, shift, lines[kind], t, rows, head * h.W + n, own.count * h.W);
                    for (int i = 0; i < rows; i++) store(line + i * size + n, acc[i][0]);
                }
                for (int i = 0; i < rows; i++) {
                    float* at = line + i * size;
                    S* to = out + (t + i) * N + (own.first + head) * h.W;
                    if (own.weight) {
                        S* kept = y + (t + i) * N + (own.first + head) * h.W;
                        for (int64_t n = 0; n < size; n += WIDE) store(kept + n, load(at + n));
                        const float scale = 1 / std::sqrt(squared<S>(at, 0.0f, size) / size + eps);
                        rstd[(t + i) * h.norms() + own.norm + head / own.together] = scale;
                        for (int64_t n = 0; n < size; n += WIDE) store(at + n, load(at + n) * scale * load(own.weight + n));
                    }
                    const float *c = cos + (t + i) * h.turned, *s = sin + (t + i) * h.turned;
                    for (int64_t begin = 0; begin < size; begin += h.W, at += h.W, to += h.W) {
                        int64_t turned = kind < 2 ? h.turned : 0;
                        if (turned / 2 % WIDE) {
                            for (int64_t n = 0; n < half; n++) {
                                const float a = at[n], b = at[half + n];
                                at[n] = a * c[n] - b * s[n], at[half + n] = b * c[half + n] + a * s[half + n];
                            }
                            turned = 0;
                        }
                        for (int64_t n = 0; n < turned / 2; n += WIDE) {
                            const floats a = load(at + n), b = load(at + half + n);
                            store(to + n, a * load(c + n) - b * load(s + n));
                            store(to + half + n, b * load(c + half + n) + a * load(s + half + n));
                        }
                        for (int64_t n = turned; n < h.W; n += WIDE) store(to + n, load(at + n));
                    }
                }
            }
        }
    }
}

// The gradient of `heads` in its outputs becomes, in place, that in its inputs; y and rstd are what `heads` kept.
// Where there are norms grad_weight [shares, of queries then of keys], if given, gains Σ d·x̂.
template <class S>
void heads_backward(
    S* grad, const S* y, const float* rstd, const float* query_weight, const float* key_weight, const float* cos,
    const float* sin, Heads h, int64_t T, float* grad_weight, int64_t shares
) {
    const int64_t N = (h.H + 2 * h.K) * h.W, half = h.turned / 2, share = (T + shares - 1) / shares;
    const int64_t learnt = (h.jointly ? h.H + h.K : 2) * h.W;
#pragma omp parallel for schedule(static)
    for (int64_t part = 0; part < shares; part++) {
        float line[WIDEST];
        const int64_t stop = (part + 1) * share < T ? (part + 1) * share : T;
        for (int64_t t = part * share; t < stop; t++) {
            const float *c = cos + t * h.turned, *s = sin + t * h.turned;
            for (int kind = 0; kind < 2; kind++) {
                const Kind own = Kind::of(kind, h, query_weight, key_weight);
                const int64_t size = own.together * h.W;
                float* gained = grad_weight ? grad_weight + part * learnt + (kind ? learnt - size : 0) : nullptr;
                for (int64_t head = 0; head < own.count; head += own.together) {
                    S* to = grad + t * N + (own.first + head) * h.W;
                    for (int64_t begin = 0; begin < size; begin += h.W) {
                        const S* at = to + begin;
                        float* into = line + begin;
                        const int64_t turned = half % WIDE ? 0 : h.turned;
                        for (int64_t n = 0; n < turned / 2; n += WIDE) {
                            const floats a = load(at + n), b = load(at + half + n);
                            store(into + n, a * load(c + n) + b * load(s + half + n));
                            store(into + half + n, b * load(c + half + n) - a * load(s + n));
                        }
                        for (int64_t n = turned; n < h.W; n += WIDE) store(into + n, load(at + n));
                        for (int64_t n = 0; n < half && !turned; n++) {
                            const float a = into[n], b = into[half + n];
                            into[n] = a * c[n] + b * s[half + n], into[half + n] = b * c[half + n] - a * s[n];
                        }
                    }
                    if (own.weight) {
                        const S* x = y + t * N + (own.first + head) * h.W;
                        const float scale = rstd[t * h.norms() + own.norm + head / own.together];
                        floats dot{};
                        for (int64_t n = 0; n < size; n += WIDE) dot += load(line + n) * load(own.weight + n) * load(x + n);
                        const float mean = total(dot) * scale * scale / size;
                        for (int64_t n = 0; n < size; n += WIDE) {
                            const floats d = load(line + n), here = load(x + n);
                            if (gained) store(gained + n, load(gained + n) + d * here * scale);
                            store(line + n, scale * (d * load(own.weight + n) - here * mean));
                        }
                    }
                    for (int64_t n = 0; n < size; n += WIDE) store(to + n, load(line + n));
                }
            }
        }
    }
}

}  // namespace affina

using namespace affina;

#define LOW(S, name) const S *name##_u, const float *name##_b, int64_t name##_stride, int64_t name##_rank
#define AS_LOW(S, name) LowRank<S>{name##_u, name##_b, name##_stride, name##_rank}
#define FACES(S, suffix)                                                                                                    \
    extern "C" void norm_rows_##suffix(                                                                                     \
        const float* x, const float* w, const float* b, float eps, int64_t T, int64_t D, S* out, float* rstd                \
    ) {                                                                                                                     \
        norm_rows<S>(x, {w, b, eps}, T, D, out, rstd);                                                                      \
    }                                                                                                                       \
    extern "C" void add_residual_##suffix(                                                                                  \
        const float* res, S* y, const float* bias, LOW(S, low), float times, const float* jw, float jeps, float* jrstd,     \
        int64_t T, int64_t D, float* out, const float* w, const float* b, float eps, S* normed, float* rstd                 \
    ) {                                                                                                                     \
        add_residual<S>(                                                                                                    \
            res, y, bias, AS_LOW(S, low), {times, jw, jeps, jrstd}, T, D, out, {w, b, eps}, normed, rstd                    \
        );                                                                                                                  \
    }                                                                                                                       \
    extern "C" void join_backward_##suffix(                                                                                 \
        const float* grad, const S* y, float times, const float* w, float* rstd, int64_t T, int64_t D, S* dy, float* gw,    \
        int64_t shares                                                                                                      \
    ) {                                                                                                                     \
        join_backward<S>(grad, y, {times, w, 0.0f, rstd}, T, D, dy, gw, shares);                                            \
    }                                                                                                                       \
    extern "C" void norm_backward_##suffix(                                                                                 \
        const float* x, const float* rstd, const float* w, const float* b, const S* dy, LOW(S, low), const float* grad,     \
        int64_t T, int64_t D, float* out, S* cast, float* gw, float* gb, int64_t shares                                     \
    ) {                                                                                                                     \
        norm_backward<S>(x, rstd, {w, b, 0.0f}, dy, AS_LOW(S, low), grad, T, D, out, cast, gw, gb, shares);                 \
    }                                                                                                                       \
    extern "C" void gated_##suffix(                                                                                         \
        S* y, const float* bias, LOW(S, gate), LOW(S, up), int64_t curve, int64_t parts, int64_t T, int64_t I, S* out        \
    ) {                                                                                                                     \
        gated<S>(y, bias, AS_LOW(S, gate), AS_LOW(S, up), {curve, parts}, T, I, out);                                        \
    }                                                                                                                       \
    extern "C" void gated_backward_##suffix(                                                                                \
        S* y, const S* dout, LOW(S, low), int64_t curve, int64_t parts, int64_t T, int64_t I, S* again                       \
    ) {                                                                                                                     \
        gated_backward<S>(y, dout, AS_LOW(S, low), {curve, parts}, T, I, again);                                             \
    }                                                                                                                       \
    extern "C" void add_low_##suffix(S* y, LOW(S, low), int64_t T, int64_t D) {                                             \
        add_low<S>(y, AS_LOW(S, low), T, D);                                                                                \
    }                                                                                                                       \
    extern "C" void heads_##suffix(                                                                                         \
        S* y, const float* bias, LOW(S, q), LOW(S, k), LOW(S, v), const float* qw, const float* kw, float eps,              \
        const float* cos, const float* sin, int64_t H, int64_t K, int64_t W, int64_t turned, int64_t jointly, int64_t T,    \
        S* out, float* rstd                                                                                                 \
    ) {                                                                                                                     \
        const Heads h{H, K, W, turned, jointly};                                                                            \
        heads<S>(y, bias, AS_LOW(S, q), AS_LOW(S, k), AS_LOW(S, v), qw, kw, eps, cos, sin, h, T, out, rstd);                \
    }                                                                                                                       \
    extern "C" void heads_backward_##suffix(                                                                                \
        S* grad, const S* y, const float* rstd, const float* qw, const float* kw, const float* cos, const float* sin,       \
        int64_t H, int64_t K, int64_t W, int64_t turned, int64_t jointly, int64_t T, float* gw, int64_t shares              \
    ) {                                                                                                                     \
        heads_backward<S>(grad, y, rstd, qw, kw, cos, sin, {H, K, W, turned, jointly}, T, gw, shares);                      \
    }

FACES(float, float32)
FACES(bf16, bf16)

#define FROM_HERE(name) template decltype(name<bf16>) name<bf16>;
FROM_HERE(norm_rows)
FROM_HERE(add_residual)
FROM_HERE(join_backward)
FROM_HERE(norm_backward)
FROM_HERE(gated)
FROM_HERE(gated_backward)
FROM_HERE(heads)
FROM_HERE(heads_backward)
FROM_HERE(add_low)
