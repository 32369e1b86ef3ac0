#include <algorithm>
#include <cmath>
#include <limits>

#include "experiments/common/chart.h"
#include "experiments/common/figure.h"
#include "experiments/common/gnuplot.h"
#include "experiments/common/image.h"
#include "experiments/common/text.h"

namespace koine {
namespace {

constexpr double kCellWidth = 74, kCellHeight = 44;

// As gnuplot's `rgb variable` wants it.
unsigned number_of(Colour c) { return unsigned{c.r} << 16 | unsigned{c.g} << 8 | c.b; }

double widest(const std::vector<std::string>& names) {
    double width = 0;
    for (const std::string& name : names) width = std::max(width, label_width(name));
    return width;
}

std::string ticks(const std::vector<std::string>& names) {
    std::string list;
    for (size_t i = 0; i < names.size(); ++i) {
        list += (i == 0 ? "" : ", ") + gnuplot_tick(names[i]) + " " + std::to_string(i);
    }
    return "(" + list + ")\n";
}

void check(const MatrixPanel& panel) {
    bool fits = panel.values.size() == panel.rows.size() && !panel.rows.empty() && !panel.columns.empty();
    for (const auto& row : panel.values) fits = fits && row.size() == panel.columns.size();
    if (!fits) throw ShapeError("chart: the matrix '" + panel.title + "' wants one value per row name and column name");
}

struct Extent {
    double low = std::numeric_limits<double>::infinity(), high = -low;
};

// Over all panels: equal numbers have equal colours throughout the figure.
Extent extent_of(const std::vector<MatrixPanel>& panels) {
    Extent e;
    for (const MatrixPanel& panel : panels) {
        for (const auto& row : panel.values) {
            for (const double v : row) {
                if (!std::isfinite(v)) continue;
                e.low = std::min(e.low, v);
                e.high = std::max(e.high, v);
            }
        }
    }
    return e;
}

// "column row fill 'number' ink" for every cell.
std::string cells(const MatrixPanel& panel, const Extent& e) {
    std::string lines;
    for (size_t i = 0; i < panel.rows.size(); ++i) {
        for (size_t j = 0; j < panel.columns.size(); ++j) {
            const double v = panel.values[i][j];
            const double t = !std::isfinite(v) ? std::nan("") : e.high > e.low ? (v - e.low) / (e.high - e.low) : 0;
            const unsigned fill = number_of(shade_of(t)), ink = number_of(ink_on(t));
            lines += std::to_string(j) + " " + std::to_string(i) + " " + std::to_string(fill) + " \"" +
                     fixed(v, panel.digits) + "\" " + std::to_string(ink) + "\n";
        }
    }
    return lines;
}

}  // namespace

std::filesystem::path matrix_chart(const std::filesystem::path& path, const std::vector<MatrixPanel>& panels,
                                   int n_columns) {
    if (panels.empty()) throw ShapeError("chart: no panels; want at least one");
    double n_rows = 0, n_cells = 0, row_names = 0, column_names = 0;
    for (const MatrixPanel& panel : panels) {
        check(panel);
        n_rows = std::max(n_rows, static_cast<double>(panel.rows.size()));
        n_cells = std::max(n_cells, static_cast<double>(panel.columns.size()));
        row_names = std::max(row_names, widest(panel.rows));
        column_names = std::max(column_names, widest(panel.columns));
    }
    const Extent extent = extent_of(panels);
    const bool is_slanted = column_names > kCellWidth;
    Figure figure({.n_panels = static_cast<int>(panels.size()),
                   .n_columns = n_columns,
                   .left = 25 + row_names,
                   .right = 20,
                   .top = 45,
                   .bottom = is_slanted ? 25 + 0.6 * column_names : 35,
                   .width = kCellWidth * n_cells,
                   .height = kCellHeight * n_rows,
                   .legend = 0});
    figure.add("unset key\nunset grid\nunset border\nset tics scale 0\n");
    figure.add("set xrange [-0.5:" + nine_digits(n_cells - 0.5) + "]\n");
    figure.add("set yrange [" + nine_digits(n_rows - 0.5) + ":-0.5]\n");
    for (const MatrixPanel& panel : panels) {
        figure.next_panel(panel.title);
        figure.add(std::string("set xtics ") + (is_slanted ? "rotate by 30 right " : "") + ticks(panel.columns));
        figure.add("set ytics " + ticks(panel.rows) + "$cells << EOD\n" + cells(panel, extent) + "EOD\n");
        figure.add(
            "plot $cells using 1:2:(0.485):(0.475):3 with boxxyerror lc rgb variable, "
            "$cells using 1:2:4:5 with labels tc rgb variable\n");
    }
    return figure.save(path);
}

}  // namespace koine
