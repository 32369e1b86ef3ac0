// Eigenvectors and singular values through LAPACK, for principal components and random orthogonal maps. Host only.
#pragma once
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

}  // namespace koine
