#include "experiments/common/table.h"

#include <algorithm>
#include <utility>

#include "tensor/error.h"

namespace koine {
namespace {

// Columns that a UTF-8 text takes on a terminal, when every character is one column wide.
size_t width_of(const std::string& text) {
    return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string padded(const std::string& text, size_t width, bool is_right) {
    const std::string blanks(width - width_of(text), ' ');
    return is_right ? blanks + text : text + blanks;
}

}  // namespace

Cell mean_and_deviation(double mean, double deviation, int digits) {
    Cell cell(fixed(mean, digits) + " ± " + fixed(deviation, digits));
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
        shown.push_back({cell.is_rounded ? fixed(cell.number, n_digits) : std::move(cell.text), cell.is_number});
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

std::string Table::text() const {
    std::vector<size_t> widths;
    for (size_t j = 0; j < columns.size(); ++j) {
        widths.push_back(width_of(columns[j]));
        for (const auto& row : rows) widths[j] = std::max(widths[j], width_of(row[j].text));
    }
    const auto line = [&](auto&& text_of) {
        std::string all;
        for (size_t j = 0; j < columns.size(); ++j) {
            all += (j == 0 ? "" : "  ") + padded(text_of(j), widths[j], is_numeric(j));
        }
        return all.substr(0, all.find_last_not_of(' ') + 1) + "\n";
    };
    std::string all = title + "\n" + line([&](size_t j) { return columns[j]; });
    all += line([&](size_t j) { return std::string(widths[j], '-'); });
    for (const auto& row : rows) all += line([&](size_t j) { return row[j].text; });
    for (const std::string& sentence : notes) all += sentence + "\n";
    return all;
}

std::string Table::html() const {
    const auto cell = [&](const char* tag, size_t j, const std::string& text) {
        const std::string open = std::string("<") + tag + (is_numeric(j) ? " class=\"number\">" : ">");
        return open + escape_html(text) + "</" + tag + ">";
    };
    std::string all = "<div class=\"table\"><table>\n<caption>" + escape_html(title) + "</caption>\n<thead><tr>";
    for (size_t j = 0; j < columns.size(); ++j) all += cell("th", j, columns[j]);
    all += "</tr></thead>\n<tbody>\n";
    for (const auto& row : rows) {
        all += "<tr>";
        for (size_t j = 0; j < columns.size(); ++j) all += cell("td", j, row[j].text);
        all += "</tr>\n";
    }
    all += "</tbody></table></div>\n";
    for (const std::string& sentence : notes) all += "<p class=\"note\">" + escape_html(sentence) + "</p>\n";
    return all;
}

}  // namespace koine
