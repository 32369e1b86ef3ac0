#include "experiments/common/codes_chart.h"

#include <algorithm>

#include "experiments/common/chart.h"
#include "tensor/linalg.h"

namespace koine {

std::filesystem::path codes_chart(const std::filesystem::path& path, const std::vector<ShownCodes>& spaces,
                                  int n_columns, const ImageSet& data) {
    std::vector<std::string> classes;
    for (int c = 0; c < data.n_classes; c++) classes.push_back(std::to_string(c));
    // Beyond a thousand points a scatter plot only gets heavier.
    const int64_t n = std::min<int64_t>(data.test.size(), 1000);
    const std::span<const int32_t> labels(data.test.labels.data(), size_t(n));
    std::vector<Panel> panels;
    Pca axes;
    for (const auto& [title, codes] : spaces) {
        if (panels.size() % size_t(n_columns) == 0) axes = pca(codes, 2);
        panels.push_back({title, "", "", by_class(axes.project(codes.slice(0, 0, n)).to_vector(), labels, classes)});
    }
    return scatter_chart(path, panels, n_columns);
}

}  // namespace koine
