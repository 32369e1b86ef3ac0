// Ops on texts that lie behind one another in one table [T, D], without padding: attention within each text, and the
// mean of each text.
//
// Of attention there are two algorithms (attention_rows.h); this file has the one that goes head by head, for the CPU.
// A head of a text is three products with a softmax between them, on views: q, k, v and the head's part of y are
// columns of larger tables and stay where they are. The weights, L x L for L tokens, are the only thing that grows
// faster than the text; they exist for one block of queries at a time, and the backward pass computes them again.
#include <cmath>

#include "autograd/attention_rows.h"
#include "autograd/kernels.h"
#include "autograd/ops.h"
#include "autograd/softmax.h"
#include "autograd/sums.h"
#include "tensor/gemm.h"

namespace koine {

void require_starts(const char* op, const std::vector<int64_t>& starts, int64_t n_rows) {
    const auto fail = [&](const std::string& problem) {
        throw ValueError(std::string(op) + ": " + problem + "; want them to rise from 0 to the number of rows, " +
                         std::to_string(n_rows));
    };
    if (starts.empty()) fail("starts is empty");
    for (size_t n = 0; n < starts.size(); n++) {
        if (starts[n] < (n ? starts[n - 1] : 0) || (n == 0 && starts[n] != 0)) {
            fail("starts[" + std::to_string(n) + "] is " + std::to_string(starts[n]) +
                 (n ? " behind " + std::to_string(starts[n - 1]) : ""));
        }
    }
    if (starts.back() != n_rows) fail("starts ends with " + std::to_string(starts.back()));
}

// ---- attention -----------------------------------------------------------------------------------------------------------

namespace {

// Scores that are in memory at a time: with the keys and values beside them they stay in a core's second-level cache.
constexpr int64_t kScores = int64_t(1) << 16;

// One head of one text.
struct Head {
    Device device;
    int64_t n_tokens, size;  // L, D / n_heads
    int64_t stride;          // 3D: from one token to the next in qkv
    const real *q, *k, *v;   // of the first token
    bool drops;
    DropoutMask mask;  // its element 0 is that of query 0 and key 0

    real scale() const { return 1 / std::sqrt(real(size)); }
    int64_t rows_at_once() const { return std::clamp<int64_t>(kScores / n_tokens, 1, n_tokens); }
    MatrixView queries(int64_t first) const { return {q + first * stride, stride}; }
    MatrixView keys(Op op = Op::plain) const { return {k, stride, op}; }
    MatrixView values(Op op = Op::plain) const { return {v, stride, op}; }
    DropoutMask mask_from(int64_t first) const {
        DropoutMask m = mask;
        m.first += first * n_tokens;
        return m;
    }

    // p[n, L] = softmax(q k^T scale) for the queries [first, first + n).
    void weights(int64_t first, int64_t n, real* p) const {
        gemm(device, n, n_tokens, size, scale(), queries(first), keys(Op::transposed), 0, p, n_tokens);
        for_rows(device, n, n_tokens * 12, SoftmaxRow{p, p, n_tokens});
    }

    // y = p v, row by row y_stride apart.
    void forward(real* y, int64_t y_stride, real* p) const {
        const int64_t step = rows_at_once();
        for (int64_t first = 0; first < n_tokens; first += step) {
            const int64_t n = std::min(step, n_tokens - first);
            weights(first, n, p);
            if (drops) for_each(device, n * n_tokens, DropoutForward{p, p, mask_from(first)}, 16);
            gemm(device, n, size, n_tokens, 1, {p, n_tokens}, values(), 0, y + first * y_stride, y_stride);
        }
    }

