// Small matrix products out of registers, on 32-bit words: two bf16 along the summed axis where the processor
// multiplies them in pairs (AVX512-BF16), one float elsewhere. Sums are float32.
#pragma once
#include <cstdlib>
#include <cstring>
#include <type_traits>

#include "vector.h"

namespace affina {
namespace {

#ifdef __AVX512F__
constexpr int HIGH = 6, BROAD = 4;  // rows × vectors of sums held in registers: 24 of 32
#else
constexpr int HIGH = 2, BROAD = 2;
#endif

struct Singles {
    using Element = float;
    using Word = int32_t;
    using Words = ints;       // a register of them
    using Register = floats;  // of sums
    using Sum = floats;       // of sixteen lanes
    using Number = float;
    static constexpr int STEP = 1;  // elements of the summed axis in a word
    static constexpr int LANES = WIDE;
    static constexpr bool APART = false;  // whether a product is summed before it is added to what is there
    static floats add(floats sum, ints a, ints b) { return sum + (floats)a * (floats)b; }
    // Rows n and n + 1 as words of the summed axis n.
    static void put_words(int32_t* to, int64_t row, floats low, floats high, bool both) {
        store((float*)to, low);
        if (both) store((float*)to + row, high);
    }
};

#ifdef __AVX512BF16__
struct Pairs : Singles {
    using Element = bf16;
    static constexpr int STEP = 2;
    static floats add(floats sum, ints a, ints b) {
        return (floats)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
    }
    static void put_words(int32_t* to, int64_t, floats low, floats high, bool) {
        const __m512i order = _mm512_set_epi16(
            31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17,
            1, 16, 0
        );
        const __m512i both = (__m512i)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
        _mm512_storeu_si512(to, _mm512_permutexvar_epi16(order, both));
    }
};
#endif

// One double a word.
struct Doubles {
    using Element = double;
    using Word = double;
    using Words = eights;
    using Register = eights;
    using Sum = doubles;
    using Number = double;
    static constexpr int STEP = 1;
    static constexpr int LANES = WIDE / 2;
    static constexpr bool APART = false;
    static eights add(eights sum, eights a, eights b) { return sum + a * b; }
};

// Singles' sums of one product, added to doubles.
struct Gathered : Singles {
    using Number = double;
    static constexpr bool APART = true;
};

// How products of tensors stored so are computed; where the storage is float, some in double or gathered in double.
template <class Storage>
struct ModeOf {
    using Type = Singles;
    using Wide = Doubles;
    using Gather = Gathered;
};
template <>
struct ModeOf<bf16> {
#ifdef __AVX512BF16__
    using Type = Pairs;
#else
    using Type = Singles;
#endif
    using Wide = Type;
    using Gather = Type;
};

// The left matrix: its word at row i and step k of the summed axis stands `i · row + k · step` bytes after `at`.
struct Left {
    const char* at;
    int64_t row, step;
};

// The right matrix, [steps, columns] words, and where the sums go.
template <class Word>
struct Right {
    const Word* at;
    int64_t step;
};

template <class Number>
struct Sums {
    Number* at;
    int64_t row;
    bool add;  // to what is there
};

template <class Mode, int ROWS, int VECTORS>
inline void product(Left a, Right<typename Mode::Word> b, int64_t steps, Sums<typename Mode::Number> c) {
    constexpr int LANES = Mode::LANES;
    typename Mode::Register sum[ROWS][VECTORS];
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 8
        for (int j = 0; j < VECTORS; j++) {
            sum[i][j] = typename Mode::Register{};
            if constexpr (!Mode::APART)
                if (c.add) std::memcpy(&sum[i][j], c.at + i * c.row + LANES * j, sizeof sum[i][j]);
        }
    for (int64_t k = 0; k < steps; k++) {
        typename Mode::Words right[VECTORS];
#pragma GCC unroll 8
        for (int j = 0; j < VECTORS; j++) std::memcpy(&right[j], b.at + k * b.step + LANES * j, sizeof right[j]);
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; i++) {
            typename Mode::Word word;
            std::memcpy(&word, a.at + i * a.row + k * a.step, sizeof word);
            const typename Mode::Words left = typename Mode::Words{} + word;
#pragma GCC unroll 8
            for (int j = 0; j < VECTORS; j++) sum[i][j] = Mode::add(sum[i][j], left, right[j]);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 8
        for (int j = 0; j < VECTORS; j++) {
            auto* at = c.at + i * c.row + LANES * j;
            if constexpr (Mode::APART) store(at, load(at) + widened<doubles>(sum[i][j]));
            else store(at, sum[i][j]);
        }
}

// As many rows as there are, at once while there are enough: few sizes keep the build short.
template <class Mode, int VECTORS, int ROWS = HIGH>
inline void every_row(
    Left a, int64_t rows, Right<typename Mode::Word> b, int64_t steps, Sums<typename Mode::Number> c
) {
    for (; rows >= ROWS; rows -= ROWS, a.at += ROWS * a.row, c.at += ROWS * c.row)
        product<Mode, ROWS, VECTORS>(a, b, steps, c);
    if constexpr (ROWS > 1) {
        if (rows > 0) every_row<Mode, VECTORS, ROWS / 2>(a, rows, b, steps, c);
    }
}

// c [rows, lanes] (+)= a [rows, steps] · b [steps, lanes]; lanes a multiple of 16.
template <class Mode, int VECTORS = BROAD>
inline void multiply(
    Left a, int64_t rows, Right<typename Mode::Word> b, int64_t lanes, int64_t steps, Sums<typename Mode::Number> c
) {
    constexpr int AT_ONCE = VECTORS * Mode::LANES;
    for (; lanes >= AT_ONCE; lanes -= AT_ONCE, b.at += AT_ONCE, c.at += AT_ONCE)
        every_row<Mode, VECTORS>(a, rows, b, steps, c);
    if constexpr (VECTORS > 1) {
        if (lanes > 0) multiply<Mode, VECTORS / 2>(a, rows, b, lanes, steps, c);
    }
}

// [16, 16] words → their transpose.
inline void transpose16(const int32_t* from, int64_t from_row, int32_t* to, int64_t to_row) {
#ifdef __AVX512F__
    __m512i a[16], b[16];
    for (int i = 0; i < 16; i++) a[i] = _mm512_loadu_si512(from + i * from_row);
    for (int i = 0; i < 16; i += 2) {
        b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
        b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        a[i] = _mm512_unpacklo_epi64(b[i], b[i + 2]);
        a[i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 2]);
        a[i + 2] = _mm512_unpacklo_epi64(b[i + 1], b[i + 3]);
        a[i + 3] = _mm512_unpackhi_epi64(b[i + 1], b[i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        b[i] = _mm512_shuffle_i32x4(a[i], a[i + 4], 0x88);
        b[i + 4] = _mm512_shuffle_i32x4(a[i], a[i + 4], 0xdd);
        b[i + 8] = _mm512_shuffle_i32x4(a[i + 8], a[i + 12], 0x88);
        b[i + 12] = _mm512_shuffle_i32x4(a[i + 8], a[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        _mm512_storeu_si512(to + i * to_row, _mm512_shuffle_i32x4(b[i], b[i + 8], 0x88));
        _mm512_storeu_si512(to + (i + 8) * to_row, _mm512_shuffle_i32x4(b[i], b[i + 8], 0xdd));
        _mm512_storeu_si512(to + (i + 4) * to_row, _mm512_shuffle_i32x4(b[i + 4], b[i + 12], 0x88));
        _mm512_storeu_si512(to + (i + 12) * to_row, _mm512_shuffle_i32x4(b[i + 4], b[i + 12], 0xdd));
    }
#else
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 16; j++) to[j * to_row + i] = from[i * from_row + j];
#endif
}

// [rows, words] → [words, rows]; rows a multiple of 16, `words` rounded up to 16 readable and writable.
inline void transpose(const int32_t* from, int64_t from_row, int64_t rows, int64_t words, int32_t* to, int64_t to_row) {
    for (int64_t i = 0; i < rows; i += 16)
        for (int64_t j = 0; j < words; j += 16)
            transpose16(from + i * from_row + j, from_row, to + j * to_row + i, to_row);
}

constexpr float LOG2_E = 1.44269504f;
constexpr double LN_2 = 0.69314718055994531;

// p · 2^n for p near 1 and a whole n up to 127. What is below 2^-126 is rounded once more, or 0 without AVX512.
inline floats raised(floats p, floats n) {
#ifdef __AVX512F__
    return (floats)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
    const floats bound = n < -127.0f ? spread(-127.0f) : n > 127.0f ? spread(127.0f) : n;
    const floats made = (floats)((ints)p + (__builtin_convertvector(bound, ints) << 23));
    return p != p ? p : n < -125.0f ? floats{} : made;
#endif
}

// The nearest whole number; what is too large for a fraction stays as it is.
inline floats nearest(floats x) {
#ifdef __AVX512F__
    return (floats)_mm512_roundscale_ps((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
    const floats size = (floats)((ints)x & 0x7fffffff);
    const floats whole = (floats)((ints)(8388608.0f + spread(0.0f)) | ((ints)x & (int32_t)0x80000000));  // 2^23, x's sign
    return size < 8388608.0f ? x + whole - whole : x;
#endif
}

// The next whole number that is not less.
inline floats next_whole(floats x) {
    const floats n = nearest(x);
    return n < x ? n + 1.0f : n;
}

// 2^(x - shift) for a whole shift, with a relative error below 1e-7 down to 2^-126 (degree 6, least largest error on
// [-1/2, 1/2]); 0 at x = -∞. Down to there another shift gives the same bits but for the exponent.
inline floats power_of_two(floats x, floats shift = floats{}) {
    x = larger(spread(-3e38f), x);  // a NaN stays one
    const floats n = nearest(x), r = x - n;
    floats p = spread(0.00015345811f);
    p = p * r + 0.0013399931f;
    p = p * r + 0.009618489f;
    p = p * r + 0.055503286f;
    p = p * r + 0.24022646f;
    p = p * r + 0.6931472f;
    p = p * r + 1.0f;
    return raised(p, n - shift);
}

// tanh x, absolute error below 3e-7 and relative error below 1e-6.
inline floats hyperbolic_tangent(floats x) {
    const floats size = (floats)((ints)x & 0x7fffffff);
    const floats far = 1.0f - 2.0f / (power_of_two((size >= 20.0f ? spread(20.0f) : size) * 2.88539008f) + 1.0f);
    const floats y = x * x;
    const floats near = size * (1.0f + y * (-0.33333333f + y * (0.13333333f + y * (-0.05396825f + y * 0.02186949f))));
    const floats value = size < 0.25f ? near : far;
    return (floats)((ints)value | ((ints)x & (int32_t)0x80000000));
}

inline float added(floats a) {
#ifdef __AVX512F__
    return _mm512_reduce_add_ps((__m512)a);
#else
    return total(a);
#endif
}

inline double added(doubles a) { return total(a); }

inline bool any(ints mask) {
#ifdef __AVX512F__
    return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0;
#else
    int32_t all = 0;
    for (int i = 0; i < WIDE; i++) all |= mask[i];
    return all != 0;
#endif
}

// Memory of one thread that only grows: a fresh block per call would cost page faults every time.
class Scratch {
    char* at = nullptr;
    size_t size = 0;

public:
    ~Scratch() { std::free(at); }
    // At least `bytes`, aligned to a cache line; null when there is no memory.
    char* of(size_t bytes) {
        if (bytes > size || at == nullptr) {
            std::free(at);
            size = bytes / 4096 * 4096 + 4096;
            at = static_cast<char*>(std::aligned_alloc(4096, size));
            if (at == nullptr) size = 0;
        }
        return at;
    }
};

// Hands out parts of one piece of memory; without a base it only counts.
struct Parts {
    char* base;
    size_t used = 0;

    template <class T>
    T* take(int64_t count) {
        T* at = base == nullptr ? nullptr : (T*)(base + used);
        used += ((size_t)count * sizeof(T) + 127) / 64 * 64;
        return at;
    }
};

// `run(work, item)` for every item, the next by whoever is free; a thread's work is made of `given` in memory of its own.
// 0, or 1 when there is no memory.
template <class Work, class Given, class Run>
int each_item(const Given& given, int64_t items, const Run& run) {
    Parts counted{nullptr};
    Work(counted, given);
    int failed = 0;
#pragma omp parallel reduction(| : failed)
    {
        static thread_local Scratch own;
        char* base = own.of(counted.used);
        failed = base == nullptr;
        Parts parts{base};
        Work work(parts, given);
#pragma omp for schedule(dynamic, 1)
        for (int64_t n = 0; n < items; n++)
            if (!failed) run(work, n);
    }
    return failed;
}

}  // namespace
}  // namespace affina
