#include "experiments/common/train_log.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>

#include "data/bytes.h"
#include "data/files.h"
#include "tensor/error.h"

namespace koine {
namespace {

std::vector<std::string> fields_of(const std::string& line) {
    std::vector<std::string> fields;
    std::istringstream stream(line);
    for (std::string field; std::getline(stream, field, ',');) fields.push_back(field);
    return fields;
}

}  // namespace

TrainLog::TrainLog(std::filesystem::path path_) : path(std::move(path_)) {
    if (!std::filesystem::exists(path)) return;
    const std::string text = read_text(path);
    const std::string whole_lines = text.substr(0, text.find_last_of('\n') + 1);
    if (whole_lines != text) write_file(path, whole_lines);

    std::istringstream lines(whole_lines);
    std::getline(lines, header);
    int64_t n_lines = 1;
    for (std::string line; std::getline(lines, line);) {
        const std::vector<std::string> fields = fields_of(line);
        ++n_lines;
        int64_t epoch = 0;
        if (fields.size() != fields_of(header).size() || fields.size() < 2 || !read_number(fields[1], epoch)) {
            throw DataError("SYNTAX", path.string(), "line " + std::to_string(n_lines), "expected " + header);
        }
        rows.push_back({fields[0], epoch, line});
    }
}

void TrainLog::add(const std::string& model, int64_t epoch, const Values& values) {
    std::string names = "model,epoch", line = model + "," + std::to_string(epoch);
    for (const auto& [name, value] : values) {
        names += "," + name;
        line.append(",").append(nine_digits(value));
    }
    if (model.empty() || model.find_first_of(",\"\r\n") != std::string::npos) {
        throw ValueError("train.csv: '" + model + "' is not a name for a model; want a word without comma or quote");
    }
    if (!header.empty() && names != header) throw ValueError("train.csv: a row of " + names + "; want " + header);

    const size_t n_left = std::erase_if(rows, [&](const Row& row) { return row.model == model && row.epoch >= epoch; });
    std::string added = header.empty() ? names + "\n" : "";
    header = names;
    rows.push_back({model, epoch, line});
    if (n_left > 0) {
        std::string all = header + "\n";
        for (const Row& row : rows) all += row.line + "\n";
        return write_file(path, all);
    }
    std::ofstream file(path, std::ios::app | std::ios::binary);
    file << added << line << "\n" << std::flush;
    if (!file) throw DataError("IO", path.string(), "", std::string("cannot write: ") + std::strerror(errno));
}

std::vector<Series> TrainLog::curves(const std::string& column) const {
    const std::vector<std::string> names = fields_of(header);
    const auto place = std::find(names.begin(), names.end(), column) - names.begin();
    if (static_cast<size_t>(place) == names.size()) {
        throw ValueError("train.csv has no column " + column + "; it has " + header);
    }
    std::vector<Series> series;
    for (const Row& row : rows) {
        auto own = std::find_if(series.begin(), series.end(), [&](const Series& s) { return s.name == row.model; });
        if (own == series.end()) own = series.insert(own, {row.model, {}, {}});
        double y = 0;
        read_number(fields_of(row.line)[static_cast<size_t>(place)], y);
        own->x.push_back(static_cast<double>(row.epoch));
        own->y.push_back(y);
    }
    return series;
}

}  // namespace koine
