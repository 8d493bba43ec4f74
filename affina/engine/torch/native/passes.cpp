// A decoder block of frozen bf16 weights, with or without low-rank products beside them, a pass at a call: the
// kernels one after another as fused/block.py has them, without what calling each of them from there costs.
#include "block.h"
#include "layer.h"
#include "thin.h"

extern "C" int affina_attention_forward(const affina::Call* call, int bf16);
extern "C" int affina_attention_backward(const affina::Call* call, int bf16);

#ifdef __AVX512BF16__
namespace affina {

constexpr int64_t LAYERS = 3;  // of one input, at most
constexpr int64_t SHARES = 8;  // that a pass over rows is cut into

// Beside one layer [N, K]: scale · B A, with A [rank, K] and B [N, rank], and where B's gradient goes.
struct Adapter {
    const float *a, *b;
    float* grad_b;
    int64_t rank;
    double scale;
};

// Layers of one input, [ΣN, K]: laid out for x Wᵀ and for dy W.
struct Stack {
    const int32_t *ahead, *back;
    const float* bias;  // [ΣN] or null
    int64_t inputs, count;
    int64_t sizes[LAYERS];
    Adapter beside[LAYERS];
    float* grad_a;  // [ΣR, K]
    uint64_t seed;      // of what the adapters' input leaves out
    int64_t threshold;  // out of 2^16; 0 leaves nothing out

    int64_t outputs() const {
        int64_t all = 0;
        for (int64_t n = 0; n < count; n++) all += sizes[n];
        return all;
    }

    int64_t rank() const {
        int64_t all = 0;
        for (int64_t n = 0; n < count; n++) all += beside[n].rank;
        return all;
    }
};

struct BlockCall {
    Stack qkv, o, gate_up, down;
    const float *norm, *norm_bias, *norm_middle, *norm_middle_bias;  // before the halves, as they multiply; or null
    const float *norm_attended, *norm_made;                          // after them, before the residual sums; or null
    const float *norm_query, *norm_key;                              // or null
    double eps, eps_middle, eps_attended, eps_made, eps_heads, times;
    Heads heads;
    Act act;
    double scale, softcap;
    int64_t window, causal;
    int64_t T;
    const float *cos, *sin;   // [T, heads.turned]
    const int64_t* segments;  // [count, 3]
    int64_t count;
    const float* x;  // [T, D]
    float* out;      // [T, D]; of a backward pass the gradient in x, or null where it is not wanted
    const float* grad;  // [T, D] in the output, of a backward pass
    char *kept, *aside;

    Norm first() const { return {norm, norm_bias, (float)eps}; }
    Norm second() const { return {norm_middle, norm_middle_bias, (float)eps_middle}; }
    Join attended_joins(float* rstd) const { return {(float)times, norm_attended, (float)eps_attended, rstd}; }
    Join made_joins(float* rstd) const { return {(float)times, norm_made, (float)eps_made, rstd}; }
    int64_t width() const { return qkv.inputs; }
    int64_t inner() const { return down.inputs; }
    int64_t attended() const { return o.inputs; }
};

// Words of [outputs, inputs] laid out, or of the right side [inputs, outputs] of a low-rank product.
int64_t words_of(int64_t outputs, int64_t inputs) { return (outputs + PANEL - 1) / PANEL * PANEL * (inputs / 2); }

// What a stack's backward pass needs of its adapters, as they were: A of all [ΣR, K], scale · Bᵀ of each [R, N], x Aᵀ.
struct Beside {
    const Stack& stack;
    float *down, *up;
    bf16* u;         // [T, ΣR]
    uint32_t* bits;  // [T, words of K]: which numbers of x the adapters see

    Beside(const Stack& given, int64_t T, Parts& kept) : stack(given) {
        down = kept.take<float>(stack.rank() * stack.inputs);
        int64_t ups = 0;
        for (int64_t n = 0; n < stack.count; n++) ups += stack.beside[n].rank * stack.sizes[n];
        up = kept.take<float>(ups);
        u = kept.take<bf16>(T * stack.rank());
        bits = kept.take<uint32_t>(drops() ? T * words_of_bits(stack.inputs) : 0);
    }

