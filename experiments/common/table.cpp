#include "experiments/common/table.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <utility>

#include "data/utf8.h"
#include "experiments/common/image.h"
#include "tensor/error.h"

namespace koine {
namespace {

// Columns that a UTF-8 text takes on a terminal, when every character is one column wide.
size_t width_of(const std::string& text) {
    return static_cast<size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return !utf8_is_continuation(c); }));
}

std::string padded(const std::string& text, size_t width, bool is_right) {
    const std::string blanks(width - width_of(text), ' ');
    return is_right ? blanks + text : text + blanks;
}

// The nearest of the 216 colours that every terminal has: a cube with these six levels a side.
int terminal_colour(Colour colour) {
    const auto nearest = [](int level) {
        constexpr int kLevels[] = {0, 95, 135, 175, 215, 255};
        const auto is_nearer = [level](int a, int b) { return std::abs(a - level) < std::abs(b - level); };
        return int(std::min_element(std::begin(kLevels), std::end(kLevels), is_nearer) - std::begin(kLevels));
    };
    return 16 + 36 * nearest(colour.r) + 6 * nearest(colour.g) + nearest(colour.b);
}

// The text on a background, in the ink that is legible on it.
std::string shaded(const std::string& text, double shade) {
    const auto code = [](int kind, Colour c) {
        return "\033[" + std::to_string(kind) + ";5;" + std::to_string(terminal_colour(c)) + "m";
    };
    return code(48, shade_of(shade)) + code(38, ink_on(shade)) + text + "\033[0m";
}

}  // namespace

MeanAndDeviation mean_and_deviation(const std::vector<double>& values) {
    const double n = static_cast<double>(values.size());
    MeanAndDeviation m;
    for (const double v : values) m.mean += v;
    m.mean /= n;
    for (const double v : values) m.deviation += (v - m.mean) * (v - m.mean);
    m.deviation = values.size() < 2 ? 0 : std::sqrt(m.deviation / (n - 1));
    return m;
}

Cell cell_of(const MeanAndDeviation& m, int digits) {
    // Beside a mean with decimals a deviation that rounds to nothing is 0, and has no exponent.
    const double half = std::pow(10, -digits) / 2;
    const bool is_nothing = m.deviation < half && std::abs(m.mean) >= half;
    Cell cell(fixed(m.mean, digits) + " ± " + fixed(is_nothing ? 0 : m.deviation, digits));
    cell.is_number = true;
    return cell;
}

Table::Table(std::string title_, std::vector<std::string> columns_, int digits_)
    : title(std::move(title_)), columns(std::move(columns_)), digits(digits_) {}

Table& Table::add(std::vector<Cell> row) {
    if (row.size() != columns.size()) {
        throw ShapeError("table '" + title + "': a row of " + std::to_string(row.size()) + " cells; want " +
                         std::to_string(columns.size()));
    }
    std::vector<Shown> shown;
    for (Cell& cell : row) {
        const int n_digits = cell.digits < 0 ? digits : cell.digits;
        shown.push_back(
            {cell.is_rounded ? fixed(cell.number, n_digits) : std::move(cell.text), cell.is_number, cell.shade});
    }
    rows.push_back(std::move(shown));
    return *this;
}

Table& Table::note(std::string sentence) {
    notes.push_back(std::move(sentence));
    return *this;
}

bool Table::is_numeric(size_t column) const {
    return std::any_of(rows.begin(), rows.end(), [&](const auto& row) { return row[column].is_number; });
}

std::string Table::text(bool has_colour) const {
    std::vector<size_t> widths;
    for (size_t j = 0; j < columns.size(); ++j) {
        widths.push_back(width_of(columns[j]));
        for (const auto& row : rows) widths[j] = std::max(widths[j], width_of(without_controls(row[j].text)));
    }
    const auto line = [&](auto&& cell_of) {
        std::string all;
        for (size_t j = 0; j < columns.size(); ++j) {
            const Shown& cell = cell_of(j);
            const std::string text = padded(without_controls(cell.text), widths[j], is_numeric(j));
            all += (j == 0 ? "" : "  ") + (has_colour && cell.shade >= 0 ? shaded(text, cell.shade) : text);
        }
        return all.substr(0, all.find_last_not_of(' ') + 1) + "\n";
    };
    std::string all = title + "\n" + line([&](size_t j) { return Shown{columns[j], false, -1}; });
    all += line([&](size_t j) { return Shown{std::string(widths[j], '-'), false, -1}; });
    for (const auto& row : rows) all += line([&](size_t j) { return row[j]; });
    for (const std::string& sentence : notes) all += without_controls(sentence) + "\n";
    return all;
}

std::string Table::html() const {
    const auto cell = [&](const char* tag, size_t j, const std::string& text, double shade) {
        const char* kind = is_numeric(j) ? " class=\"number\"" : width_of(text) > 40 ? " class=\"long\"" : "";
        std::string open = std::string("<") + tag + kind;
        if (shade >= 0)
            open += " style=\"background:" + hex(shade_of(shade)) + ";color:" + hex(ink_on(shade)) +
                    ";padding-right:.6rem\"";
        return open + ">" + escape_html(text) + "</" + tag + ">";
    };
    std::string all = "<div class=\"table\"><table>\n<caption>" + escape_html(title) + "</caption>\n<thead><tr>";
    for (size_t j = 0; j < columns.size(); ++j) all += cell("th", j, columns[j], -1);
    all += "</tr></thead>\n<tbody>\n";
    for (const auto& row : rows) {
        all += "<tr>";
        for (size_t j = 0; j < columns.size(); ++j) all += cell("td", j, row[j].text, row[j].shade);
        all += "</tr>\n";
    }
    all += "</tbody></table></div>\n";
    for (const std::string& sentence : notes) all += "<p class=\"note\">" + escape_html(sentence) + "</p>\n";
    return all;
}

}  // namespace koine
