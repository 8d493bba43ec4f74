// Matrix products of which one side is thin: few rows by a large weight (decoding), many rows by a low-rank matrix, and
// the sum over rows of two such (the low-rank matrices' gradients). bf16 by pairs, sums float.
#include "thin.h"

#include <omp.h>

#include <algorithm>
#include <vector>

#include "tile.h"

#ifdef __AVX512BF16__
namespace affina {

constexpr int64_t AHEAD = 24;  // steps whose words are asked for before their turn

// c [ROWS, 16 · VECTORS] = a [ROWS, 2 · steps] · b; a word of a row of `a` is a pair along the summed axis.
template <int ROWS, int VECTORS>
inline void product_ahead(const char* a, int64_t row, const int32_t* b, int64_t steps, bf16* c, int64_t c_row, int64_t columns) {
    floats sum[ROWS][VECTORS]{};
    for (int64_t k = 0; k < steps; k++) {
        ints right[VECTORS];
#pragma GCC unroll 2
        for (int j = 0; j < VECTORS; j++) {
            std::memcpy(&right[j], b + k * PANEL + WIDE * j, sizeof right[j]);
            __builtin_prefetch(b + (k + AHEAD) * PANEL + WIDE * j);
        }
#pragma GCC unroll 16
        for (int i = 0; i < ROWS; i++) {
            int32_t word;
            std::memcpy(&word, a + i * row + 4 * k, sizeof word);
            const ints left = ints{} + word;
#pragma GCC unroll 2
            for (int j = 0; j < VECTORS; j++) sum[i][j] = Pairs::add(sum[i][j], left, right[j]);
        }
    }
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < VECTORS; j++) {
            bf16 line[WIDE];
            const int64_t left = columns - WIDE * j;
            store(left >= WIDE ? c + i * c_row + WIDE * j : line, sum[i][j]);
            if (left > 0 && left < WIDE) std::memcpy(c + i * c_row + WIDE * j, line, left * sizeof(bf16));
        }
}

