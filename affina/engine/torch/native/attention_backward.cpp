// The gradients of attention over a forest: probabilities are computed again from the scores and the log-sum-exp.
//
// A tree's tiles of queries are dealt to parts, each with sums of its own for dk and dv that are added in the order of
// the parts; how many parts depends on the batch alone, so the bits do not depend on the number of threads.
//
// Where a query sees little but one key, what its gradient is made of, dout · v - dout · out, nearly cancels, and what
// is left of rounding grows from block to block. In float32 these are therefore doubles, and so are the sums of dk and
// dv from tile to tile: a row's gradient is the same to a few millionths whether its beginning is shared or not
// (docs/why.md).
#include "layer.h"

namespace affina {
namespace {

constexpr double ITEMS = 12;  // pieces of work a batch is cut into at least, where its trees and heads are fewer

struct Part {
    int64_t tree, group, number, parts;
    std::vector<Lanes> tiles;
    double cost;
};

// Sums of dk and dv over the keys of a tree, [keys, broad] each; a block counts once it has been visited.
template <class Number>
struct KeySums {
    Number *dk, *dv;
    uint8_t* visited;
};

template <class Storage>
struct BackwardTile {
    using L = Layer<Storage>;
    using Mode = typename L::Mode;
    using Wide = typename ModeOf<Storage>::Wide;
    using Sum = typename Wide::Sum;
    using Number = typename Wide::Number;
    using Word = typename Wide::Word;
    static constexpr bool WIDER = !std::is_same_v<Wide, Mode>;
    using Element = typename Mode::Element;
    static constexpr int64_t STRIPS = TILE / STRIP;
    Element *query, *dout;              // [TILE, broad]
    int32_t *query_turned, *turned;     // [words, TILE]; the same, for what is widened from there
    Word* dout_turned;                  // [words, TILE]
    int32_t *query_words, *dout_words;  // [TILE / STEP, broad]: lanes by two
    Element *weights, *slopes;          // [KEYS, TILE]: the probabilities and the gradient of the scores
    int32_t* slope_words;               // [KEYS / STEP, STRIP]: keys by two
    float* scores;                      // [KEYS, STRIP]
    Number* dweights;                   // the same
    float *dquery, *result;             // [broad, TILE], [TILE, broad]
    float* lse;                         // [TILE]: log-sum-exp to base 2
    Number *mean, *aside;               // [TILE]: dout · out; [broad]
    int32_t* depths;
    uint32_t codes[TILE], key_codes[KEYS];

    BackwardTile(Parts& parts, const L& layer) {
        const int64_t broad = layer.broad, words = rounded(layer.words);
        for (Element** each : {&query, &dout}) *each = parts.take<Element>(TILE * broad);
        query_turned = parts.take<int32_t>(words * TILE);
        turned = WIDER ? parts.take<int32_t>(words * TILE) : nullptr;
        dout_turned = parts.take<Word>(words * TILE);
        for (int32_t** each : {&query_words, &dout_words}) *each = parts.take<int32_t>(TILE / Mode::STEP * broad);
        for (Element** each : {&weights, &slopes}) *each = parts.take<Element>(KEYS * TILE);
        slope_words = parts.take<int32_t>(KEYS * STRIP);
        scores = parts.take<float>(KEYS * STRIP);
        dweights = parts.take<Number>(KEYS * STRIP);
        for (float** each : {&dquery, &result}) *each = parts.take<float>(TILE * broad);
        lse = parts.take<float>(TILE);
        mean = parts.take<Number>(TILE);
        aside = parts.take<Number>(broad);
        depths = parts.take<int32_t>(TILE);
    }

    // Neighbouring rows of [wide, broad] as words: what a sum over lanes multiplies.
    static void by_two(const Element* from, int64_t wide, int64_t broad, int32_t* into) {
        for (int64_t l = 0; l < wide; l += Mode::STEP)
            for (int64_t d = 0; d < broad; d += WIDE) {
                const floats low = load(from + l * broad + d);
                const floats high = Mode::STEP == 2 ? load(from + (l + 1) * broad + d) : floats{};
                Mode::put_words(into + l / Mode::STEP * broad + d, 0, low, high, Mode::STEP == 2);
            }
    }

