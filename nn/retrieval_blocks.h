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
/// Throws as squared_lengths.
UnitRows unit_rows(const char* op, const char* name, const Tensor& x);

/// cosines[kBlock, kBlock] of block `at` of x with block `block` of y.
void multiply_blocks(const Tensor& x, int64_t at, const Tensor& y, int64_t block, real* cosines);

/// How far such a cosine of rows of d numbers can be from dot(). BLAS rounds in an order that depends on the processor
/// and on where in the block a row is, so equal rows may get different cosines: what is closer than this is decided by
/// dot().
inline double doubt(int64_t d) { return double(d + 8) * double(std::numeric_limits<real>::epsilon()); }

/// The k rows of y nearest to a query that were seen so far; of equal cosines the smaller row. Their order of arrival
/// does not matter.
class NearestRows {
public:
    /// The query, of as many numbers as a row of y[N, D], must outlive this.
    NearestRows(int64_t k_, const real* query_, const Tensor& y_) : k(size_t(k_)), query(query_), y(y_) {}
    /// Rows first, first + 1, ... with these n cosines from a product; those of -infinity are left out.
    void see(const real* cosines, int64_t n, int64_t first);
    /// Their indices, ascending.
    std::vector<int32_t> rows() const;

private:
    struct Found {
        double cosine;
        int32_t row;
    };
    static bool is_nearer(const Found& p, const Found& q) {
        return p.cosine > q.cosine || (p.cosine == q.cosine && p.row < q.row);
    }
    void offer(const Found& found);

    size_t k;
    const real* query;
    Tensor y;
    std::vector<Found> heap;                              // the farthest in front
    real reach = -std::numeric_limits<real>::infinity();  // a product's cosine below is not among the k
};

/// |A n B| / |A u B| of two ascending lists, not both empty.
double jaccard(const std::vector<int32_t>& a, const std::vector<int32_t>& b);

}  // namespace koine::detail
