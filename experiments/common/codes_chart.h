// Codes as points in the plane, coloured by class: are two spaces alike?
#pragma once
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace koine {

/// The codes [N, D] of the same samples in one space.
struct ShownCodes {
    std::string title;
    Tensor codes;
};

/// A panel for each space, `n_columns` in a row, the points coloured by labels[N] with the names of the classes. Of
/// more than a thousand samples the first thousand are drawn. `projection`:
///   pca     two principal components of the first space of a row, for the whole row (a space of another dimension: its
///           own)
///   tsne    t-SNE of each space by itself
///   first2  the first two numbers of a code
/// Throws ShapeError for codes of fewer than two numbers, ValueError for another projection, else as scatter_chart.
std::filesystem::path codes_chart(const std::filesystem::path& path, const std::vector<ShownCodes>& spaces,
                                  int n_columns, std::span<const int32_t> labels, const std::vector<std::string>& names,
                                  const std::string& projection = "pca");

}  // namespace koine