    void fetch(const L& layer, const Lanes& lanes, int64_t group) {
        const Call& call = layer.call;
        const int64_t wide = rounded(lanes.count), broad = layer.broad;
        layer.gather(call.q, lanes, group, query);
        layer.gather(call.dout, lanes, group, dout);
        transpose((const int32_t*)query, broad / Mode::STEP, wide, layer.words, query_turned, TILE);
        if constexpr (WIDER) {
            transpose((const int32_t*)dout, broad, wide, layer.words, turned, TILE);
            for (int64_t k = 0; k < layer.words; k++)
                for (int64_t l = 0; l < wide; l += WIDE)
                    store(dout_turned + k * TILE + l, widened<doubles>(load((const float*)turned + k * TILE + l)));
        } else
            transpose((const int32_t*)dout, broad / Mode::STEP, wide, layer.words, dout_turned, TILE);
        by_two(query, wide, broad, query_words);
        by_two(dout, wide, broad, dout_words);
        for (int64_t l = 0; l < wide; l++) {
            depths[l] = (int32_t)layer.depth(lanes, std::min(l, lanes.count - 1));
            if (call.threshold) codes[l] = layer.code_of(lanes, group, std::min(l, lanes.count - 1));
            lse[l] = -LOWEST, mean[l] = 0;  // an absent lane has no weight anywhere
        }
        const int64_t start = layer.forest.segments[lanes.segment].start, heads = group * layer.ratio;
        layer.walk(call.out, lanes, group, [&](int64_t l, const Storage* out) {
            const int64_t at = lanes.first + l;
            lse[l] = call.lse[(heads + at % layer.ratio) * call.tokens + start + at / layer.ratio] * LOG2_E;
            const Element* slope = dout + l * broad;
            Sum sum{};
            int64_t d = 0;
            for (; d + WIDE <= call.width; d += WIDE)
                sum += widened<Sum>(load(out + d)) * widened<Sum>(load(slope + d));
            mean[l] = added(sum);
            for (; d < call.width; d++) mean[l] += (Number)scalar(out + d) * scalar(slope + d);
        });
    }

    // Two rows of one vector of lanes: scores and their gradients from raw scores and gradients of the weights.
    void differentiate(const Call& call, int64_t lane, int64_t j, const Block& block, Sight seen) {
        const float scale = (float)call.scale * LOG2_E;
        const floats base = load(lse + lane + j);
        const Sum centre = load(mean + lane + j);
        const ints depth = depths_of(depths + lane + j);
        for (int64_t n = 0; n < seen.rows; n += 2) {
            const bool both = n + 1 < seen.rows;
            floats weight[2] = {}, slope[2] = {};
#pragma GCC unroll 2
            for (int i = 0; i < 2; i++) {
                if (i == 1 && !both) break;
                floats s = load(scores + (n + i) * STRIP + j), bend = spread(1.0f);
                s = call.softcap ? capped(call, s, &bend) * LOG2_E : s * scale;
                weight[i] = power_of_two(s - base);
                if (seen.partial) weight[i] = unseen(call, depth, block.depth + n + i) ? floats{} : weight[i];
                Sum dweight = load(dweights + (n + i) * STRIP + j);
                floats used = weight[i];
                if (call.threshold) {
                    const words lanes = codes_at(codes + lane + j);
                    dweight = kept(dweight, lanes, key_codes[n + i], (uint32_t)call.threshold, call.rest());
                    used = kept(used, lanes, key_codes[n + i], (uint32_t)call.threshold, call.rest());
                }
                slope[i] = weight[i] * narrow(dweight - centre);
                if (call.softcap) slope[i] *= bend;
                store(weights + (n + i) * TILE + lane + j, used);
                store(slopes + (n + i) * TILE + lane + j, slope[i]);
            }
            Mode::put_words(slope_words + n / Mode::STEP * STRIP + j, STRIP, slope[0], slope[1], both);
        }
    }

    // One strip's scores over a block; adds to its queries' gradient. Rows up to `rows` that it does not see become 0.
    int64_t strip(const L& layer, int64_t lane, int64_t wide, const Block& block, int64_t rows, int64_t group, bool first) {
        const Call& call = layer.call;
        const Sight seen = sight(call, block, depths[lane], depths[lane + wide - 1]);
        for (int64_t n = seen.rows; n < rows; n++)
            for (int64_t j = lane; j < lane + wide; j += WIDE)
                store(weights + n * TILE + j, floats{}), store(slopes + n * TILE + j, floats{});
        if (seen.rows > 0) {
            multiply<Mode>(
                layer.rows(layer.k, block, group), seen.rows, {query_turned + lane, TILE}, wide, layer.words,
                {scores, STRIP, false}
            );
            multiply<Wide>(
                layer.rows(layer.wide_v, block, group, sizeof(Word)), seen.rows, {dout_turned + lane, TILE}, wide, layer.words,
                {dweights, STRIP, false}
            );
            for (int64_t j = 0; j < wide; j += WIDE) differentiate(call, lane, j, block, seen);
        }
        if (seen.rows > 0 || first)
            multiply<Mode>(
                layer.columns(layer.k, block, group), call.width, {slope_words, STRIP}, wide,
                (seen.rows + Mode::STEP - 1) / Mode::STEP, {dquery + lane, TILE, !first}
            );
        return seen.rows;
    }

