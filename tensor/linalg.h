// Eigenvectors and singular values through LAPACK, for principal components and random orthogonal maps. Host only.
#pragma once
#include <vector>

#include "tensor/gemm.h"
#include "tensor/tensor.h"

namespace koine {

struct Eigen {
    Tensor values;   ///< [D], largest first
    Tensor vectors;  ///< [D, D], row i is the unit eigenvector of values[i]
};
/// Eigenvalues and eigenvectors of a symmetric a[D, D] (its upper triangle is read). The sign of each vector is fixed:
/// its largest component is positive. Throws ShapeError unless a is square, NonFiniteError for NaN or infinity in it.
Eigen eigen_symmetric(const Tensor& a);

struct Svd {
    Tensor u;       ///< [M, K], columns orthonormal, K = min(M, N)
    Tensor values;  ///< [K], largest first, 0 or more
    Tensor vt;      ///< [K, N], rows orthonormal
};
/// a[M, N] = u diag(values) vt. Throws ShapeError unless rank 2, NonFiniteError for NaN or infinity.
Svd svd(const Tensor& a);

struct Pca {
    Tensor mean;        ///< [D]
    Tensor components;  ///< [K, D], orthonormal, by falling variance
    Tensor variance;    ///< [K], along each component (divisor N)
    /// Coordinates [M, K] of the rows of y[M, D] along the components, from the mean of the fitted data.
    Tensor project(const Tensor& y) const;
};
/// The first k principal components of the rows of x[N, D]. Throws ShapeError unless 1 <= k <= D and N >= 1.
Pca pca(const Tensor& x, int64_t k);

/// A random orthogonal map [D, D], uniform over all of them (Haar): Q of the QR decomposition of a normal matrix with
/// the signs of R's diagonal moved into Q (Mezzadri 2007, arXiv math-ph/0609050).
Tensor random_orthogonal(int64_t d, Random rng);

// ---- float64 in every build -----------------------------------------------------------------------------------------
// For statistics over many samples (nn/similarity.h), which float32 would spoil.

/// A matrix of float64, row-major, 0 at first.
struct Matrix64 {
    int64_t rows = 0, cols = 0;
    std::vector<double> values;

    Matrix64() = default;
    Matrix64(int64_t rows_, int64_t cols_) : rows(rows_), cols(cols_), values(size_t(rows_ * cols_)) {}
    double* row(int64_t i) { return values.data() + i * cols; }
    const double* row(int64_t i) const { return values.data() + i * cols; }
    double at(int64_t i, int64_t j) const { return row(i)[j]; }
    /// A copy of n_rows rows from first_row on, of each n_cols columns from first_col on.
    Matrix64 block(int64_t first_row, int64_t n_rows, int64_t first_col, int64_t n_cols) const;
    Matrix64 transposed() const;
};

/// c[M, N] += a b, both taken through their op as in gemm. Throws ShapeError unless they fit. The same bytes for any
/// number of threads.
void add_product(const Matrix64& a, Op op_a, const Matrix64& b, Op op_b, Matrix64& c);

struct Eigen64 {
    std::vector<double> values;  ///< [D], largest first
    Matrix64 vectors;            ///< [D, D], row i is the unit eigenvector of values[i]
};
/// As eigen_symmetric of a Tensor.
Eigen64 eigen_symmetric(const Matrix64& a);

/// The min(M, N) singular values of a[M, N], largest first. Throws NonFiniteError for NaN or infinity.
std::vector<double> singular_values(const Matrix64& a);

}  // namespace koine
