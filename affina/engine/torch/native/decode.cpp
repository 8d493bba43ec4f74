// Attention of one new token in each of B sequences over cached keys: runs that several sequences share, then a tail of
// the sequence's own, which gains the new key and value on the way. Sums and the soft maximum are float.
#include <cmath>
#include <vector>

#include "vector.h"

namespace affina {

struct Decode {
    const char *q, *k, *v;             // [B, H, D], [B, G, D] twice: what is new
    int64_t q_row, q_head, kv_row, kv_head;  // their strides, bytes
    char* out;                         // [B, H, D]
    char *keys, *values;               // tails [slots, G, capacity, D]
    int64_t slot, group;               // their strides, bytes
    const int64_t *sizes, *starts;     // [B] tokens in the tail before this one, and the depth where it begins
    const int64_t *first, *used;       // sequence b sees the runs used[first[b] .. first[b + 1]]
    const char* const* run_keys;       // [runs] of [G, tokens, D]
    const char* const* run_values;
    const int64_t *run_tokens, *run_depth;
    int64_t B, H, G, D, window;        // window 0: none
    double scale, softcap;             // softcap 0: none
};

// A stretch of keys and values of one group, and the depth of its first.
template <class S>
struct Stretch {
    const S *keys, *values;
    int64_t tokens, depth;
};

template <class S>
void one(const Decode& c, int64_t b, int64_t g, std::vector<float>& scores, std::vector<Stretch<S>>& seen) {
    const int64_t D = c.D, each = c.H / c.G, size = c.sizes[b], here = c.starts[b] + size;
    S* tail_keys = (S*)(c.keys + b * c.slot + g * c.group);
    S* tail_values = (S*)(c.values + b * c.slot + g * c.group);
    std::memcpy(tail_keys + size * D, c.k + b * c.kv_row + g * c.kv_head, D * sizeof(S));
    std::memcpy(tail_values + size * D, c.v + b * c.kv_row + g * c.kv_head, D * sizeof(S));
    seen.clear();
    for (int64_t i = c.first[b]; i < c.first[b + 1]; i++) {
        const int64_t run = c.used[i], tokens = c.run_tokens[run];
        seen.push_back({(const S*)c.run_keys[run] + g * tokens * D, (const S*)c.run_values[run] + g * tokens * D, tokens,
                        c.run_depth[run]});
    }
    seen.push_back({tail_keys, tail_values, size + 1, c.starts[b]});
    int64_t total_tokens = 0;
    for (Stretch<S>& part : seen) {  // a window hides what lies too far back
        const int64_t hidden = c.window ? here - c.window + 1 - part.depth : 0;
        const int64_t skipped = hidden < 0 ? 0 : hidden > part.tokens ? part.tokens : hidden;
        part.keys += skipped * D;
        part.values += skipped * D;
        part.tokens -= skipped;
        total_tokens += part.tokens;
    }
    scores.assign((total_tokens + WIDE - 1) / WIDE * WIDE, -INFINITY);
    for (int64_t h = 0; h < each; h++) {
        const S* q = (const S*)(c.q + b * c.q_row + (g * each + h) * c.q_head);
        float highest = -INFINITY;
        int64_t at = 0;
        for (const Stretch<S>& part : seen)
            for (int64_t t = 0; t < part.tokens; t++) {
                floats dot{};
                for (int64_t n = 0; n < D; n += WIDE) dot += load(q + n) * load(part.keys + t * D + n);
                float score = total(dot) * (float)c.scale;
                if (c.softcap) score = (float)c.softcap * std::tanh(score / (float)c.softcap);
                scores[at++] = score;
                highest = score > highest ? score : highest;
            }
        floats sums{};
        for (int64_t n = 0; n < (int64_t)scores.size(); n += WIDE) {  // what lies beyond the last is never read
            const floats weight = exponential(load(&scores[n]) - highest);
            store(&scores[n], weight);
            for (int64_t i = 0; i < WIDE && n + i < total_tokens; i++) sums[i] += weight[i];
        }
        const float sum = total(sums);
        S* out = (S*)c.out + (b * c.H + g * each + h) * D;
        for (int64_t n = 0; n < D; n += WIDE) {
            floats mixed{};
            at = 0;
            for (const Stretch<S>& part : seen)
                for (int64_t t = 0; t < part.tokens; t++) mixed += scores[at++] * load(part.values + t * D + n);
            store(out + n, mixed * (1.0f / sum));
        }
    }
}

template <class S>
void decode(const Decode& c) {
#pragma omp parallel
    {
        std::vector<float> scores;
        std::vector<Stretch<S>> seen;
#pragma omp for schedule(static)
        for (int64_t item = 0; item < c.B * c.G; item++) one<S>(c, item / c.G, item % c.G, scores, seen);
    }
}

}  // namespace affina

extern "C" void affina_decode(const affina::Decode* call, int half) {
    if (half)
        affina::decode<affina::bf16>(*call);
    else
        affina::decode<float>(*call);
}
