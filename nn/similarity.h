// How alike two spaces of codes are: x[N, D] and y[N, E], where row i of both is a code of the same sample.
//
// Four questions, each with its own notion of "alike":
//   are the codes of a sample near each other, or do they point the same way?  mean_distance, mean_cosine; D = E
//   would they after a relative projection?                                    relative_cosine
//   do the spaces agree about who is near whom?    surviving_share (a code looked up in the other space; D = E),
//                                                  neighbourhood_jaccard (each space looked up in itself)
//   is one space the other one, turned (CKA, Procrustes) or mapped linearly (SVCCA)?    linear_cka, ...
//
// A number alone means little: codes of networks that learnt nothing can be alike, too, when they share a large mean
// (cosines), or when N is small (CKA, SVCCA). Put beside it what the measure gives for the same rows of y in another
// order, and for centred spaces.
//
// Sums over samples are float64 in every build. What lies on a GPU is copied to the host.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "tensor/linalg.h"
#include "tensor/tensor.h"

namespace koine {

// ---- sample by sample -----------------------------------------------------------------------------------------------

/// Mean over i of the L2 distance |x_i - y_i|, 0 or more. Throws ShapeError unless both are [N, D] with N >= 1.
double mean_distance(const Tensor& x, const Tensor& y);
/// Mean over i of |x_i|: how long codes are, to compare distances with. Throws as mean_distance.
double mean_length(const Tensor& x);
/// Mean of mean_distance over all pairs of two or more spaces. Throws as mean_distance, ValueError for fewer than two.
double mean_pairwise_distance(const std::vector<Tensor>& spaces);

/// Mean over i of the cosine x_i . y_i / (|x_i| |y_i|), in [-1, 1]; a row of zeros has cosine 0. With y = x exactly 1,
/// but for rows of zeros. Two networks that were trained apart have about 0, however good they are, or what their means
/// have in common. Throws ShapeError unless both are [N, D] with N >= 1, NonFiniteError, naming the row, for values
/// that are not finite or squares above 1e100. Cost 6 N D flops.
double mean_cosine(const Tensor& x, const Tensor& y);

/// mean_cosine of the relative codes: relative(x, x_anchors)[N, A] and relative(y, y_anchors)[N, A] for x[N, D] and
/// x_anchors[A, D], y[N, E] and y_anchors[A, E], where row i of both anchors is the same sample. In [-1, 1]; does not
/// change when a space is turned or scaled together with its anchors. The measure of the paper's section 4.2 (Moschella
/// et al. 2023, arXiv 2209.15430). Codes of anchors with a large common mean all look alike: it can be 0.9 for spaces
/// that have nothing in common, so subtract the mean of the space from both. Throws as mean_cosine. Cost
/// 2 N A (D + E) flops.
double relative_cosine(const Tensor& x, const Tensor& x_anchors, const Tensor& y, const Tensor& y_anchors);

/// x[N, D] minus the mean of its rows, computed in float64; a column of equal numbers becomes exactly 0. Throws
/// ShapeError unless rank 2 with N >= 1, NonFiniteError as mean_cosine.
Tensor centred(const Tensor& x);

// ---- who is near whom -----------------------------------------------------------------------------------------------

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

/// Mean over i of |A n B| / |A u B|, where A are the k rows of x[N, D] with the largest cosines with x_i and B those of
/// y[N, E] with y_i; i itself is in neither, equal cosines go to the smaller index. In [0, 1], 1 when all samples have
/// the same neighbours in both spaces; about k / (2 (N - 1) - k) by chance. Does not change when a space is turned or a
/// row scaled; it does under translation, as cosines do. (RetrievalScores::jaccard looks x_i up in y instead.)
///
/// A row of zeros has no direction: its sample counts 0, and its cosine with others is 0. When all rows of a space are
/// equal, everybody's neighbours are the first k rows: two such spaces have 1, so look at a centred space, too.
/// Throws ShapeError unless both have rank 2 and the same N, D and E >= 1, ValueError unless 1 <= k < N, NonFiniteError
/// as mean_cosine. Cosines have this build's precision; the same bytes for any number of threads. Cost 2 N^2 (D + E)
/// flops; memory: copies of x and y, and 256 KB for each thread.
double neighbourhood_jaccard(const Tensor& x, const Tensor& y, int64_t k);

// ---- space by space -------------------------------------------------------------------------------------------------
// x[N, D] and y[N, E]. All centre the spaces, are symmetric in x and y, and do not change when a space is moved, turned
// or scaled (all numbers by the same factor). When all rows of a space are equal, N = 1 among them, there is nothing to
// compare: the similarities are then 0 and the distance 2, of two such spaces, too.
//
// All throw ShapeError unless both have rank 2, the same N >= 1, and D and E >= 1; NonFiniteError as mean_cosine. Cost
// 2 N (D + E)^2 flops and some (D + E)^3; memory 8 (D + E)^2 bytes and a block of rows; nothing of size N is kept.

/// Linear CKA, centred kernel alignment: |X^T Y|^2 / (|X^T X| |Y^T Y|) in Frobenius norms, X and Y centred. In [0, 1].
/// Kornblith et al. 2019 (arXiv 1905.00414), sec. 3. Does not change under orthogonal maps, does under other
/// linear maps. Directions of large variance decide it.
///
/// Only for N much larger than D and E: two spaces of independent normal numbers have about
/// sqrt(D E / ((N + D) (N + E))), 1/2 for N = D = E, not 0. Where that is not small, or spaces with different N are
/// compared, use linear_cka_debiased. With N = 2 it is always 1.
double linear_cka(const Tensor& x, const Tensor& y);

/// The same with unbiased estimates: H(x, y) / sqrt(H(x, x) H(y, y)), where H is HSIC_1 of the linear kernels
/// K = X X^T, L = Y Y^T with zeros put on their diagonals:
/// H = (tr(K L) + 1'K1 1'L1 / ((N - 1)(N - 2)) - 2 / (N - 2) 1'KL1) / (N (N - 3)).
/// Song et al. 2012 (JMLR 13); Nguyen et al. 2021 (arXiv 2010.15327). In [-1, 1], about 0 for unrelated
/// spaces whatever N; 0 when H(x, x) or H(y, y) is 0 up to rounding, as for samples that are all equally far apart.
/// Nguyen et al. average H over batches; here it is that of all samples, however they were cut. Throws as above,
/// ValueError for N < 4.
double linear_cka_debiased(const Tensor& x, const Tensor& y);

/// SVCCA: the mean canonical correlation of the spaces' principal components, in [0, 1]. Of each space the directions
/// of largest variance are kept, as few as hold the share `kept` of it; then the correlations are the singular values
/// of Qx^T Qy, where the columns of Qx are an orthonormal basis of what x's kept components do on the samples; there
/// are as many as the smaller space has directions. Raghu et al. 2017 (arXiv 1706.05806), sec. 2. (The
/// variance along a direction is the square of its singular value.) kept = 1 keeps all but the last 1e-10, which are
/// rounding: that is plain CCA, and does not change under any invertible linear map. Directions count alike, large and
/// small.
///
/// High for unrelated spaces unless N is much larger than the number of kept directions, and 1 for any when that
/// reaches N - 1. Throws as above, ValueError unless 0 < kept <= 1.
double svcca(const Tensor& x, const Tensor& y, double kept = 0.99);

/// Orthogonal Procrustes distance min over orthogonal Q of |X - Y Q|^2 = 2 - 2 |X^T Y|_*, where X and Y are centred and
/// of Frobenius norm 1, and |A|_* is the sum of the singular values; unless D = E the smaller space has zeros added. In
/// [0, 2]; 0 when one space is the other one turned, moved and scaled. Ding et al. 2021 (arXiv 2108.01661).
/// Falls below 2 for unrelated spaces as N shrinks.
double procrustes_distance(const Tensor& x, const Tensor& y);

/// What the four measures above are made of, batch by batch: when samples do not fit into memory, or when several
/// measures are wanted. However the samples are cut into batches, the results are the same up to rounding.
///
///     SpaceSums sums;
///     for (...) sums.add(x_batch, y_batch);
///     sums.linear_cka(), sums.procrustes_distance()
///
/// Row i stands for a vector w_i = (x_i - x_0, y_i - y_0, 1, |x_i - x_0|^2, |y_i - y_0|^2), and one matrix is kept, the
/// sum of w_i w_i^T. Measured from the first sample, which is among the others, a large common mean costs no digits,
/// and spaces of equal rows have sums that are exactly 0.
class SpaceSums {
public:
    /// `name` is what messages of errors begin with.
    explicit SpaceSums(std::string name_ = "SpaceSums") : name(std::move(name_)) {}

    /// Adds the samples of x[N, D] and y[N, E]. Throws as above, before anything is added, also ShapeError when D or E
    /// is not that of the batches before.
    void add(const Tensor& x, const Tensor& y);
    int64_t n_samples() const;

    /// As the functions of the same names. All throw ValueError when no samples were added.
    double linear_cka() const;
    double linear_cka_debiased() const;
    double svcca(double kept = 0.99) const;
    double procrustes_distance() const;

private:
    int64_t one() const { return d + e; }  // the place of the 1 in w; the squares are behind it
    struct Centred;
    Centred about_means() const;

    std::string name;
    int64_t d = 0, e = 0;
    std::vector<double> first;  // x_0, y_0
    Matrix64 sums;              // [D + E + 3, D + E + 3]
};

}  // namespace koine
