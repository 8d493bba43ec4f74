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

// A norm's rows: x · weight / √(mean x² + eps); with a bias a layer norm: less its mean before, and the bias after.
struct Norm {
    const float *weight, *bias;
    float eps;
};

// How a part's output enters the residual stream: times · (its RMS norm, where a weight is given), whose scales are kept.
struct Join {
    float times = 1.0f;
    const float* weight = nullptr;
    float eps = 0.0f;
    float* rstd = nullptr;  // [T]

    bool plain() const { return times == 1.0f && !weight; }
};

// The heads' shape: H query heads, K key heads, K value heads of width W side by side in a row of (H + 2K)·W. Their first
// `turned` numbers are turned by positions; norms are over each head or, `jointly`, over all queries and over all keys.
struct Heads {
    int64_t H, K, W, turned, jointly;

    int64_t norms() const { return jointly ? 2 : H + K; }  // of a row
};

constexpr int64_t TANH = 1, ERROR = 2, RELU = 3, SQUARED = 4;  // gelu's two forms, relu and its square; 0 is silu

// What the inner product's sums become: act(y), or act(gate) · up of two halves.
struct Act {
    int64_t curve, parts;
};

template <class S>
void norm_rows(const float* x, Norm norm, int64_t T, int64_t D, S* out, float* rstd);

template <class S>
void add_residual(
    const float* residual, S* y, const float* bias, LowRank<S> low, Join join, int64_t T, int64_t D, float* out, Norm norm,
    S* normed, float* rstd
);

template <class S>
void join_backward(
    const float* grad, const S* y, Join join, int64_t T, int64_t D, S* dy, float* grad_weight, int64_t shares
);

template <class S>
void norm_backward(
    const float* x, const float* rstd, Norm norm, const S* dy, LowRank<S> low, const float* grad, int64_t T, int64_t D,
    float* grad_out, S* cast, float* grad_weight, float* grad_bias, int64_t shares
);

template <class S>
void gated(S* y, const float* bias, LowRank<S> gate, LowRank<S> up, Act act, int64_t T, int64_t I, S* out);

template <class S>
void gated_backward(S* y, const S* dout, LowRank<S> low, Act act, int64_t T, int64_t I, S* again);

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
