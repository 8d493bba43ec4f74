// Sixteen floats at a time, written with the compiler's vector extension: no instruction set is assumed.
#pragma once
#include <cstdint>
#include <cstring>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

namespace affina {

constexpr int WIDE = 16;
typedef float floats __attribute__((vector_size(64), aligned(4)));
typedef double eights __attribute__((vector_size(64), aligned(8)));
typedef int64_t longs __attribute__((vector_size(64), aligned(8)));
typedef float octets __attribute__((vector_size(32), aligned(4)));
typedef int32_t ints __attribute__((vector_size(64), aligned(4)));
typedef uint32_t words __attribute__((vector_size(64), aligned(4)));
typedef uint16_t halves __attribute__((vector_size(32), aligned(2)));

struct bf16 {
    uint16_t bits;
};

// Sixteen doubles, of two registers.
struct doubles {
    eights low, high;
};

inline doubles operator+(doubles a, doubles b) { return {a.low + b.low, a.high + b.high}; }
inline doubles operator-(doubles a, doubles b) { return {a.low - b.low, a.high - b.high}; }
inline doubles operator*(doubles a, doubles b) { return {a.low * b.low, a.high * b.high}; }
inline doubles operator-(doubles a, double b) { return {a.low - b, a.high - b}; }
inline doubles operator*(doubles a, double b) { return {a.low * b, a.high * b}; }
inline doubles& operator+=(doubles& a, doubles b) { return a = a + b; }

template <class Vector>
inline Vector widened(floats value);

template <>
inline floats widened<floats>(floats value) {
    return value;
}

template <>
inline doubles widened<doubles>(floats value) {
    octets half[2];
    std::memcpy(half, &value, sizeof half);
    return {__builtin_convertvector(half[0], eights), __builtin_convertvector(half[1], eights)};
}

inline floats narrow(floats value) { return value; }

inline floats narrow(doubles value) {
    const octets half[2] = {__builtin_convertvector(value.low, octets), __builtin_convertvector(value.high, octets)};
    floats made;
    std::memcpy(&made, half, sizeof made);
    return made;
}

// Vectors that sums of rows stored so are taken in.
template <class Storage>
struct SumOf {
    using Type = floats;
};
template <>
struct SumOf<float> {
    using Type = doubles;
};

inline floats spread(float value) { return floats{} + value; }

inline floats load(const float* from) {
    floats value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

inline floats load(const bf16* from) {
    halves value;
    std::memcpy(&value, from, sizeof value);
    return (floats)(__builtin_convertvector(value, words) << 16);
}

inline doubles load(const double* from) {
    doubles value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

inline void store(float* to, floats value) { std::memcpy(to, &value, sizeof value); }

inline void store(double* to, doubles value) { std::memcpy(to, &value, sizeof value); }

inline void store(double* to, eights value) { std::memcpy(to, &value, sizeof value); }

inline void store(bf16* to, floats value) {  // to the nearest, ties to even; a NaN stays one
#ifdef __AVX512BF16__
    const __m256bh rounded = _mm512_cvtneps_pbh((__m512)value);
    std::memcpy(to, &rounded, sizeof rounded);
#else
    const words bits = (words)value;
    const words rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    const words chosen = (words)(value == value) & rounded | (words)(value != value) & 0x7fc0;
    const halves kept = __builtin_convertvector(chosen, halves);
    std::memcpy(to, &kept, sizeof kept);
#endif
}

inline float scalar(const float* from) { return *from; }

inline float scalar(const bf16* from) {
    const uint32_t bits = (uint32_t)from->bits << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

inline float total(floats value) {
    float sum = 0;
    for (int i = 0; i < WIDE; i++) sum += value[i];
    return sum;
}

inline double total(doubles value) {
    const eights both = value.low + value.high;
    double sum = 0;
    for (int i = 0; i < WIDE / 2; i++) sum += both[i];
    return sum;
}

// The less and the larger of two; b where one of them is a NaN.
inline floats smaller(floats a, floats b) {
#ifdef __AVX512F__
    return (floats)_mm512_min_ps((__m512)a, (__m512)b);
#else
    return a < b ? a : b;
#endif
}

inline floats larger(floats a, floats b) {
#ifdef __AVX512F__
    return (floats)_mm512_max_ps((__m512)a, (__m512)b);
#else
    return a > b ? a : b;
#endif
}

// e^x for x in [-87, 88], beyond it the value at the bound; relative error below 2e-7 (Cephes' polynomial).
inline floats exponential(floats x) {
    x = smaller(larger(x, spread(-87.0f)), spread(88.0f));
    const floats shifted = x * 1.44269504f + 12582912.0f;  // the sum's last bits are round(x / ln 2)
    const floats n = shifted - 12582912.0f;
    const floats r = x - n * 0.693359375f + n * 2.12194440e-4f;
    floats p = spread(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    const ints power = (__builtin_convertvector(n, ints) + 127) << 23;
    return p * (floats)power;
}

}  // namespace affina
