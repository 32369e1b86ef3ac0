// train.csv: one row per model and epoch. It holds no times, so a resumed run leaves the same bytes as one that was
// never interrupted.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "experiments/common/chart.h"
#include "experiments/common/text.h"

namespace koine {

class TrainLog {
public:
    /// Takes up what an interrupted run has left at `path`, but for a last line that was not finished.
    explicit TrainLog(std::filesystem::path path);

    /// Appends a row, on disk when it returns. Rows that an interrupted run left for this model and this or a later
    /// epoch are dropped first. Throws ValueError unless the names are those of the first row and `model` is a plain
    /// word (no comma, quote or line break), DataError(IO).
    void add(const std::string& model, int64_t epoch, const Values& values);

    /// A column against the epoch: one series per model, in the order of their first rows. Throws ValueError for a name
    /// that is not a column.
    std::vector<Series> curves(const std::string& column) const;

private:
    struct Row {
        std::string model;
        int64_t epoch;
        std::string line;
    };

    std::filesystem::path path;
    std::string header;  // empty before the first row
    std::vector<Row> rows;
    bool is_torn = false;  // the file may not be what `rows` says
};

}  // namespace koine
