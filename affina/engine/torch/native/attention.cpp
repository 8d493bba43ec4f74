// Exact attention over a forest of segments, forward and backward, never holding more than a tile of scores.
//
// FlashAttention-2 (Dao 2023, arXiv:2307.08691) on transposed tiles: lanes are queries, so that the softmax's maximum
// and sum need no sum across a vector. Scores, statistics and gradients' sums are float32. Every number is computed in
// an order that the batch alone decides: the same bits for any number of threads.
//
// In float32 forward has, for every row, the bits it has for that row alone, however rows share their beginnings and
// blocks are cut: keys come in the row's order, sums take them one by one, and where a larger score comes, what was
// summed is multiplied by a power of two, which rounds nothing down to 2^-126 of the largest. In bf16 the largest weight is
// 1 instead: it is not rounded.
#include "layer.h"

namespace affina {
namespace {

template <class Storage>
struct ForwardStrip {
    using L = Layer<Storage>;
    using Mode = typename L::Mode;
    typename Mode::Element* query;  // [STRIP, broad]
    int32_t *turned, *weights;      // [words, STRIP], [KEYS / STEP, STRIP]
    float *scores, *mixed, *result; // [KEYS, STRIP], [broad, STRIP], [STRIP, broad]
    float *most, *sum;              // [STRIP]: no less than the scores to base 2; the sum of 2^(score - most)
    int32_t* depths;                // [STRIP]
    uint32_t codes[STRIP], key_codes[KEYS];

    ForwardStrip(Parts& parts, const L& layer) {
        query = parts.take<typename Mode::Element>(STRIP * layer.broad);
        turned = parts.take<int32_t>(rounded(layer.words) * STRIP);
        weights = parts.take<int32_t>(KEYS * STRIP);
        scores = parts.take<float>(KEYS * STRIP);
        mixed = parts.take<float>(layer.broad * STRIP);
        result = parts.take<float>(layer.broad * STRIP);
        most = parts.take<float>(STRIP);
        sum = parts.take<float>(STRIP);
        depths = parts.take<int32_t>(STRIP);
    }

    static constexpr bool WHOLE = sizeof(Storage) == sizeof(float);  // `most` is a whole number

    static floats weight(floats score, floats most) {
        return WHOLE ? power_of_two(score, most) : power_of_two(score - most);
    }

    // One vector of lanes over a block's scores: weights as words, and the running maximum and sum.
    floats soften(const Call& call, int64_t j, const Block& block, Sight seen) {
        const float scale = call.softcap ? LOG2_E : (float)call.scale * LOG2_E;
        const ints depth = depths_of(depths + j);
        const floats before = load(most + j);
        floats now = spread(-INFINITY);
        for (int64_t n = 0; n < seen.rows; n++) {
            floats s = load(scores + n * STRIP + j);
            if (call.softcap) s = capped(call, s);
            if (seen.partial) s = unseen(call, depth, block.depth + n) ? spread(-INFINITY) : s;
            if (call.softcap || seen.partial) store(scores + n * STRIP + j, s);
            now = larger(now, s);
        }
        now = larger(before, WHOLE ? next_whole(now * scale) : now * scale);
        const floats fade = weight(before, now);  // 1 where nothing larger came
        floats total = load(sum + j) * fade;
        for (int64_t n = 0; n < seen.rows; n += 2) {
            const bool both = n + 1 < seen.rows;
            floats low = weight(load(scores + n * STRIP + j) * scale, now);
            floats high = both ? weight(load(scores + (n + 1) * STRIP + j) * scale, now) : floats{};
            total += low;
            total += high;
            if (call.threshold) {
                const words lane = codes_at(codes + j);
                low = kept(low, lane, key_codes[n], (uint32_t)call.threshold, call.rest());
                if (both) high = kept(high, lane, key_codes[n + 1], (uint32_t)call.threshold, call.rest());
            }
            Mode::put_words(weights + n / Mode::STEP * STRIP + j, STRIP, low, high, both);
        }
        store(most + j, now);
        store(sum + j, total);
        return fade;
    }

