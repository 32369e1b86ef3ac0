// Do two spaces agree? Row i of a[N, D] and of b[N, D] are codes of the same sample; a_i is looked up among the rows of
// b. The measures of the paper's section 4.1, as its code defines them (lucmos/relreps, evaluate_retrieval in
// experiments/fig:latent-rotation-comparison/quantitative_analysis.ipynb), but for the ranks: see mrr.
//
// The N x N cosines never exist at once: they are computed and looked through block by block.
//
// Reading order: relative.h, similarity.h, this file.
#pragma once
#include <cstdint>
#include <vector>

#include "tensor/tensor.h"

namespace koine {

struct RetrievalScores {
    /// Mean over i of |A n B| / |A u B|, where A are the k rows of b nearest to a_i and B those nearest to b_i. B holds
    /// b_i itself. 1 when a_i and b_i have the same neighbours; two sets drawn by chance share k^2 / N rows.
    double jaccard = 0;
    /// Mean over i of 1 / rank of b_i among the rows of b, from the nearest to a_i on; 1 when each finds its own. The
    /// paper's code counts 0 where b_i is not among the k nearest, so its number is a little smaller.
    double mrr = 0;
    double cosine = 0;  ///< mean over i of the cosine of a_i and b_i, in [-1, 1]
    double top1 = 0;    ///< share of i whose nearest row of b is b_i
    double top_k = 0;   ///< share of i with b_i among the k nearest rows of b
};

/// a looked up in b, by cosine; b looked up in a gives other numbers, but for `cosine`. A row with an equal cosine and
/// a smaller index counts as nearer: the rank of b_i is 1 + the number of rows j with cos_j > cos_i, or cos_j = cos_i
/// and j < i. Equal rows have equal cosines, bit for bit; rows that are only parallel may differ by rounding. Rows of
/// zeros have cosine 0 with everything. With b = a all scores are exactly 1, unless two rows are parallel or one is 0.
/// The same bytes for any number of threads.
///
/// Throws ShapeError unless both are [N, D] with N and D >= 1, ValueError unless 1 <= k <= N, NonFiniteError for
/// values that are not finite, or so large that their squares are not. Cost: two products of 2 N^2 D flops; memory:
/// copies of a and b, and 256 KB for each thread.
RetrievalScores compare_by_retrieval(const Tensor& a, const Tensor& b, int64_t k);

/// The k rows of x[N, D] with the largest cosines with query[1, D], best first; equal ones: the smaller row first. All
/// rows when there are fewer. Throws ShapeError unless D agrees, ValueError unless k >= 1, NonFiniteError as above.
std::vector<int32_t> nearest_rows(const Tensor& query, const Tensor& x, int64_t k);

}  // namespace koine
