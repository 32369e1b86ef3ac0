// A figure for gnuplot under construction: plots in a grid, placed to the pixel. chart.h draws into it.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>

namespace koine {

/// Pixels. Each plot is `width` x `height` with margins around it for its title, numbers and labels; the legend has a
/// column of its own on the right.
struct Layout {
    int n_panels, n_columns;
    double left, right, top, bottom, width, height, legend;
};

/// About how wide gnuplot's 13 pixel sans-serif sets a word.
double label_width(std::string_view text);

class Figure {
public:
    explicit Figure(const Layout& layout);

    /// Goes on to the next place in the grid.
    void next_panel(const std::string& title);
    /// Shows the legend beside the first plot, or none for the plots that follow.
    void show_legend(bool is_shown);
    void add(std::string_view commands) { script += commands; }
    /// Draws. The path, or an empty one when gnuplot is missing or failed. Throws DataError(IO).
    std::filesystem::path save(const std::filesystem::path& path) const;

private:
    Layout layout;
    double total_width, total_height;
    int n_begun = 0;
    std::string script;
};

}  // namespace koine
