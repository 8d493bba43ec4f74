// Matrix products of which one side is thin: few rows by a large weight (decoding), many rows by a low-rank matrix, and
// the sum over rows of two such (the low-rank matrices' gradients). bf16 by pairs, sums float.
#include "thin.h"

#include <omp.h>

#include <vector>

#include "panel.h"

#ifdef __AVX512BF16__
namespace affina {

inline void lay_out(const Product& job, int64_t panel, std::vector<bf16>& line) {
    const int64_t n = panel * PANEL, rows = job.N - n < PANEL ? job.N - n : PANEL;
    line.resize(PANEL * job.K + WIDE);
    round_rows(job.floats + n * job.K, rows * job.K, line.data());
    pack_panel(line.data(), job.K, rows, job.K, job.words + n * (job.K / 2));
}

// One panel of a low-rank product's right side: rows by two.
inline void lay_out(const Low& low, int64_t panel) {
    const int64_t n = panel * PANEL, count = std::min<int64_t>(PANEL, low.columns - n);
    int32_t* to = low.words + panel * (low.rank / 2) * PANEL;
    for (int64_t r = 0; r < low.rank; r += 2, to += PANEL)
        for (int64_t j = 0; j < PANEL; j += WIDE) {
            floats two[2]{};
            const int64_t here = std::clamp<int64_t>(count - j, 0, WIDE);
            for (int i = 0; i < 2 && here > 0; i++)
                std::memcpy(&two[i], low.rows + (r + i) * low.columns + n + j, here * sizeof(float));
            Pairs::put_words(to + j, 0, two[0], two[1], true);
        }
}

inline void multiply_block(const Product& job, int64_t x_row, int64_t t, int64_t rows, int64_t n) {
    Factor low{};
    for (int64_t l = 0; l < job.low_count; l++)
        if (const Low& each = job.lows[l]; n >= each.first && n < each.first + each.columns)
            low = {
                (const char*)(each.u + t * each.u_row), each.u_row * (int64_t)sizeof(bf16),
                each.words + (n - each.first) * (each.rank / 2), each.rank / 2,
                each.bits ? each.bits + t * each.panels() + (n - each.first) / PANEL : nullptr, each.panels(), (float)each.scale
            };
    const Factor x{(const char*)(job.x + t * x_row), x_row * (int64_t)sizeof(bf16), job.words + n * (job.K / 2), job.K / 2};
    (job.N - n > WIDE ? panel<12, 2, bf16> : panel<16, 1, bf16>)(x, low, rows, job.y + t * job.y_row + n, job.y_row, job.N - n);
}

// A block of columns of x with every panel of u (`left`: panels of [pairs, 32] words, of which TALL are filled).
inline void sum_block(const Sum& job, int64_t T, const int32_t* left, int64_t n, int32_t* right) {
    const int64_t columns = std::min(job.N - n, SIDE), pairs = (T + 1) / 2;
    const float scale = (float)job.scale;
    interleave(job.x + n, job.x_row, T, columns, right, SIDE);
    for (int64_t r = 0; r < job.R; r += TALL, left += pairs * PANEL) {
        float sums[PANEL * SIDE]{};  // what is given of no rows
        const int64_t rows = std::min(job.R - r, TALL);
        for (int64_t p = 0; p < pairs; p += PAIRS)
            every_row<Pairs, SIDE / WIDE, HIGH>(
                {(const char*)(left + p * PANEL), 4, 4 * PANEL}, rows, {right + p * SIDE, SIDE},
                std::min(pairs - p, PAIRS), {sums, SIDE, p > 0}
            );
        for (int64_t i = 0; i < rows && job.across; i++)
            for (int64_t j = 0; j < columns; j++) job.y[(r + i) * job.N + n + j] = scale * sums[i * SIDE + j];
        if (job.across) continue;
        float turned[SIDE * PANEL];
        transpose((const int32_t*)sums, SIDE, PANEL, SIDE, (int32_t*)turned, PANEL);
        for (int64_t j = 0; j < columns; j++)
            for (int64_t i = 0; i < rows; i++) job.y[(n + j) * job.R + r + i] = scale * turned[j * PANEL + i];
    }
}

// Columns of [T, …] as rows of pairs: words [columns, `row`], what is not there zero. `row` is a multiple of 16 and no less
// than half of T.
inline void turn(const bf16* from, int64_t from_row, int64_t T, int64_t columns, int32_t* to, int64_t row) {
    alignas(64) int32_t pairs[WIDE][WIDE], line[WIDE][WIDE];
    for (int64_t p = 0; p < row; p += WIDE)
        for (int64_t n = 0; n < columns; n += WIDE) {
            const int64_t left = std::min<int64_t>(WIDE, columns - n);
            const __mmask16 here = (1u << left) - 1;
            for (int64_t i = 0; i < WIDE; i++) {
                const int64_t t = 2 * (p + i);
                const bf16* at = from + t * from_row + n;
                __builtin_prefetch(at + 2 * WIDE * from_row);
                __builtin_prefetch(at + (2 * WIDE + 1) * from_row);
                const __m256i first = _mm256_maskz_loadu_epi16(t < T ? here : 0, at);
                const __m256i second = _mm256_maskz_loadu_epi16(t + 1 < T ? here : 0, at + from_row);
                const __m512i high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(second), 16);
                _mm512_store_si512(pairs[i], _mm512_or_si512(_mm512_cvtepu16_epi32(first), high));
            }
            const bool whole = left == WIDE;
            transpose16(pairs[0], WIDE, whole ? to + n * row + p : line[0], whole ? row : WIDE);
            for (int64_t i = 0; i < left && !whole; i++) std::memcpy(to + (n + i) * row + p, line[i], sizeof line[0]);
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

// Rows [N, K] of floats, rounded, as rows `before` and on of a weight [total, K] that is laid out for x Wᵀ or, with `back`,
// for dy W. N and `before` are whole panels, K is even.
extern "C" void affina_thin_lay_out(const float* weight, int64_t N, int64_t K, int64_t before, int64_t total, int64_t back, int32_t* to) {
#pragma omp parallel for schedule(static)
    for (int64_t n = 0; n < N; n += PANEL) {
        if (back) interleave_rounded<PANEL>(weight + n * K, PANEL, K, to + (before + n) / 2 * PANEL, total / 2 * PANEL);
        else pack_rounded(weight + n * K, K, to + (before + n) * (K / 2));
    }
}

// Several products of columns of one x with T rows: a block of rows goes through all of them before the next. Where one
// takes low-rank products in, those that are given as floats come before it.
extern "C" void affina_thin_times(const Product* jobs, int64_t count, int64_t x_row, int64_t T) {
    if (T == 0) return;
    int64_t panels[2] = {0, 0}, floating = 0, low = 0;  // of what comes first, and of the rest
    for (int64_t j = 0; j < count; j++)
        for (int64_t l = 0; l < jobs[j].low_count; l++) low += jobs[j].lows[l].panels();
    const auto late = [&](const Product& job) { return low > 0 && !job.floats; };
    for (int64_t j = 0; j < count; j++) {
        panels[late(jobs[j])] += jobs[j].panels();
        if (jobs[j].floats) floating += jobs[j].panels();
    }
    const int64_t block = T > BLOCK ? BLOCK : T, blocks = (T + block - 1) / block;
#pragma omp parallel
    {
        if (floating + low > 0) {
            std::vector<bf16> line;
#pragma omp for schedule(static) nowait
            for (int64_t item = 0; item < floating; item++) {
                int64_t at = item;
                const Product* job = jobs;
                for (; !job->floats || at >= job->panels(); job++) at -= job->floats ? job->panels() : 0;
                lay_out(*job, at, line);
            }
#pragma omp for schedule(static)
            for (int64_t item = 0; item < low; item++) {
                int64_t at = item, l = 0;
                const Product* job = jobs;
                while (l >= job->low_count || at >= job->lows[l].panels())
                    if (l < job->low_count) at -= job->lows[l++].panels();
                    else job++, l = 0;
                lay_out(job->lows[l], at);
            }
        }
        for (const bool rest : {false, true}) {
            const int64_t items = blocks * panels[rest];
            if (items == 0) continue;
            const int64_t turn = std::max<int64_t>(1, std::min<int64_t>(8, items / (4 * omp_get_num_threads())));
#pragma omp for schedule(dynamic, turn)  // an item's bits are its own: whoever is free takes the next
            for (int64_t item = 0; item < items; item++) {
                int64_t at = item % panels[rest];
                const int64_t t = item / panels[rest] * block;
                const Product* job = jobs;
                for (; late(*job) != rest || at >= job->panels(); job++) at -= late(*job) != rest ? 0 : job->panels();
                multiply_block(*job, x_row, t, T - t < block ? T - t : block, at * PANEL);
            }
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

// A weight's gradient: y [N, K] = Σ_t dy[t, n] · x[t, k], float. 0, or 1 when there is no memory.
extern "C" int affina_thin_gradient(
    const bf16* dy, int64_t dy_row, int64_t N, const bf16* x, int64_t x_row, int64_t K, int64_t T, float* y
) {
    static thread_local Scratch held;
    const int64_t pairs = (T + 1) / 2, row = (pairs + WIDE - 1) / WIDE * WIDE;
    int32_t* words = (int32_t*)held.of((K + PANEL - 1) / PANEL * PANEL * pairs * sizeof(int32_t));
    if (words == nullptr) return 1;
    int failed = 0;
#pragma omp parallel reduction(| : failed)
    {
        static thread_local Scratch own;
        int32_t* turned = (int32_t*)own.of(BLOCK * row * sizeof(int32_t));
        failed = turned == nullptr;
#pragma omp for schedule(dynamic, 1)
        for (int64_t k = 0; k < K; k += PANEL)
            interleave(x + k, x_row, T, std::min<int64_t>(PANEL, K - k), words + k * pairs, PANEL);
#pragma omp for schedule(dynamic, 1)
        for (int64_t n = 0; n < N; n += BLOCK) {
            if (failed) continue;
            const int64_t rows = std::min(BLOCK, N - n);
            turn(dy + n, dy_row, T, rows, turned, row);
            for (int64_t k = 0; k < K; k += PANEL) {
                const Factor a{(const char*)turned, row * (int64_t)sizeof(int32_t), words + k * pairs, pairs};
                panel<12, 2, float>(a, Factor{}, rows, y + n * K + k, K, K - k);
            }
        }
    }
    return failed;
}
#else
extern "C" int affina_thin() { return 0; }  // no bf16 products on this processor
#endif
