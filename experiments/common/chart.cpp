#include "experiments/common/chart.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>

#include "experiments/common/figure.h"
#include "experiments/common/gnuplot.h"
#include "experiments/common/text.h"

namespace koine {
namespace fs = std::filesystem;
namespace {

// Ten colours that stay apart for the colour-blind, the most distinct first: Paul Tol's "muted" scheme (Colour Schemes,
// SRON/EPS/TN/09-002), its pale grey darkened to be seen as a dot on white.
constexpr std::array<unsigned, 10> kColours = {0x332288, 0xCC6677, 0x117733, 0xDDCC77, 0x88CCEE,
                                               0x882255, 0x44AA99, 0x999933, 0xAA4499, 0x777777};
constexpr unsigned kTranslucent = 0x38000000;  // gnuplot's alpha: 0 is opaque

std::string number(double x) { return std::isfinite(x) ? nine_digits(x) : "NaN"; }

std::string colour_of(size_t series) {
    char text[16];
    std::snprintf(text, sizeof text, "'#%06x'", kColours[series % kColours.size()]);
    return text;
}

struct Bounds {
    double low = std::numeric_limits<double>::infinity(), high = -low;
    bool is_empty() const { return low > high; }
};

// Over the finite values of all series, and the positive ones if the axis is logarithmic.
Bounds bounds_of(const Panel& panel, std::vector<double> Series::*values, bool is_log = false) {
    Bounds bounds;
    for (const Series& series : panel.series) {
        for (const double v : series.*values) {
            if (!std::isfinite(v) || (is_log && v <= 0)) continue;
            bounds = {std::min(bounds.low, v), std::max(bounds.high, v)};
        }
    }
    return bounds;
}

std::string gnuplot_range(double low, double high) { return std::string("[") + number(low) + ":" + number(high) + "]"; }

// A gnuplot range with a little air around the values; never empty, which gnuplot would refuse.
std::string range_of(const Bounds& bounds, bool is_log = false) {
    if (bounds.is_empty()) return is_log ? "[0.1:1]" : "[0:1]";
    if (is_log) return gnuplot_range(bounds.low / 1.2, bounds.high * 1.2);
    const double span = bounds.high - bounds.low;
    const double air = span > 0 ? 0.04 * span : std::max(0.5 * std::abs(bounds.low), 1e-6);
    return gnuplot_range(bounds.low - air, bounds.high + air);
}

// Numbers at 1, 2 and 5 of every decade: gnuplot's own choice may show a single one on a short logarithmic axis.
std::string log_ticks(const Bounds& bounds) {
    if (bounds.is_empty() || bounds.high > 1e3 * bounds.low) return "autofreq";
    std::string list;
    const int last = static_cast<int>(std::ceil(std::log10(bounds.high)));
    for (int power = static_cast<int>(std::floor(std::log10(bounds.low))); power <= last; ++power) {
        for (const int digit : {1, 2, 5}) list += (list.empty() ? "" : ", ") + number(digit * std::pow(10.0, power));
    }
    return "(" + list + ")";
}

std::string axis(const std::string& name, const std::string& label, const std::string& range,
                 const std::string& ticks) {
    const std::string shown = "set " + name + "tics " + ticks + "\nset " + name + "label " + gnuplot_string(label) +
                              (name == "x" ? " offset 0,0.4\n" : " offset 2.5,0\n");
    const std::string hidden = "unset " + name + "tics\nunset " + name + "label\n";
    return (label.empty() ? hidden : shown) + "set " + name + "range " + range + "\n";
}

std::string axes(const Panel& panel) {
    const bool is_bare = panel.x_label.empty() && panel.y_label.empty();
    const Bounds x = bounds_of(panel, &Series::x), y = bounds_of(panel, &Series::y, panel.is_log_y);
    return axis("x", panel.x_label, range_of(x), "autofreq") +
           axis("y", panel.y_label, range_of(y, panel.is_log_y), panel.is_log_y ? log_ticks(y) : "autofreq") +
           (panel.is_log_y ? "set logscale y\n" : "unset logscale y\n") + "set border " + (is_bare ? "31\n" : "3\n");
}

// One tick per epoch, or every second, fifth or tenth: never one between two whole numbers.
std::string epoch_ticks(const Panel& panel) {
    const auto is_whole = [](double x) { return x == std::floor(x); };
    for (const Series& series : panel.series) {
        if (!std::all_of(series.x.begin(), series.x.end(), is_whole)) return "";
    }
    const Bounds bounds = bounds_of(panel, &Series::x);
    for (const int step : {1, 2, 5, 10}) {
        if (bounds.high - bounds.low <= 10 * step) return "set xtics " + std::to_string(step) + "\n";
    }
    return "";
}

bool has_legend(const Panel& panel) {
    return std::any_of(panel.series.begin(), panel.series.end(), [](const Series& s) { return !s.name.empty(); });
}

Layout layout_of(const std::vector<Panel>& panels, int n_columns) {
    if (panels.empty()) throw ShapeError("chart: no panels; want at least one");
    for (const Panel& panel : panels) {
        for (const Series& series : panel.series) {
            if (series.x.size() == series.y.size()) continue;
            throw ShapeError("chart: series '" + series.name + "' has " + std::to_string(series.x.size()) + " x and " +
                             std::to_string(series.y.size()) + " y; want as many");
        }
    }
    double legend = 0;
    for (const Series& series : panels[0].series) legend = std::max(legend, 50 + label_width(series.name));
    if (!has_legend(panels[0])) legend = 0;
    const bool is_bare = panels[0].x_label.empty() && panels[0].y_label.empty();
    return {.n_panels = static_cast<int>(panels.size()),
            .n_columns = n_columns,
            .left = is_bare ? 20. : 80.,
            .right = 20,
            .top = 45,
            .bottom = is_bare ? 15. : 60.,
            .width = 340,
            .height = 280,
            .legend = legend};
}

// The points of all classes, which take turns so that the last class does not cover the others: "x y colour" lines.
std::string interleaved_points(const std::vector<Series>& classes) {
    std::string lines = "NaN NaN 0\n";  // gnuplot refuses an empty block
    bool is_done = false;
    for (size_t i = 0; !is_done; ++i) {
        is_done = true;
        for (size_t s = 0; s < classes.size(); ++s) {
            if (i >= classes[s].x.size()) continue;
            is_done = false;
            const unsigned colour = kTranslucent | kColours[s % kColours.size()];
            lines += number(classes[s].x[i]) + " " + number(classes[s].y[i]) + " " + std::to_string(colour) + "\n";
        }
    }
    return lines;
}

}  // namespace

std::vector<Series> by_class(std::span<const real> points, std::span<const int32_t> labels,
                             const std::vector<std::string>& names) {
    if (points.size() != 2 * labels.size()) {
        throw ShapeError("by_class: " + std::to_string(points.size()) + " numbers, " + std::to_string(labels.size()) +
                         " labels; want two numbers a label");
    }
    std::vector<Series> series(names.size());
    for (size_t c = 0; c < names.size(); ++c) series[c].name = names[c];
    for (size_t n = 0; n < labels.size(); ++n) {
        if (labels[n] < 0 || static_cast<size_t>(labels[n]) >= names.size()) {
            throw ValueError("by_class: label " + std::to_string(labels[n]) + " for " + std::to_string(names.size()) +
                             " names; want 0 to one less");
        }
        Series& own = series[static_cast<size_t>(labels[n])];
        own.x.push_back(static_cast<double>(points[2 * n]));
        own.y.push_back(static_cast<double>(points[2 * n + 1]));
    }
    return series;
}

fs::path line_chart(const fs::path& path, const std::vector<Panel>& panels, int n_columns) {
    Figure figure(layout_of(panels, n_columns));
    for (const Panel& panel : panels) {
        figure.next_panel(panel.title);
        figure.show_legend(&panel == &panels[0] && has_legend(panel));
        figure.add(axes(panel) + epoch_ticks(panel));
        std::string plots = "plot NaN notitle";
        for (size_t s = 0; s < panel.series.size(); ++s) {
            const Series& series = panel.series[s];
            const std::string block = "$line" + std::to_string(s);
            figure.add(block + " << EOD\nNaN NaN\n");
            for (size_t i = 0; i < series.x.size(); ++i) {
                figure.add(number(series.x[i]) + " " + number(series.y[i]) + "\n");
            }
            figure.add("EOD\n");
            const bool has_dots = series.x.size() <= 20;
            plots += ", " + block + " with " + (has_dots ? "linespoints pt 7 ps 0.45" : "lines") + " lw 2 dt " +
                     std::to_string(1 + s / kColours.size()) + " lc rgb " + colour_of(s) + " title " +
                     gnuplot_string(series.name);
        }
        figure.add(plots + "\n");
    }
    return figure.save(path);
}

fs::path scatter_chart(const fs::path& path, const std::vector<Panel>& panels, int n_columns) {
    Figure figure(layout_of(panels, n_columns));
    for (const Panel& panel : panels) {
        size_t n_points = 0;
        for (const Series& series : panel.series) n_points += series.x.size();
        const std::string size = n_points <= 30 ? "1.1" : n_points <= 1000 ? "0.55" : "0.4";

        figure.next_panel(panel.title);
        figure.show_legend(&panel == &panels[0] && has_legend(panel));
        figure.add(axes(panel) + "$points << EOD\n" + interleaved_points(panel.series) + "EOD\n");
        figure.add("plot $points using 1:2:3 with points pt 7 ps " + size + " lc rgb variable notitle");
        for (size_t s = 0; s < panel.series.size(); ++s) {
            const std::string name = gnuplot_string(panel.series[s].name);
            figure.add(", NaN with points pt 7 ps 0.9 lc rgb " + colour_of(s) + " title " + name);
        }
        figure.add("\n");
    }
    return figure.save(path);
}

}  // namespace koine
