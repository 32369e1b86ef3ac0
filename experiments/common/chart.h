// Charts as SVG, drawn by gnuplot: learning curves, scatter plots, matrices with their numbers.
//
// Data goes to gnuplot's standard input and the picture comes back from its standard output: no shell, no file names,
// and every word is quoted. Without gnuplot a run goes on: one notice on stderr, and these return an empty path.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "tensor/device.h"

namespace koine {

/// Points or a line: y[i] at x[i], a name for the legend. NaN leaves a gap.
struct Series {
    std::string name;
    std::vector<double> x, y;
};

/// One plot of a figure. Axes without a label are drawn without numbers, which is right for principal components.
struct Panel {
    std::string title, x_label, y_label;
    std::vector<Series> series;
    bool is_log_y = false;
};

/// A matrix with its numbers in the cells: values[row][column].
struct MatrixPanel {
    std::string title;
    std::vector<std::string> rows, columns;
    std::vector<std::vector<double>> values;
    int digits = 3;
};

/// Splits points[N, 2] by their class: one series per name, series c holding the points with labels[n] == c.
/// Throws ShapeError unless there are two numbers per label, ValueError for a label without a name.
std::vector<Series> by_class(std::span<const real> points, std::span<const int32_t> labels,
                             const std::vector<std::string>& names);

/// Each figure has its panels side by side, `n_columns` in a row, and one legend for the series of the first panel;
/// matrices share one colour scale.
/// `path` ends in .svg; it is returned, or an empty path when gnuplot is missing or failed. All throw ShapeError for
/// x and y, or rows and values, of different lengths, and DataError(IO).
std::filesystem::path line_chart(const std::filesystem::path& path, const std::vector<Panel>& panels,
                                 int n_columns = 2);
std::filesystem::path scatter_chart(const std::filesystem::path& path, const std::vector<Panel>& panels,
                                    int n_columns = 2);
std::filesystem::path matrix_chart(const std::filesystem::path& path, const std::vector<MatrixPanel>& panels,
                                   int n_columns = 2);

}  // namespace koine
