#include "experiments/common/figure.h"

#include <algorithm>

#include "data/files.h"
#include "experiments/common/gnuplot.h"
#include "experiments/common/text.h"

namespace koine {
namespace {

std::string edge(const char* name, double fraction) {
    return std::string("set ") + name + "margin at screen " + nine_digits(fraction) + "\n";
}

}  // namespace

double label_width(std::string_view text) { return 7.5 * static_cast<double>(text.size()); }

Figure::Figure(const Layout& layout_) : layout(layout_) {
    layout.n_columns = std::max(1, std::min(layout.n_columns, layout.n_panels));
    const int n_rows = (layout.n_panels + layout.n_columns - 1) / layout.n_columns;
    total_width = layout.n_columns * (layout.left + layout.width + layout.right) + layout.legend;
    total_height = n_rows * (layout.top + layout.height + layout.bottom);
    script = "set encoding utf8\nset terminal svg fixed noenhanced size " + fixed(total_width, 0) + "," +
             fixed(total_height, 0) +
             " font 'sans-serif,13' background '#ffffff'\n"
             "set multiplot\nset border 3 lc rgb '#999999'\nset tics nomirror out scale 0.5 textcolor rgb '#444444'\n"
             "set grid lt 1 lc rgb '#e8e8e8'\nset style fill solid noborder\n";
}

void Figure::next_panel(const std::string& title) {
    const int row = n_begun / layout.n_columns, column = n_begun % layout.n_columns;
    const double left = column * (layout.left + layout.width + layout.right) + layout.left;
    const double top = row * (layout.top + layout.height + layout.bottom) + layout.top;
    script += edge("l", left / total_width) + edge("r", (left + layout.width) / total_width) +
              edge("t", 1 - top / total_height) + edge("b", 1 - (top + layout.height) / total_height) + "set title " +
              gnuplot_string(title) + " font ',14' offset 0,-0.3\n";
    ++n_begun;
}

void Figure::show_legend(bool is_shown) {
    if (!is_shown) return add("unset key\n");
    add("set key at screen " + nine_digits(1 - layout.legend / total_width) + ", screen " +
        nine_digits(1 - layout.top / total_height) +
        " left top Left reverse samplen 1.5 spacing 1.25 textcolor rgb '#222222'\n");
}

std::filesystem::path Figure::save(const std::filesystem::path& path) const {
    const std::string svg = run_gnuplot(script + "unset multiplot\n");
    if (svg.empty()) return {};
    write_file(path, svg);
    return path;
}

}  // namespace koine
