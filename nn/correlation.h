// Do two lists of numbers go together? For example the accuracy of some models and how alike their codes are.
#pragma once
#include <span>

namespace koine {

/// Pearson's correlation of a and b: sum (a_i - mean a) (b_i - mean b) / sqrt(sum (a_i - mean a)^2 sum (b_i - mean
/// b)^2), in [-1, 1]; 1 when the points (a_i, b_i) lie on a rising line. NaN when all numbers of a list are equal: then
/// there is nothing that could go together, and a report can say so. With 2 values it is 1 or -1 whatever they are, and
/// with a handful it says little: print n beside it. Large common offsets do no harm.
///
/// Throws ShapeError unless both have as many values, ValueError for fewer than 2, NonFiniteError for NaN or infinity.
double pearson(std::span<const double> a, std::span<const double> b);

/// Spearman's rank correlation: Pearson's of the ranks, in [-1, 1]; 1 when b grows whenever a does. Equal numbers share
/// the mean of their ranks: 5, 7, 7, 9 have 1, 2.5, 2.5, 4. NaN and errors as pearson.
double spearman(std::span<const double> a, std::span<const double> b);

}  // namespace koine