    bool drops() const { return stack.threshold > 0 && stack.rank() > 0; }

    float scale() const { return 65536.0f / (float)(65536 - stack.threshold); }

    // What the adapters see of x, in `aside` where it is not all.
    const bf16* seen(const bf16* x, int64_t T, bf16* aside) const {
        if (!drops()) return x;
        keep(x, bits, T, stack.inputs, scale(), aside);
        return aside;
    }

    // Calls `use(layer, its first row of y, its first column of u, its part of `up`)` for every layer that has one.
    template <class Use>
    void each(Use use) const {
        float* at = up;
        for (int64_t n = 0, row = 0, column = 0; n < stack.count; n++) {
            const int64_t rank = stack.beside[n].rank;
            if (rank > 0) use(n, row, column, at);
            row += stack.sizes[n], column += rank, at += rank * stack.sizes[n];
        }
    }

    // Whether the products take the low-rank part into their sums; else whatever comes after them adds it.
    bool within() const {
        bool all = true;
        for (int64_t n = 0; n < stack.count; n++) all &= stack.beside[n].rank % 2 == 0 && stack.sizes[n] % PANEL == 0;
        return all;
    }

    // What is left to be added to a layer's part of y.
    LowRank<bf16> low(int64_t layer) const {
        LowRank<bf16> found{nullptr, nullptr, 0, 0};
        if (within()) return found;
        each([&](int64_t n, int64_t, int64_t column, float* at) {
            if (n == layer) found = {u + column, at, stack.rank(), stack.beside[n].rank};
        });
        return found;
    }

    void copy() const {
        each([&](int64_t n, int64_t, int64_t column, float* at) {
            const Adapter& from = stack.beside[n];
            const int64_t size = stack.sizes[n];
            std::memcpy(down + column * stack.inputs, from.a, sizeof(float) * from.rank * stack.inputs);
#pragma omp parallel for schedule(static)
            for (int64_t i = 0; i < size; i++)
                for (int64_t r = 0; r < from.rank; r++) at[r * size + i] = from.b[i * from.rank + r] * (float)from.scale;
        });
    }

    // y [T, ΣN] = x Wᵀ with what it takes in, and u.
    void ahead(const bf16* x, int64_t T, bf16* y, int32_t* words, bf16* dropped) const {
        copy();
        const int64_t K = stack.inputs, N = stack.outputs(), R = stack.rank();
        if (drops()) affina_drop_draw(stack.seed, T, K, stack.threshold, bits);
        Product jobs[] = {
            {x, (int32_t*)stack.ahead, nullptr, N, K, y, N, nullptr, 0},
            {seen(x, T, dropped), words, down, R, K, u, R, nullptr, 0}
        };
        if (drops()) affina_thin_times(jobs + 1, 1, K, T);
        Low lows[LAYERS];
        words += words_of(R, K);
        if (within())
            each([&](int64_t n, int64_t row, int64_t column, float* at) {
                const int64_t rank = stack.beside[n].rank, size = stack.sizes[n];
                lows[jobs[0].low_count++] = {u + column, R, rank, at, row, size, words};
                words += words_of(size, rank);
            });
        jobs[0].lows = lows;
        affina_thin_times(jobs, R > 0 && !drops() ? 2 : 1, K, T);
    }

    // dx [T, K] = dy W (where dx is wanted) with what it takes in, and v [T, ΣR] = dy B; what is left to be added to dx.
    LowRank<bf16> back(const bf16* dy, int64_t T, bf16* dx, bf16* v, int32_t* words) const {
        const int64_t K = stack.inputs, N = stack.outputs(), R = stack.rank();
        Product jobs[LAYERS + 1];
        int64_t count = 0;
        const Low low{v, R, R, down, 0, K, words, drops() ? bits : nullptr, scale()};
        const bool taken = dx && R > 0 && within();
        if (taken) words += words_of(K, R);
        if (dx) jobs[count++] = {dy, (int32_t*)stack.back, nullptr, K, N, dx, K, &low, taken};
        each([&](int64_t n, int64_t row, int64_t column, float* at) {
            jobs[count++] = {dy + row, words, at, stack.beside[n].rank, stack.sizes[n], v + column, R, nullptr, 0};
            words += words_of(stack.beside[n].rank, stack.sizes[n]);
        });
        if (count > 0) affina_thin_times(jobs, count, N, T);
        return {v, down, R, within() ? 0 : R};
    }

