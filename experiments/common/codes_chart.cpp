#include "experiments/common/codes_chart.h"

#include <algorithm>

#include "experiments/common/chart.h"
#include "nn/tsne.h"
#include "tensor/linalg.h"

namespace koine {

std::filesystem::path codes_chart(const std::filesystem::path& path, const std::vector<ShownCodes>& spaces,
                                  int n_columns, std::span<const int32_t> labels, const std::vector<std::string>& names,
                                  const std::string& projection) {
    // Beyond a thousand points a scatter plot only gets heavier.
    const int64_t n = std::min<int64_t>(int64_t(labels.size()), 1000);
    std::vector<Panel> panels;
    Pca axes;
    for (const auto& [title, codes] : spaces) {
        const Tensor shown = codes.slice(0, 0, n);
        Tensor points;
        if (projection == "pca") {
            const bool is_first = panels.size() % size_t(n_columns) == 0;
            if (is_first || axes.mean.shape[0] != codes.shape[1]) axes = pca(codes, 2);
            points = axes.project(shown);
        } else if (projection == "tsne") {
            points = tsne(shown, {.perplexity = std::min(30.0, double(n - 1) / 3)});
        } else if (projection == "first2") {
            points = shown.slice(1, 0, 2);
        } else {
            throw ValueError("codes_chart: no projection is named '" + projection + "'; there are pca, tsne, first2");
        }
        panels.push_back({title, "", "", by_class(points.to_vector(), labels.first(size_t(n)), names)});
    }
    return scatter_chart(path, panels, n_columns);
}

}  // namespace koine