// A panel's product for any number of rows, in as large steps as there are rows for.
template <int ROWS, int VECTORS>
inline void panel(const char* a, int64_t row, int64_t rows, const int32_t* b, int64_t steps, bf16* c, int64_t c_row, int64_t columns) {
    for (; rows >= ROWS; rows -= ROWS, a += ROWS * row, c += ROWS * c_row)
        product_ahead<ROWS, VECTORS>(a, row, b, steps, c, c_row, columns);
    constexpr int FEWER = ROWS > 8 ? 8 : ROWS / 2;
    if constexpr (FEWER > 0) {
        if (rows > 0) panel<FEWER, VECTORS>(a, row, rows, b, steps, c, c_row, columns);
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

constexpr int64_t PAIRS = 128;  // of rows that are summed at once: their words stay near
constexpr int64_t BLOCK = 48;   // rows that go through every panel while they are near

inline void lay_out(const Product& job, int64_t panel, std::vector<bf16>& line) {
    const int64_t n = panel * PANEL, rows = job.N - n < PANEL ? job.N - n : PANEL;
    line.resize(PANEL * job.K + WIDE);
    for (int64_t k = 0; k < rows * job.K; k += WIDE) {
        floats value{};
        std::memcpy(&value, job.floats + n * job.K + k, (rows * job.K - k < WIDE ? rows * job.K - k : WIDE) * sizeof(float));
        store(line.data() + k, value);
    }
    pack_panel(line.data(), job.K, rows, job.K, job.words + n * (job.K / 2));
}

inline void multiply_block(const Product& job, int64_t x_row, int64_t t, int64_t rows, int64_t n) {
    (job.N - n > WIDE ? panel<12, 2> : panel<16, 1>)(
        (const char*)(job.x + t * x_row), x_row * (int64_t)sizeof(bf16), rows, job.words + n * (job.K / 2), job.K / 2,
        job.y + t * job.y_row + n, job.y_row, job.N - n
    );
}

// A block of columns of x with every panel of u (`left`: panels of [pairs, 32] words, of which TALL are filled).
inline void sum_block(const Sum& job, int64_t T, const int32_t* left, int64_t n, int32_t* right) {
    const int64_t columns = std::min(job.N - n, SIDE), pairs = (T + 1) / 2;
    const float scale = (float)job.scale;
    interleave(job.x + n, job.x_row, T, columns, right, SIDE);
    for (int64_t r = 0; r < job.R; r += TALL, left += pairs * PANEL) {
        float sums[TALL * SIDE]{};  // what is given of no rows
        const int64_t rows = std::min(job.R - r, TALL);
        for (int64_t p = 0; p < pairs; p += PAIRS)
            every_row<Pairs, SIDE / WIDE, HIGH>(
                {(const char*)(left + p * PANEL), 4, 4 * PANEL}, rows, {right + p * SIDE, SIDE},
                std::min(pairs - p, PAIRS), {sums, SIDE, p > 0}
            );
        for (int64_t i = 0; i < rows && job.across; i++)
            for (int64_t j = 0; j < columns; j++) job.y[(r + i) * job.N + n + j] = scale * sums[i * SIDE + j];
        for (int64_t j = 0; j < columns && !job.across; j++)
            for (int64_t i = 0; i < rows; i++) job.y[(n + j) * job.R + r + i] = scale * sums[i * SIDE + j];
    }
}

}  // namespace affina

using namespace affina;

extern "C" int affina_thin() { return PANEL; }

// weight [N, K] → panels of [K / 2, 32] words, in which a row beyond the last is zeros. K is even.
extern "C" void affina_thin_pack(const bf16* weight, int64_t row, int64_t N, int64_t K, int32_t* to) {
#pragma omp parallel for schedule(static)
    for (int64_t n = 0; n < N; n += PANEL) pack_panel(weight + n * row, row, N - n, K, to + n * (K / 2));
}

// The same of its transpose, for dy W: panels of [N / 2, 32] words. N is even.
extern "C" void affina_thin_pack_back(const bf16* weight, int64_t row, int64_t N, int64_t K, int32_t* to) {
#pragma omp parallel for schedule(static)
    for (int64_t k = 0; k < K; k += PANEL) interleave(weight + k, row, N, std::min<int64_t>(PANEL, K - k), to + k * (N / 2), PANEL);
}

// Several products of columns of one x with T rows: a block of rows goes through all of them before the next.
extern "C" void affina_thin_times(const Product* jobs, int64_t count, int64_t x_row, int64_t T) {
    if (T == 0) return;
    int64_t panels = 0, floating = 0;
    for (int64_t j = 0; j < count; j++) {
        panels += jobs[j].panels();
        if (jobs[j].floats) floating += jobs[j].panels();
    }
    const int64_t block = T > BLOCK ? BLOCK : T, blocks = (T + block - 1) / block, items = blocks * panels;
    const int64_t turn = std::max<int64_t>(1, std::min<int64_t>(8, items / (4 * omp_get_max_threads())));
#pragma omp parallel
    {
        if (floating) {
            std::vector<bf16> line;
#pragma omp for schedule(static)
            for (int64_t item = 0; item < floating; item++) {
                int64_t at = item;
                const Product* job = jobs;
                for (; !job->floats || at >= job->panels(); job++) at -= job->floats ? job->panels() : 0;
                lay_out(*job, at, line);
            }
        }
#pragma omp for schedule(dynamic, turn)  // an item's bits are its own: whoever is free takes the next
        for (int64_t item = 0; item < items; item++) {
            int64_t at = item % panels;
            const int64_t t = item / panels * block;
            const Product* job = jobs;
            for (; at >= job->panels(); job++) at -= job->panels();
            multiply_block(*job, x_row, t, T - t < block ? T - t : block, at * PANEL);
        }
    }
}

// Several sums over the same T rows. 0, or 1 when there is no memory.
extern "C" int affina_thin_sums(const Sum* jobs, int64_t count, int64_t T) {
    static thread_local Scratch held;
    const int64_t words = (T + 1) / 2 * PANEL;  // of a panel
    int64_t blocks = 0, panels = 0;
    for (int64_t j = 0; j < count; j++) blocks += jobs[j].blocks(), panels += jobs[j].panels();
    int32_t* left = (int32_t*)held.of(panels * words * sizeof(int32_t));
    if (left == nullptr) return 1;
    int failed = 0;
#pragma omp parallel reduction(| : failed)
    {
        static thread_local Scratch own;
        int32_t* right = (int32_t*)own.of((T + 1) / 2 * SIDE * sizeof(int32_t));
        failed = right == nullptr;
#pragma omp for schedule(dynamic, 1)
        for (int64_t item = 0; item < panels; item++) {
            const Sum* job = jobs;
            int64_t at = item;
            for (; at >= job->panels(); job++) at -= job->panels();
            interleave(
                job->u + at * TALL, job->u_row, T, std::min(TALL, job->R - at * TALL), left + item * words, PANEL
            );
        }
#pragma omp for schedule(dynamic, 1)
        for (int64_t item = 0; item < blocks; item++) {
            const Sum* job = jobs;
            int64_t at = item, first = 0;
            for (; at >= job->blocks(); job++) at -= job->blocks(), first += job->panels();
            if (!failed) sum_block(*job, T, left + first * words, at * SIDE, right);
        }
    }
    return failed;
}
#else
extern "C" int affina_thin() { return 0; }  // no bf16 products on this processor
#endif