    int64_t words() const {
        int64_t forward = words_of(stack.rank(), stack.inputs), backward = words_of(stack.inputs, stack.rank());
        each([&](int64_t n, int64_t, int64_t, float*) {
            forward += words_of(stack.sizes[n], stack.beside[n].rank);
            backward += words_of(stack.beside[n].rank, stack.sizes[n]);
        });
        return std::max(forward, backward);
    }

    int learn(const bf16* x, const bf16* dy, const bf16* v, int64_t T, bf16* dropped) const {
        const int64_t K = stack.inputs, N = stack.outputs(), R = stack.rank();
        if (R == 0) return 0;
        Sum jobs[LAYERS + 1] = {{seen(x, T, dropped), K, K, v, R, R, 1.0, 1, stack.grad_a}};
        int64_t count = 1;
        each([&](int64_t n, int64_t row, int64_t column, float*) {
            const Adapter& into = stack.beside[n];
            jobs[count++] = {dy + row, N, stack.sizes[n], u + column, R, into.rank, into.scale, 0, into.grad_b};
        });
        return affina_thin_sums(jobs, count, T);
    }
};

// What a forward pass leaves.
struct Kept {
    float *rstd, *rstd_heads, *rstd_middle, *rstd_attended, *rstd_made, *middle, *lse;
    bf16 *normed, *sums, *turned, *attended, *inner, *gates;
    bf16 *joined, *made;  // what went through norms after the halves; null where there are none
    Beside qkv, o, gate_up, down;

    Kept(const BlockCall& call, Parts parts, size_t* used = nullptr)
        : qkv(call.qkv, call.T, parts), o(call.o, call.T, parts), gate_up(call.gate_up, call.T, parts),
          down(call.down, call.T, parts) {
        const int64_t T = call.T, D = call.width(), N = call.qkv.outputs();
        for (float** each : {&rstd, &rstd_middle, &rstd_attended, &rstd_made}) *each = parts.take<float>(T);
        rstd_heads = parts.take<float>(call.norm_query ? T * call.heads.norms() : 0);
        middle = parts.take<float>(T * D);
        lse = parts.take<float>(T * call.heads.H);
        for (bf16** each : {&normed, &inner}) *each = parts.take<bf16>(T * D);
        turned = parts.take<bf16>(T * N);
        sums = call.norm_query ? parts.take<bf16>(T * N) : turned;
        attended = parts.take<bf16>(T * call.attended());
        gates = parts.take<bf16>(T * call.act.parts * call.inner());
        joined = call.norm_attended ? parts.take<bf16>(T * D) : nullptr;
        made = call.norm_made ? parts.take<bf16>(T * D) : nullptr;
        if (used) *used = parts.used;
    }

    int64_t words() const { return std::max({qkv.words(), o.words(), gate_up.words(), down.words()}); }

    int64_t widest_dropped() const {
        int64_t widest = 0;
        for (const Beside* each : {&qkv, &o, &gate_up, &down})
            if (each->drops()) widest = std::max(widest, each->stack.inputs);
        return widest;
    }
};

// What a pass needs while it runs.
struct Aside {
    int32_t* words;
    bf16 *y, *product, *dropped;  // [T, D or attended], [T, inner], [T, widest input of which a share is dropped]
    // backward only
    bf16 *again, *cast, *v, *heads;
    float* grad;