    // sums [rows, broad] += left [rows, lanes] · right [lanes, broad], from the first strip on that sees a row.
    static void add_keys(
        const Element* left, const int64_t* seen, int64_t wide, int64_t rows, const int32_t* right, int64_t broad, Number* sums
    ) {
        for (int64_t n = 0, skipped = 0; n < rows; n += HIGH) {
            while (skipped * STRIP < wide && seen[skipped] <= n) skipped++;
            const int64_t lane = skipped * STRIP;
            multiply<typename ModeOf<Storage>::Gather>(
                {(const char*)(left + n * TILE + lane), TILE * (int64_t)sizeof(Element), 4},
                std::min<int64_t>(HIGH, rows - n), {right + lane / Mode::STEP * broad, broad}, broad, (wide - lane) / Mode::STEP,
                {sums + n * broad, broad, true}
            );
        }
    }

    void compute(const L& layer, const Lanes& lanes, int64_t group, KeySums<Number> sums) {
        const Call& call = layer.call;
        const int64_t wide = rounded(lanes.count), broad = layer.broad;
        fetch(layer, lanes, group);
        bool first = true;
        layer.forest.seen(lanes.segment, [&](const Block& block) {
            const int64_t rows = sight(call, block, depths[0], depths[wide - 1]).rows;
            if (rows == 0) return;
            layer.codes_of(block, key_codes);
            Number *dk = sums.dk + block.local * broad, *dv = sums.dv + block.local * broad;
            if (!sums.visited[block.number]) {
                for (Number* each : {dk, dv}) std::memset(each, 0, (size_t)(block.keys * broad) * sizeof(Number));
                sums.visited[block.number] = 1;
            }
            int64_t seen[STRIPS];
            for (int64_t lane = 0; lane < wide; lane += STRIP)
                seen[lane / STRIP] = strip(layer, lane, std::min(STRIP, wide - lane), block, rows, group, first);
            add_keys(weights, seen, wide, rows, dout_words, broad, dv);
            add_keys(slopes, seen, wide, rows, query_words, broad, dk);
            first = false;
        });
        transpose((const int32_t*)dquery, TILE, broad, wide, (int32_t*)result, broad);
        for (int64_t l = 0; l < lanes.count; l++)
            write((Storage*)layer.lane(call.dq, lanes, group, l), result + l * broad, call.width, (float)call.scale);
    }
};

// How the tiles of every tree are dealt to parts, the dearest part first.
inline std::vector<Part> dealt(const Forest& forest, int64_t groups, int64_t ratio) {
    std::vector<std::vector<Lanes>> tiles(forest.trees.size());
    std::vector<double> costs(forest.trees.size());
    double all = 0;
    for (size_t t = 0; t < tiles.size(); t++) {
        for (const int64_t segment : forest.trees[t].segments) forest.cut(segment, ratio, TILE, tiles[t]);
        for (const Lanes& each : tiles[t]) costs[t] += each.cost;
        all += costs[t];
    }
    std::vector<Part> parts;
    for (size_t t = 0; t < tiles.size(); t++) {
        const int64_t wanted = (int64_t)std::ceil(costs[t] / all * ITEMS / (double)groups - 0.5);
        const int64_t count = std::clamp<int64_t>(wanted, 1, (int64_t)tiles[t].size());
        std::vector<Part> own((size_t)count);
        double before = 0;
        for (const Lanes& each : tiles[t]) {
            Part& part = own[(size_t)std::min((double)(count - 1), (before + each.cost / 2) / costs[t] * (double)count)];
            part.tiles.push_back(each);
            part.cost += each.cost;
            before += each.cost;
        }
        for (int64_t g = 0; g < groups; g++)
            for (int64_t p = 0; p < count; p++) {
                parts.push_back(own[(size_t)p]);
                Part& part = parts.back();
                part.tree = (int64_t)t, part.group = g, part.number = p, part.parts = count;
            }
    }
    std::stable_sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.cost > b.cost; });
    return parts;
}

// The sums of all parts over one block → its keys' gradients.
template <class Storage, class Number>
void give(const Layer<Storage>& layer, const Block& block, int64_t group, KeySums<Number>* parts, int64_t count, Number* aside) {
    const Call& call = layer.call;
    const int64_t broad = layer.broad;
    for (int64_t n = 0; n < block.keys; n++)
        for (const bool values : {false, true}) {
            const Number* sum = nullptr;
            for (int64_t p = 0; p < count; p++) {
                if (!parts[p].visited[block.number]) continue;
                const Number* own = (values ? parts[p].dv : parts[p].dk) + (block.local + n) * broad;
                for (int64_t d = 0; d < broad && sum; d += WIDE) store(aside + d, load(sum + d) + load(own + d));
                sum = sum ? aside : own;
            }
            const Tensor& into = values ? call.dv : call.dk;
            write((Storage*)into.of(block.start + n, group), sum, call.width, values ? 1.0f : (float)call.scale);
        }
}

