// The algorithms behind attention (ops.h), by name: for ops_attention.cpp, which chooses one by device, and for the
// tests, which try both.
#pragma once
#include <vector>

#include "autograd/softmax.h"

namespace koine {

enum class AttentionAlgorithm {
    heads,  ///< one head of one text after the other, its products by gemm: for the caches of a CPU
    rows,   ///< row kernels over all texts and heads at once: a few launches, where `heads` takes thousands
};

/// The algorithm that the attention of ops.h takes.
AttentionAlgorithm choose_algorithm(Device device);

/// As in ops.h, with the algorithm given. Both drop the same weights, and agree up to rounding.
Var attention(AttentionAlgorithm algorithm, const Var& qkv, const std::vector<int64_t>& starts, int64_t n_heads,
              real p_dropout = 0, bool training = false, Random rng = {});

/// Attention by row kernels. Scores are in memory for a block of queries at a time: up to kScores numbers or, where a
/// text is too long for that, 32 for each of its tokens and heads; twice as many in the backward pass.
struct AttentionRows {
    /// 16 MB of float, which the second-level cache of a large GPU holds.
    static constexpr int64_t kScores = int64_t(1) << 22;

    /// qkv_[T, 3D] is contiguous; starts and n_heads are as attention wants them, the elements of mask_ numbered as
    /// ops.h says. max_scores is for tests.
    AttentionRows(const Tensor& qkv_, const std::vector<int64_t>& starts, int64_t n_heads_, bool drops_,
                  DropoutMask mask_, int64_t max_scores = kScores);

    /// Writes y[T, D], and to stats[T, n_heads, 2] what the backward pass is to know of the softmax of each query.
    void forward(const Tensor& y, const Tensor& stats) const;
    /// Puts the gradient of qkv, for y and stats as forward wrote them and the gradient dy of y.
    void backward(const Tensor& y, const Tensor& stats, const Tensor& dy, GradSlot dx) const;

    /// The queries whose scores are in memory together: those of whole texts, or [first_query, end_query) of one text.
    struct Block {
        int64_t tile, n_tiles;              ///< the keys, as rows of `tiles`
        int64_t query_tile, n_query_tiles;  ///< the queries
        int64_t first_query, end_query;     ///< of each text, as far as it goes
        int64_t offset;                     ///< of the first text's scores, among those of all texts for one head
        int64_t n_scores;
    };

    Tensor qkv;
    int64_t n_heads;
    bool drops;
    DropoutMask mask;
    std::vector<Block> blocks;
    int64_t n_scores = 0;  ///< of the largest block
    Indices tiles;         ///< what the teams have, a row each (attention_rows.cpp)
};

}  // namespace koine
