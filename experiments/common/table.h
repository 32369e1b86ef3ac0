// A result table: the same object is printed as text and shown in report.html.
#pragma once
#include <concepts>
#include <string>
#include <vector>

#include "experiments/common/text.h"

namespace koine {

/// One cell. A double is printed with the table's digits, or its own; the rest as it is.
struct Cell {
    Cell(const char* words) : text(words) {}
    Cell(std::string words) : text(std::move(words)) {}
    Cell(std::integral auto n) : text(std::to_string(n)), is_number(true) {}
    Cell(std::floating_point auto x, int n = -1) : is_number(true), is_rounded(true), number(x), digits(n) {}

    std::string text;
    bool is_number = false, is_rounded = false;
    double number = 0;
    int digits = -1;
    double shade = -1;  ///< in [0, 1], a background from pale to dark (image.h, shade_of); below 0: none
};

struct MeanAndDeviation {
    double mean = 0, deviation = 0;  ///< deviation: with divisor n - 1; 0 for one number
};
/// Of one or more values.
MeanAndDeviation mean_and_deviation(const std::vector<double>& values);
/// "0.567 ± 0.012".
Cell cell_of(const MeanAndDeviation& m, int digits);

class Table {
public:
    explicit Table(std::string title, std::vector<std::string> columns, int digits = 4);

    /// Appends a row. Throws ShapeError unless it has a cell for every column.
    Table& add(std::vector<Cell> row);
    /// A sentence below the table.
    Table& note(std::string sentence);

    /// With colour, shaded cells have about the background that html() gives them (256-colour escape sequences).
    std::string text(bool has_colour = false) const;
    std::string html() const;

private:
    struct Shown {
        std::string text;
        bool is_number;
        double shade;
    };

    // A column is set to the right when any of its cells is a number; its title follows.
    bool is_numeric(size_t column) const;

    std::string title;
    std::vector<std::string> columns;
    int digits;
    std::vector<std::vector<Shown>> rows;
    std::vector<std::string> notes;
};

}  // namespace koine