    Aside(const BlockCall& call, const Kept& kept, bool backward, Parts parts, size_t* used = nullptr) {
        const int64_t T = call.T, D = call.width();
        words = parts.take<int32_t>(kept.words());
        dropped = parts.take<bf16>(T * kept.widest_dropped());
        y = parts.take<bf16>(T * std::max(D, call.attended()));
        product = parts.take<bf16>(T * call.inner());
        if (backward) {
            again = parts.take<bf16>(T * call.inner());
            cast = parts.take<bf16>(T * D);
            v = parts.take<bf16>(T * std::max({call.qkv.rank(), call.o.rank(), call.gate_up.rank(), call.down.rank()}));
            heads = parts.take<bf16>(T * call.qkv.outputs());
            grad = parts.take<float>(T * D);
        }
        if (used) *used = parts.used;
    }
};

Call attention_of(const BlockCall& call, const Kept& kept) {
    const int64_t W = call.heads.W, head = W * sizeof(bf16), row = call.qkv.outputs() * sizeof(bf16);
    const auto at = [&](bf16* from, int64_t first) { return Tensor{(char*)(from + first * W), row, head}; };
    Call made{};
    made.q = at(kept.turned, 0);
    made.k = at(kept.turned, call.heads.H);
    made.v = at(kept.turned, call.heads.H + call.heads.K);
    made.out = {(char*)kept.attended, call.attended() * (int64_t)sizeof(bf16), head};
    made.lse = kept.lse, made.segments = call.segments, made.count = call.count;
    made.tokens = call.T, made.heads = call.heads.H, made.groups = call.heads.K, made.width = W;
    made.causal = call.causal, made.window = call.window, made.scale = call.scale, made.softcap = call.softcap;
    return made;
}

void round(const float* from, int64_t count, bf16* to) {
#pragma omp parallel for schedule(static)
    for (int64_t at = 0; at < count; at += WIDE) store(to + at, load(from + at));
}

int forward(const BlockCall& call) {
    const int64_t T = call.T, D = call.width();
    const Kept kept(call, Parts{call.kept});
    const Aside aside(call, kept, false, Parts{call.aside});
    if (call.norm)
        norm_rows<bf16>(call.x, call.first(), T, D, kept.normed, kept.rstd);
    else
        round(call.x, T * D, kept.normed);
    kept.qkv.ahead(kept.normed, T, kept.sums, aside.words, aside.dropped);
    heads<bf16>(
        kept.sums, call.qkv.bias, kept.qkv.low(0), kept.qkv.low(1), kept.qkv.low(2), call.norm_query, call.norm_key,
        (float)call.eps_heads, call.cos, call.sin, call.heads, T, kept.turned, kept.rstd_heads
    );
    const Call attention = attention_of(call, kept);
    if (affina_attention_forward(&attention, 1)) return 1;
    bf16* y = kept.joined ? kept.joined : aside.y;
    kept.o.ahead(kept.attended, T, y, aside.words, aside.dropped);
    add_residual<bf16>(
        call.x, y, call.o.bias, kept.o.low(0), call.attended_joins(kept.rstd_attended), T, D, kept.middle, call.second(),
        kept.inner, kept.rstd_middle
    );
    if (!call.norm_middle) round(kept.middle, T * D, kept.inner);
    kept.gate_up.ahead(kept.inner, T, kept.gates, aside.words, aside.dropped);
    gated<bf16>(
        kept.gates, call.gate_up.bias, kept.gate_up.low(0), kept.gate_up.low(1), call.act, T, call.inner(), aside.product
    );
    y = kept.made ? kept.made : aside.y;
    kept.down.ahead(aside.product, T, y, aside.words, aside.dropped);
    add_residual<bf16>(
        kept.middle, y, call.down.bias, kept.down.low(0), call.made_joins(kept.rstd_made), T, D, call.out,
        {nullptr, nullptr, 0.0f}, nullptr, nullptr
    );
    return 0;
}

// `into` = grad + what arrives through the norm that x went through, or straight where there is none; `cast` the same in bf16.
void through(
    const float* x, const float* rstd, Norm norm, bf16* dy, LowRank<bf16> low, const float* grad, int64_t T, int64_t D,
    float* into, bf16* cast
) {
    if (norm.weight) {
        norm_backward<bf16>(x, rstd, norm, dy, low, grad, T, D, into, cast, nullptr, nullptr, SHARES);
        return;
    }
    add_residual<bf16>(grad, dy, nullptr, low, Join{}, T, D, into, {nullptr, nullptr, 0.0f}, nullptr, nullptr);
    if (cast) round(into, T * D, cast);
}

int backward(const BlockCall& call) {
    const int64_t T = call.T, D = call.width();
    const Kept kept(call, Parts{call.kept});
    const Aside aside(call, kept, true, Parts{call.aside});
    const Join made = call.made_joins(kept.rstd_made), joined = call.attended_joins(kept.rstd_attended);
    if (made.plain())
        round(call.grad, T * D, aside.cast);
    else
        join_backward<bf16>(call.grad, kept.made, made, T, D, aside.cast, nullptr, SHARES);
    LowRank<bf16> low = kept.down.back(aside.cast, T, aside.product, aside.v, aside.words);
    gated_backward<bf16>(kept.gates, aside.product, low, call.act, T, call.inner(), aside.again);
    if (kept.down.learn(aside.again, aside.cast, aside.v, T, aside.dropped)) return 1;
    low = kept.gate_up.back(kept.gates, T, aside.y, aside.v, aside.words);
    if (kept.gate_up.learn(kept.inner, kept.gates, aside.v, T, aside.dropped)) return 1;
    through(kept.middle, kept.rstd_middle, call.second(), aside.y, low, call.grad, T, D, aside.grad, aside.cast);
    if (!joined.plain()) join_backward<bf16>(aside.grad, kept.joined, joined, T, D, aside.cast, nullptr, SHARES);
    low = kept.o.back(aside.cast, T, aside.y, aside.v, aside.words);
    if (kept.o.learn(kept.attended, aside.cast, aside.v, T, aside.dropped)) return 1;
    if (low.rank > 0) add_low<bf16>(aside.y, low, T, call.attended());
    Call attention = attention_of(call, kept);
    const int64_t W = call.heads.W;
    const auto into = [&](int64_t first) { return Tensor{(char*)(aside.heads + first * W), attention.q.row, attention.q.head}; };
    attention.dout = {(char*)aside.y, attention.out.row, attention.out.head};
    attention.dq = into(0), attention.dk = into(call.heads.H), attention.dv = into(call.heads.H + call.heads.K);
    if (affina_attention_backward(&attention, 1)) return 1;
    heads_backward<bf16>(
        aside.heads, kept.sums, kept.rstd_heads, call.norm_query, call.norm_key, call.cos, call.sin, call.heads, T,
        nullptr, SHARES
    );
    low = kept.qkv.back(aside.heads, T, call.out ? aside.y : nullptr, aside.v, aside.words);
    if (kept.qkv.learn(kept.normed, aside.heads, aside.v, T, aside.dropped)) return 1;
    if (call.out) through(call.x, kept.rstd, call.first(), aside.y, low, aside.grad, T, D, call.out, nullptr);
    return 0;
}

}  // namespace affina

using namespace affina;

extern "C" int affina_block() { return 1; }

// Bytes of what is kept, and of what a pass needs aside: [kept, forward, backward].
extern "C" void affina_block_sizes(const BlockCall* call, int64_t* into) {
    size_t used[3];
    const Kept kept(*call, Parts{nullptr}, used);
    for (int n = 1; n < 3; n++) Aside(*call, kept, n == 2, Parts{nullptr}, used + n);
    for (int n = 0; n < 3; n++) into[n] = (int64_t)used[n];
}

// 0, or 1 when there is no memory.
extern "C" int affina_block_forward(const BlockCall* call) { return forward(*call); }

extern "C" int affina_block_backward(const BlockCall* call) { return backward(*call); }
#else
extern "C" int affina_block() { return 0; }  // no bf16 products on this processor
#endif