    // dv = p^T dy; ds = p (dp - p . dp) with dp = dy v^T; dq = ds k scale, dk = ds^T q scale. `scratch` is room for
    // three blocks of scores; dq, dk and dv are where q, k and v are in a table like qkv.
    void backward(const real* dy, int64_t y_stride, GradSlot dq, GradSlot dk, GradSlot dv, real* scratch) const {
        const int64_t step = rows_at_once();
        real *p = scratch, *dp = p + step * n_tokens, *dropped = drops ? dp + step * n_tokens : p;
        for (int64_t first = 0; first < n_tokens; first += step) {
            const int64_t n = std::min(step, n_tokens - first);
            const MatrixView dy_rows{dy + first * y_stride, y_stride};
            const real beta = first > 0 ? real(1) : dk.beta;  // later blocks of queries add to dk and dv
            weights(first, n, p);
            gemm(device, n, n_tokens, size, 1, dy_rows, values(Op::transposed), 0, dp, n_tokens);
            if (drops) {
                const DropoutMask m = mask_from(first);
                for_each(device, n * n_tokens, DropoutForward{dropped, p, m}, 16);
                for_each(device, n * n_tokens, DropoutBackward{{dp, 0}, dp, m}, 16);
            }
            gemm(device, n_tokens, size, n, 1, {dropped, n_tokens, Op::transposed}, dy_rows, beta, dv.p, stride);
            for_rows(device, n, n_tokens * 8, SoftmaxRowGrad{{dp, 0}, dp, p, n_tokens});
            gemm(device, n, size, n_tokens, scale(), {dp, n_tokens}, keys(), dq.beta, dq.p + first * stride, stride);
            gemm(device, n_tokens, size, n, scale(), {dp, n_tokens, Op::transposed}, queries(first), beta, dk.p,
                 stride);
        }
    }
};

// f(head, row of its first token, column of its first feature) for every head of every text, on all threads.
template <class F>
void for_heads(const Tensor& qkv, const std::vector<int64_t>& starts, int64_t n_heads, bool drops, DropoutMask mask,
               F f) {
    const int64_t stride = qkv.shape[1], n_features = stride / 3, size = n_features / n_heads;
    // Where the elements of each text begin among those of all: sums of H L^2.
    std::vector<int64_t> firsts(starts.size());
    for (size_t n = 1; n < starts.size(); n++) {
        const int64_t length = starts[n] - starts[n - 1];
        firsts[n] = firsts[n - 1] + n_heads * length * length;
    }
    for_tasks(qkv.device(), (int64_t(starts.size()) - 1) * n_heads, [&](int64_t task) {
        const size_t n = size_t(task / n_heads);
        const int64_t h = task % n_heads, length = starts[n + 1] - starts[n];
        if (length == 0) return;
        const real* q = qkv.data() + starts[n] * stride + h * size;
        DropoutMask own = mask;
        own.first = firsts[n] + h * length * length;
        f(Head{qkv.device(), length, size, stride, q, q + n_features, q + 2 * n_features, drops, own}, starts[n],
          h * size);
    });
}

int64_t sum_of_squared_lengths(const std::vector<int64_t>& starts) {
    int64_t sum = 0;
    for (size_t n = 1; n < starts.size(); n++) sum += (starts[n] - starts[n - 1]) * (starts[n] - starts[n - 1]);
    return sum;
}

// Room for n blocks of a head's scores; one size for all heads, so that the pool has it after the first.
Tensor scores(const Head& head, int64_t n) { return Tensor::empty({n, std::max(kScores, head.n_tokens)}, head.device); }

}  // namespace

AttentionAlgorithm choose_algorithm(Device device) {
    return device == Device::cuda ? AttentionAlgorithm::rows : AttentionAlgorithm::heads;
}

Var attention(const Var& qkv, const std::vector<int64_t>& starts, int64_t n_heads, real p_dropout, bool training,
              Random rng) {
    return attention(choose_algorithm(qkv.device()), qkv, starts, n_heads, p_dropout, training, rng);
}

Var attention(AttentionAlgorithm algorithm, const Var& qkv, const std::vector<int64_t>& starts, int64_t n_heads,
              real p_dropout, bool training, Random rng) {
    const Profiled scope("attention");
    const Shape& s = qkv.shape();
    if (s.rank != 2 || n_heads < 1 || s[1] < 1 || s[1] % (3 * n_heads) != 0) {
        throw ShapeError("attention: qkv " + s.str() + ", " + std::to_string(n_heads) +
                         " heads; want [T, 3D], D a multiple of one head or more");
    }
    if (!(p_dropout >= 0 && p_dropout < 1))
        throw ValueError("attention: p " + std::to_string(p_dropout) + "; want 0 <= p < 1");
    require_starts("attention", starts, s[0]);
    const int64_t n_features = s[1] / 3;
    const bool drops = training && p_dropout > 0;
    const DropoutMask mask{p_dropout, 1 / (1 - p_dropout), rng};
    const Tensor in = qkv.value.contiguous(), y = Tensor::empty({s[0], n_features}, qkv.device());
    const int64_t flop = 4 * sum_of_squared_lengths(starts) * n_features;
    profile_flop(flop);
    if (algorithm == AttentionAlgorithm::rows) {
        const AttentionRows rows(in, starts, n_heads, drops, mask);
        const Tensor stats = Tensor::empty({s[0], n_heads, 2}, qkv.device());
        rows.forward(y, stats);
        return record("attention", y, {&qkv}, [=](const Tensor& dy, Grads& dx) {
            profile_flop(2 * flop);
            rows.backward(y, stats, dy, dx.slot(0));
        });
    }
    for_heads(in, starts, n_heads, drops, mask, [&](const Head& head, int64_t row, int64_t column) {
        head.forward(y.data() + row * n_features + column, n_features, scores(head, 1).data());
    });
    return record("attention", y, {&qkv}, [=](const Tensor& dy, Grads& dx) {
        profile_flop(2 * flop);
        const GradSlot slot = dx.slot(0);
        for_heads(in, starts, n_heads, drops, mask, [&](const Head& head, int64_t row, int64_t column) {
            const GradSlot dq = slot.at(row * 3 * n_features + column);
            head.backward(dy.data() + row * n_features + column, n_features, dq, dq.at(n_features),
                          dq.at(2 * n_features), scores(head, drops ? 3 : 2).data());
        });
    });
}

// ---- segment_mean --------------------------------------------------------------------------------------------------------

namespace {

struct RowTerm {
    const real* x;
    int64_t cols;
    HD void operator()(int64_t r, int64_t c, real* acc) const { acc[0] += x[r * cols + c]; }
};
struct SegmentMeanRow {
    real* y;
    const real* x;
    const int32_t* starts;
    int64_t cols;
    template <class Team>
    HD void operator()(Team t, int64_t n) const {
        const int64_t begin = starts[n], end = starts[n + 1];
        real* out = y + n * cols;
        sum_rows<1>(t, begin, end, cols, RowTerm{x, cols}, out);
        const real scale = end > begin ? 1 / real(end - begin) : real(0);
        t.each(cols, [=](int64_t c) { out[c] *= scale; });
    }
};
struct SegmentMeanRowGrad {
    GradSlot dx;
    const real* dy;
    const int32_t* starts;
    int64_t cols;
    template <class Team>
    HD void operator()(Team t, int64_t n) const {
        const int64_t begin = starts[n], end = starts[n + 1];
        const real scale = end > begin ? 1 / real(end - begin) : real(0);
        const real* d = dy + n * cols;
        for (int64_t row = begin; row < end; row++) {
            const GradSlot out = dx.at(row * cols);
            t.each(cols, [=](int64_t c) { out.put(c, d[c] * scale); });
        }
    }
};

}  // namespace

Var segment_mean(const Var& x, const std::vector<int64_t>& starts) {
    const Profiled scope("segment_mean");
    const Shape& s = x.shape();
    if (s.rank != 2) throw ShapeError("segment_mean: x " + s.str() + "; want [T, D]");
    require_starts("segment_mean", starts, s[0]);
    const Device device = x.device();
    const int64_t n_texts = int64_t(starts.size()) - 1, cols = s[1],
                  row_work = cols * (s[0] / std::max<int64_t>(n_texts, 1) + 1);
    const Indices begins(std::vector<int32_t>(starts.begin(), starts.end()), Shape{n_texts + 1}, device);
    const Tensor in = x.value.contiguous(), y = Tensor::empty({n_texts, cols}, device);
    for_rows(device, n_texts, row_work, SegmentMeanRow{y.data(), in.data(), begins.data(), cols});
    return record("segment_mean", y, {&x}, [=](const Tensor& dy, Grads& dx) {
        for_rows(device, n_texts, row_work, SegmentMeanRowGrad{dx.slot(0), dy.data(), begins.data(), cols});
    });
}

}  // namespace koine
