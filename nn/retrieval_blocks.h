// How the nearest of many rows are found without ever holding all N x N cosines: block by block. What retrieval.cpp and
// similarity.cpp share; not for others.
#pragma once
#include <limits>
#include <vector>

#include "tensor/tensor.h"

namespace koine::detail {

/// Queries and rows in one product. Its cosines, 256 KB, are looked through while they are in a core's L2 cache.
inline constexpr int64_t kBlock = 256;

/// x . y of two rows, summed in double.
double dot(const real* x, const real* y, int64_t d);

/// |x_i|^2 of each row of a contiguous x[N, D] on the host. Throws NonFiniteError, naming `op`, the row and `name`, for
/// a row that is not finite, or of a square above 1e100: what is made of the squares is then finite. All rows of finite
/// float32 are below that.
std::vector<double> squared_lengths(const char* op, const char* name, const Tensor& x);

struct UnitRows {
    Tensor rows;                  ///< [whole blocks, D], of length 1 or 0; rows of zeros behind the last one
    std::vector<double> squares;  ///< [N], of the lengths before

    int64_t n_blocks() const { return rows.shape[0] / kBlock; }
};
/// All products are made of whole blocks, so that equal rows get equal cosines, bit for bit, wherever they are: BLAS
/// may have other kernels for what is left over at the edge of a matrix. Throws as squared_lengths.
UnitRows unit_rows(const char* op, const char* name, const Tensor& x);

/// cosines[kBlock, kBlock] of block `at` of x with block `block` of y.
void multiply_blocks(const Tensor& x, int64_t at, const Tensor& y, int64_t block, real* cosines);

/// The k nearest rows seen so far; of equal cosines the smaller row. Their order of arrival does not matter.
class NearestRows {
public:
    explicit NearestRows(int64_t k_) : k(size_t(k_)) {}
    /// Rows first, first + 1, ... with these n cosines.
    void see(const real* cosines, int64_t n, int64_t first);
    /// Their indices, ascending.
    std::vector<int32_t> rows() const;

private:
    struct Found {
        real cosine;
        int32_t row;
    };
    static bool is_nearer(const Found& p, const Found& q) {
        return p.cosine > q.cosine || (p.cosine == q.cosine && p.row < q.row);
    }
    void offer(const Found& found);

    size_t k;
    std::vector<Found> heap;                              // the farthest in front
    real reach = -std::numeric_limits<real>::infinity();  // whoever is below is not among the k
};

/// |A n B| / |A u B| of two ascending lists, not both empty.
double jaccard(const std::vector<int32_t>& a, const std::vector<int32_t>& b);

}  // namespace koine::detail
