// Relative representations: a sample is described by its similarities to a few anchor samples instead of by
// coordinates.
//
// Two networks trained from different seeds arrange the same data alike up to a rotation and a scale; cosines do not
// see either, so relative codes of different networks can be exchanged. Moschella et al., "Relative representations
// enable zero-shot latent space communication", ICLR 2023 (arXiv 2209.15430), section 3.
//
// Here: the projection and the choice of anchors. Not here: which latents are projected; see experiments/.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "autograd/ops.h"

namespace koine {

// ---- the projection -----------------------------------------------------------------------------------------------

/// r[N, A] = cosine of latents x[N, D] with the latents of the anchors a[A, D], in [-1, 1]; zero rows give 0. The
/// anchors are constants unless `anchor_grad`, as in the paper's code. Throws ShapeError unless D agrees. Cost 2 N A D
/// flops.
Var relative(const Var& x, const Var& anchors, bool anchor_grad = false);

// ---- the anchors --------------------------------------------------------------------------------------------------
// All return indices of distinct samples, depend on nothing but their arguments, and throw ValueError when there are
// fewer samples (or distinct ones) than anchors. Equal distances: the smaller index first.

/// k of n samples, every choice equally likely.
std::vector<int32_t> uniform_anchors(int64_t n, int64_t k, uint64_t seed);

/// n_per_class samples of each label that occurs, labels ascending.
std::vector<int32_t> per_class_anchors(std::span<const int32_t> labels, int64_t n_per_class, uint64_t seed);

/// A random sample, then always the one farthest (Euclidean) from those chosen. Gonzalez 1985. data[N, ...], cost 3 N k
/// D.
std::vector<int32_t> farthest_point_anchors(const Tensor& data, int64_t k, uint64_t seed);

/// The samples nearest to the k centroids of k-means: started by k-means++ (Arthur & Vassilvitskii 2007), n_rounds
/// rounds of Lloyd; a centroid that loses all its samples moves to the sample farthest from its own. data[N, ...], cost
/// 2 N k D a round.
std::vector<int32_t> k_means_anchors(const Tensor& data, int64_t k, uint64_t seed, int n_rounds = 20);

}  // namespace koine
