// Codes of images as points, coloured by class: are two spaces alike?
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "data/datasets.h"

namespace koine {

/// The codes [N, D] of the same images in one space.
struct ShownCodes {
    std::string title;
    Tensor codes;
};

/// A panel for each space, `n_columns` in a row; all spaces of a row on the two principal components of its first one.
/// Of more than a thousand images the first thousand are drawn. Throws ShapeError for codes of fewer than two numbers,
/// else as scatter_chart.
std::filesystem::path codes_chart(const std::filesystem::path& path, const std::vector<ShownCodes>& spaces,
                                  int n_columns, const ImageSet& data);

}  // namespace koine
