// t-SNE: a picture of points in many dimensions that keeps neighbours together. Exact, for up to a few thousand points.
// van der Maaten & Hinton 2008, "Visualizing data using t-SNE".
//
// Each point x_i spreads a probability p_j|i over the others, Gaussian in their distance, as wide as makes it reach
// about `perplexity` of them; p_ij = (p_j|i + p_i|j) / 2N. The points y_i of the picture have q_ij, in proportion to
// 1 / (1 + |y_i - y_j|^2). They are moved by gradient descent until q is like p: KL = sum of p log(p / q) falls.
// What the picture shows is who is near whom; sizes of clusters and distances between them mean little.
#pragma once
#include <cstdint>

#include "tensor/tensor.h"

namespace koine {

struct TsneOptions {
    double perplexity = 30;    ///< how many neighbours a point has, about
    int n_iterations = 1000;   ///< steps of gradient descent
    double learning_rate = 0;  ///< 0: max(N / exaggeration / 4, 50), as scikit-learn's "auto"
    double exaggeration = 12;  ///< factor on p in the first 250 steps: clusters gather before they find their places
};

/// y[N, 2]: points that are near each other in x[N, D] are near each other. Nothing is random: the start is the two
/// first principal components, scaled to a standard deviation of 1e-4 along the first (so points on a line stay on
/// one), and the bytes are the same for any number of threads. The mean of y is 0. Equal rows of x end in one place.
///
/// Momentum is 0.5, and 0.8 after the first 250 steps; each coordinate has a gain of its own, as in the authors' code.
/// Throws ShapeError unless x is [N, D] with 4 <= N <= 2000 and D >= 1, ValueError unless perplexity is in
/// [1, (N - 1) / 3], n_iterations >= 1, learning_rate >= 0 and exaggeration >= 1, NonFiniteError for values that are
/// not finite and for a descent that diverges. Cost: 3 N^2 D flops once, then about 50 N^2 a step; memory: two [N, N].
Tensor tsne(const Tensor& x, const TsneOptions& options = {});

/// The parts, for the tests.
namespace detail {

/// p[N, N], p_ij = p_j|i: each row sums to 1 and has the entropy log(perplexity), unless a point has more equal
/// neighbours than that; p_ii = 0.
Tensor neighbour_probabilities(const Tensor& x, double perplexity);
/// (p + p^T) / 2N: sums to 1.
Tensor symmetrised(const Tensor& p);
/// sum over i != j of p_ij log(p_ij / q_ij) for y[N, 2], 0 or more when p sums to 1.
double kl_divergence(const Tensor& p, const Tensor& y);
/// dy[N, 2], the gradient of kl_divergence, with p taken `exaggeration` times.
Tensor kl_gradient(const Tensor& p, const Tensor& y, double exaggeration = 1);

}  // namespace detail
}  // namespace koine
