// How alike two spaces of codes are: x[N, D] and y[N, D], where row i of both is a code of the same sample.
//
// Two questions: how far apart are the codes of a sample, and do the two spaces agree about who is near whom when a
// code of one is looked up in the other. What a code is, absolute or relative, is not known here: relative.h.
#pragma once
#include <cstdint>
#include <vector>

#include "tensor/tensor.h"

namespace koine {

/// Mean over i of the L2 distance |x_i - y_i|, 0 or more. Throws ShapeError unless both are [N, D] with N >= 1.
double mean_distance(const Tensor& x, const Tensor& y);
/// Mean over i of |x_i|: how long codes are, to compare distances with. Throws as mean_distance.
double mean_length(const Tensor& x);
/// Mean of mean_distance over all pairs of two or more spaces. Throws as mean_distance, ValueError for fewer than two.
double mean_pairwise_distance(const std::vector<Tensor>& spaces);

/// For each sample a list of others, nearest first.
using Neighbours = std::vector<std::vector<int32_t>>;

/// The k rows of y nearest to x_i by L2 distance, for each i; row i itself is left out, equal distances go to the
/// smaller index. With y = x these are the neighbours within a space, else those that a code finds in the other one.
/// Throws ShapeError unless both are [N, D], ValueError unless 1 <= k < N, NonFiniteError when a distance is not
/// finite. Cost 3 N^2 D.
Neighbours nearest_neighbours(const Tensor& x, const Tensor& y, int64_t k);

/// The share of all entries of `before` that the same sample's list of `after` holds, too: in [0, 1], whatever their
/// order; k / (N - 1) for lists of k chosen by chance. Throws ShapeError unless there are as many lists, with an entry
/// at least.
double surviving_share(const Neighbours& before, const Neighbours& after);

struct CodeScores {
    double distance = 0;    ///< mean_distance
    double largest = 0;     ///< the largest difference of two numbers at the same place
    double neighbours = 0;  ///< surviving_share of the k neighbours within x when x is looked up in y
};
/// All of it for x[N, D] and y[N, D]. Throws as nearest_neighbours.
CodeScores compare_codes(const Tensor& x, const Tensor& y, int64_t k);

}  // namespace koine
