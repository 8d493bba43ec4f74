// A batch as a forest of segments, cut into blocks of keys and tiles of queries, and one layer's attention over it.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "vector.h"

namespace affina {

// One layer's tensors, [tokens, heads, width] each: bytes from token to token and from head to head, elements of a
// head side by side. The same layout as `Call` in flash.py.
struct Tensor {
    char* at;
    int64_t row, head;

    char* of(int64_t token, int64_t h) const { return at + token * row + h * this->head; }
};

struct Call {
    Tensor q, k, v, out, dout, dq, dk, dv;
    float* lse;               // [heads, tokens], natural logarithm
    const int64_t* segments;  // [count, 3]: start, stop, parent (-1: a root); a parent stands before its children
    int64_t count, tokens, heads, groups, width, causal, window;  // window 0: none
    double scale, softcap;                                        // softcap 0: none
    uint64_t seed;                                                // of the weights that are dropped,
    int64_t threshold;                                            // so many of 2^16

    float rest() const { return 65536.0f / (float)(65536 - threshold); }
};

namespace {

constexpr int64_t KEYS = 64;   // keys of a block
constexpr int64_t STRIP = 64;  // lanes that are computed side by side: one lane is one query of one head
constexpr int64_t TILE = 192;  // lanes of a backward tile: three strips

struct Block {
    int64_t start, keys, depth;  // the first key's place in T, how many, and its depth
    int64_t pair;                // where its keys stand when interleaved by two
    int64_t local;               // where its keys stand in its tree
    int64_t number;              // which block of its tree it is
};

// Lanes of one segment: lane l is head l % ratio of query l / ratio, so that the heads of a group share their keys.
struct Lanes {
    int64_t segment, first, count;
    double cost;
};

struct Segment {
    int64_t start, stop, parent, depth, tree;
    size_t first_block, last_block;
};

struct Tree {
    int64_t keys = 0, blocks = 0;
    double cost = 0;
    std::vector<int64_t> segments;
};

class Forest {
public:
    std::vector<Segment> segments;
    std::vector<Block> blocks;
    std::vector<Tree> trees;
    int64_t pairs = 0;

    explicit Forest(const Call& call) {
        for (int64_t n = 0; n < call.count; n++) {
            const int64_t *given = call.segments + 3 * n, parent = given[2];
            Segment s{given[0], given[1], parent, 0, 0, blocks.size(), 0};
            if (parent < 0) {
                s.tree = (int64_t)trees.size();
                trees.emplace_back();
            } else {
                const Segment& above = segments[parent];
                s.depth = above.depth + above.stop - above.start;
                s.tree = above.tree;
            }
            Tree& tree = trees[s.tree];
            tree.segments.push_back(n);
            for (int64_t at = s.start; at < s.stop; at += KEYS) {
                const int64_t keys = std::min(KEYS, s.stop - at);
                blocks.push_back({at, keys, s.depth + at - s.start, pairs, tree.keys, tree.blocks++});
                pairs += (keys + 1) / 2;
                tree.keys += keys;
            }
            s.last_block = blocks.size();
            segments.push_back(s);
        }
    }

    // The lanes of a segment, at most `most` at a time.
    void cut(int64_t segment, int64_t ratio, int64_t most, std::vector<Lanes>& into) const {
        const Segment& s = segments[segment];
        const int64_t lanes = (s.stop - s.start) * ratio;
        for (int64_t first = 0; first < lanes; first += most) {
            const int64_t count = std::min(most, lanes - first);
            const double wide = (double)((count + WIDE - 1) / WIDE * WIDE);
            into.push_back({segment, first, count, wide * (double)(s.depth + (first + count) / ratio + 16)});
        }
    }

    // Calls `use(block)` for the keys a segment sees, from its root on: in the order of the row alone.
    template <class Use>
    void seen(int64_t segment, Use use) const {
        std::vector<int64_t> path;
        for (int64_t n = segment; n >= 0; n = segments[n].parent) path.push_back(n);
        for (auto n = path.rbegin(); n != path.rend(); n++)
            for (size_t b = segments[*n].first_block; b < segments[*n].last_block; b++) use(blocks[b]);
    }
};

// What queries at depths [least, most] see of a block: its first `rows` keys, all of them for everyone or not.
struct Sight {
    int64_t rows;
    bool partial;
};

inline Sight sight(const Call& call, const Block& block, int64_t least, int64_t most) {
    const int64_t first = block.depth, last = block.depth + block.keys - 1;
    if (call.causal && first > most) return {0, false};
    if (call.window && (least - last >= call.window || first - most >= call.window)) return {0, false};
    const int64_t rows = call.causal ? std::min(block.keys, most - first + 1) : block.keys;
    const bool ahead = call.causal && last > least;
    const bool far = call.window && (most - first >= call.window || last - least >= call.window);
    return {rows, ahead || far};
}

// All lanes on where a query must not look.
inline ints unseen(const Call& call, ints query_depth, int64_t key_depth) {
    const ints distance = query_depth - (int32_t)key_depth;
    ints hidden = call.causal ? distance < 0 : ints{};
    if (call.window) hidden |= (distance >= (int32_t)call.window) | (distance <= -(int32_t)call.window);
    return hidden;
}

}  // namespace
}  // namespace affina