template <class Storage>
class Backward {
    using Tile = BackwardTile<Storage>;
    using Number = typename Tile::Number;
    const Call& call;
    const Forest forest{call};
    Layer<Storage> layer{call, forest};
    std::vector<Part> parts = dealt(forest, call.groups, layer.ratio);
    std::vector<KeySums<Number>> shared;  // of the trees that have several parts: [tree and group, part]
    std::vector<int64_t> places;  // of each part's sums in `shared`, -1: the thread's own
    Number* values = nullptr;     // of v where wide products read it otherwise

    void place(Parts& memory) {
        if (Tile::WIDER) values = memory.take<Number>(call.tokens * call.groups * call.width);
        shared.clear(), places.assign(parts.size(), -1);
        std::vector<int64_t> firsts(forest.trees.size() * (size_t)call.groups, -1);
        for (size_t n = 0; n < parts.size(); n++) {
            const Part& part = parts[n];
            if (part.parts == 1) continue;
            int64_t& first = firsts[(size_t)(part.tree * call.groups + part.group)];
            if (first < 0) {
                first = (int64_t)shared.size();
                for (int64_t p = 0; p < part.parts; p++) shared.push_back(sums(memory, forest.trees[(size_t)part.tree]));
            }
            places[n] = first + part.number;
        }
    }

    KeySums<Number> sums(Parts& memory, const Tree& tree) const {
        Number* dk = memory.take<Number>(tree.keys * layer.broad);
        Number* dv = memory.take<Number>(tree.keys * layer.broad);
        return {dk, dv, memory.take<uint8_t>(tree.blocks)};
    }

    void run(const Part& part, int64_t place, Tile& tile, Parts own) const {
        const Tree& tree = forest.trees[(size_t)part.tree];
        KeySums<Number> into = place < 0 ? sums(own, tree) : shared[(size_t)place];
        std::memset(into.visited, 0, (size_t)tree.blocks);
        for (const Lanes& each : part.tiles) tile.compute(layer, each, part.group, into);
        if (place < 0) gather(part, &into, tile.aside);
    }

    void gather(const Part& part, KeySums<Number>* from, Number* aside) const {
        for (const int64_t segment : forest.trees[(size_t)part.tree].segments)
            for (size_t b = forest.segments[segment].first_block; b < forest.segments[segment].last_block; b++)
                give(layer, forest.blocks[b], part.group, from, part.parts, aside);
    }

public:
    explicit Backward(const Call& given) : call(given) {}

    int compute() {
        static thread_local Scratch held;
        Parts counted{nullptr}, alone{nullptr};
        place(counted);
        Tile(alone, layer);
        size_t largest = 0;
        for (const Tree& tree : forest.trees) {
            Parts one{nullptr};
            sums(one, tree);
            largest = std::max(largest, one.used);
        }
        char* base = held.of((size_t)layer.shared_bytes() + counted.used);
        if (base == nullptr) return 1;
        layer.prepare(call.k, Parts{base});
        Parts memory{base + layer.shared_bytes()};
        place(memory);
        if constexpr (Tile::WIDER) layer.convert(layer.wide_v, values);
        else layer.wide_v = layer.v;
        int failed = 0;
        const int64_t items = (int64_t)parts.size();
#pragma omp parallel reduction(| : failed)
        {
            static thread_local Scratch own;
            char* mine = own.of(alone.used + largest);
            failed = mine == nullptr;
            Parts left{mine};
            Tile tile(left, layer);
#pragma omp for schedule(dynamic, 1)
            for (int64_t n = 0; n < items; n++)
                if (!failed) run(parts[(size_t)n], places[(size_t)n], tile, left);
#pragma omp for schedule(dynamic, 1)
            for (int64_t n = 0; n < items; n++)
                if (!failed && parts[(size_t)n].parts > 1 && parts[(size_t)n].number == 0)
                    gather(parts[(size_t)n], &shared[(size_t)places[(size_t)n]], tile.aside);
        }
        return failed;
    }
};

}  // namespace
}  // namespace affina

// Writes dq, dk and dv. 0, or 1 when there is no memory.
extern "C" int affina_attention_backward(const affina::Call* call, int bf16) {
    return bf16 ? affina::Backward<affina::bf16>(*call).compute() : affina::Backward<float>(*call).compute();
}
