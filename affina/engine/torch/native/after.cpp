// What stands between the products of a block whose norms come after the residual sums (Devlin et al., 2019): the half's
// output, a share of it dropped, is added to the residual stream, and the sum's layer norm is what goes on.
#include "dropped.h"
#include "sums.h"

namespace affina {

// Which numbers of a half's output stay, `scale` times; all of them where there are no bits.
struct Rest {
    const uint32_t* bits;  // [T, words of D]
    float scale;

    floats of(floats value, int64_t t, int64_t n, int64_t D) const {
        return bits ? kept(value, bits[t * words_of_bits(D) + n / BITS] >> n % BITS, scale) : value;
    }
};

// sums = residual + rest(y + bias + low-rank); out its layer norm, and `cast` the same in storage precision.
template <class S>
void add_norm(
    const float* residual, const S* y, const float* bias, LowRank<S> low, Rest rest, Norm norm, int64_t T, int64_t D,
    float* sums, float* out, S* cast, float* rstd
) {
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < T; t += ROWS) {
        const int rows = T - t < ROWS ? T - t : ROWS;
        each_sum(y, bias, Lines<S>(low, t, rows), t, rows, D, [&](int i, int64_t n, const floats& sum) {
            const int64_t at = (t + i) * D + n;
            store(sums + at, load(residual + at) + rest.of(sum, t + i, n, D));
        });
        for (int64_t row = t; row < t + rows; row++) {
            const float* from = sums + row * D;
            const float mean = mean_of(from, D), scale = 1 / std::sqrt(squared<S>(from, mean, D) / D + norm.eps);
            rstd[row] = scale;
            for (int64_t n = 0; n < D; n += WIDE) {
                const floats made = (load(from + n) - mean) * scale * load(norm.weight + n) + load(norm.bias + n);
                store(out + row * D + n, made);
                store(cast + row * D + n, made);
            }
        }
    }
}

// The gradient in the sums, from d = grad + dy + low-rank in their norm (dy may be null): rstd · (w·d − mean(w·d) − x̂ · mean(w·d·x̂));
// `cast` is that in the half's output. `grad_weight` [shares, D], where given, gains each share's part of Σ_t d·x̂,
// `grad_bias` that of Σ_t d.
template <class S>
void add_norm_backward(
    const float* sums, const float* rstd, const float* weight, const float* grad, const S* dy, LowRank<S> low, Rest rest,
    int64_t T, int64_t D, float* grad_sums, S* cast, float* grad_weight, float* grad_bias, int64_t shares
) {
    const int64_t share = (T / ROWS + shares) / shares * ROWS;
#pragma omp parallel for schedule(static)
    for (int64_t part = 0; part < shares; part++) {
        const int64_t stop = (part + 1) * share < T ? (part + 1) * share : T;
        for (int64_t t = part * share; t < stop; t += ROWS) {
            const int rows = stop - t < ROWS ? stop - t : ROWS;
            if (dy)
                each_sum(dy, nullptr, Lines<S>(low, t, rows), t, rows, D, [&](int i, int64_t n, const floats& sum) {
                    const int64_t at = (t + i) * D + n;
                    store(grad_sums + at, load(grad + at) + sum);
                });
            else
                std::memcpy(grad_sums + t * D, grad + t * D, (size_t)(rows * D) * sizeof(float));
            for (int64_t row = t; row < t + rows; row++) {
                float* d = grad_sums + row * D;
                const float *from = sums + row * D, scale = rstd[row], centre = mean_of(from, D);
                floats dot{}, all{};
                for (int64_t n = 0; n < D; n += WIDE) {
                    const floats each = load(d + n) * load(weight + n);
                    dot += each * (load(from + n) - centre);
                    all += each;
                }
                const float mean = total(dot) * scale * scale / D, level = total(all) / D;
                for (int64_t n = 0; n < D; n += WIDE) {
                    const floats each = load(d + n), here = load(from + n) - centre;
                    const floats made = scale * (each * load(weight + n) - level - here * mean);
                    store(d + n, made);
                    store(cast + row * D + n, rest.of(made, row, n, D));
                    if (grad_weight) {
                        float *w = grad_weight + part * D + n, *b = grad_bias + part * D + n;
                        store(w, load(w) + each * here * scale);
                        store(b, load(b) + each);
                    }
                }
            }
        }
    }
}

}  // namespace affina

using namespace affina;

#define FACES(S, suffix)                                                                                                    \
    extern "C" void add_norm_##suffix(                                                                                      \
        const float* residual, const S* y, const float* bias, const S* u, const float* lb, int64_t stride, int64_t rank,    \
        const uint32_t* bits, float scale, const float* w, const float* b, float eps, int64_t T, int64_t D, float* sums,    \
        float* out, S* cast, float* rstd                                                                                    \
    ) {                                                                                                                     \
        add_norm<S>(residual, y, bias, {u, lb, stride, rank}, {bits, scale}, {w, b, eps}, T, D, sums, out, cast, rstd);     \
    }                                                                                                                       \
    extern "C" void add_norm_backward_##suffix(                                                                             \
        const float* sums, const float* rstd, const float* w, const float* grad, const S* dy, const S* u, const float* lb,  \
        int64_t stride, int64_t rank, const uint32_t* bits, float scale, int64_t T, int64_t D, float* grad_sums, S* cast,   \
        float* gw, float* gb, int64_t shares                                                                                \
    ) {                                                                                                                     \
        add_norm_backward<S>(                                                                                               \
            sums, rstd, w, grad, dy, {u, lb, stride, rank}, {bits, scale}, T, D, grad_sums, cast, gw, gb, shares            \
        );                                                                                                                  \
    }

FACES(float, float32)
FACES(bf16, bf16)