    void compute(const L& layer, const Lanes& lanes, int64_t group) {
        const Call& call = layer.call;
        const int64_t wide = rounded(lanes.count);
        layer.gather(call.q, lanes, group, query);
        transpose((const int32_t*)query, layer.broad / Mode::STEP, wide, layer.words, turned, STRIP);
        for (int64_t l = 0; l < wide; l++) {
            most[l] = LOWEST, sum[l] = 0;
            depths[l] = (int32_t)layer.depth(lanes, std::min(l, lanes.count - 1));
            if (call.threshold) codes[l] = layer.code_of(lanes, group, std::min(l, lanes.count - 1));
        }
        bool first = true;
        layer.forest.seen(lanes.segment, [&](const Block& block) {
            const Sight seen = sight(call, block, depths[0], depths[wide - 1]);
            if (seen.rows == 0) return;
            layer.codes_of(block, key_codes);
            multiply<Mode>(
                layer.rows(layer.k, block, group), seen.rows, {turned, STRIP}, wide, layer.words,
                {scores, STRIP, false}
            );
            for (int64_t j = 0; j < wide; j += WIDE) {
                const floats fade = soften(call, j, block, seen);
                if (first || !any(fade != 1.0f)) continue;
                for (int64_t d = 0; d < call.width; d++)
                    store(mixed + d * STRIP + j, load(mixed + d * STRIP + j) * fade);
            }
            multiply<Mode>(
                layer.columns(layer.v, block, group), call.width, {weights, STRIP}, wide,
                (seen.rows + Mode::STEP - 1) / Mode::STEP, {mixed, STRIP, !first}
            );
            first = false;
        });
        finish(layer, lanes, group, wide);
    }

    void finish(const L& layer, const Lanes& lanes, int64_t group, int64_t wide) {
        const Call& call = layer.call;
        for (int64_t j = 0; j < wide; j += WIDE) {
            const floats inverse = 1.0f / load(sum + j);
            for (int64_t d = 0; d < call.width; d++) store(mixed + d * STRIP + j, load(mixed + d * STRIP + j) * inverse);
        }
        transpose((const int32_t*)mixed, STRIP, layer.broad, wide, (int32_t*)result, layer.broad);
        for (int64_t l = 0; l < lanes.count; l++) {
            write((Storage*)layer.lane(call.out, lanes, group, l), result + l * layer.broad, call.width, 1.0f);
            const int64_t at = lanes.first + l, head = group * layer.ratio + at % layer.ratio;
            const int64_t token = layer.forest.segments[lanes.segment].start + at / layer.ratio;
            call.lse[head * call.tokens + token] = (float)((double)most[l] * LN_2 + (double)std::log(sum[l]));
        }
    }
};

template <class Storage>
int forward(const Call& call) {
    using L = Layer<Storage>;
    static thread_local Scratch held;
    const Forest forest(call);
    L layer{call, forest};
    char* shared = held.of(layer.shared_bytes());
    if (shared == nullptr) return 1;
    layer.prepare(call.v, Parts{shared});
    std::vector<Lanes> strips;
    for (int64_t n = 0; n < call.count; n++) forest.cut(n, layer.ratio, STRIP, strips);
    std::stable_sort(strips.begin(), strips.end(), [](const Lanes& a, const Lanes& b) { return a.cost > b.cost; });
    return each_item<ForwardStrip<Storage>>(layer, (int64_t)strips.size() * call.groups, [&](ForwardStrip<Storage>& strip, int64_t n) {
        strip.compute(layer, strips[n / call.groups], n % call.groups);
    });
}

}  // namespace
}  // namespace affina

// Writes out and lse. 0, or 1 when there is no memory.
extern "C" int affina_attention_forward(const affina::Call* call, int bf16) {
    return bf16 ? affina::forward<affina::bf16>(*call) : affina::forward<float>(*call);
}
