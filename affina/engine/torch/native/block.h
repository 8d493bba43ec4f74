// What stands between a decoder block's matrix products (block.cpp), for whoever calls it from here.
#pragma once
#include "vector.h"

namespace affina {

// A trainable product beside a frozen one: row t, column n gains Σ_r u[t, r] · b[r, n].
template <class S>
struct LowRank {
    const S* u;      // [T, R], row stride `stride`
    const float* b;  // [R, N], already scaled
    int64_t stride, rank;
};

// The heads' shape: H query heads, K key heads, K value heads of width W side by side in a row of (H + 2K)·W.
struct Heads {
    int64_t H, K, W;
};

template <class S>
void rms_norm(const float* x, const float* weight, float eps, int64_t T, int64_t D, S* out, float* rstd);

template <class S>
void add_residual(
    const float* residual, const S* y, const float* bias, LowRank<S> low, int64_t T, int64_t D, float* out,
    const float* weight, float eps, S* normed, float* rstd
);

template <class S>
void norm_backward(
    const float* x, const float* rstd, const float* weight, const S* dy, LowRank<S> low, const float* grad, int64_t T,
    int64_t D, float* grad_out, S* cast, float* grad_weight, int64_t shares
);

template <class S>
void gated(S* y, const float* bias, LowRank<S> gate, LowRank<S> up, bool gelu, int64_t T, int64_t I, S* out);

template <class S>
void gated_backward(S* y, const S* dout, LowRank<S> low, bool gelu, int64_t T, int64_t I, S* again);

template <class S>
void heads(
    S* y, const float* bias, LowRank<S> q, LowRank<S> k, LowRank<S> v, const float* query_weight, const float* key_weight,
    float eps, const float* cos, const float* sin, Heads h, int64_t T, S* out, float* rstd
);

template <class S>
void heads_backward(
    S* grad, const S* y, const float* rstd, const float* query_weight, const float* key_weight, const float* cos,
    const float* sin, Heads h, int64_t T, float* grad_weight, int64_t shares
);

template <class S>
void add_low(S* y, LowRank<S> low, int64_t T, int64_t D);

}  // namespace affina
