#include "experiments/common/train_log.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "data/bytes.h"
#include "data/files.h"
#include "tensor/error.h"

namespace koine {
namespace {

// Not by streams, which are silent when memory runs out.
std::vector<std::string> fields_of(std::string_view line) {
    std::vector<std::string> fields;
    for (size_t begin = 0, end = 0; end != line.npos; begin = end + 1) {
        end = line.find(',', begin);
        fields.emplace_back(line.substr(begin, end - begin));
    }
    return fields;
}

}  // namespace

TrainLog::TrainLog(std::filesystem::path path_) : path(std::move(path_)) {
    if (!std::filesystem::exists(path)) return;
    const std::string text = read_text(path);
    const std::string whole_lines = text.substr(0, text.find_last_of('\n') + 1);
    is_torn = whole_lines != text;

    size_t n_fields = 0, n_lines = 0;
    for (size_t begin = 0, end = 0; begin < whole_lines.size(); begin = end + 1) {
        end = whole_lines.find('\n', begin);
        std::string line = whole_lines.substr(begin, end - begin);
        const std::vector<std::string> fields = fields_of(line);
        int64_t epoch = 0;
        if (n_lines++ == 0) {
            header = std::move(line);
            n_fields = fields.size();
        } else if (fields.size() == n_fields && n_fields >= 2 && read_number(fields[1], epoch)) {
            rows.push_back({fields[0], epoch, std::move(line)});
        } else {
            throw DataError("SYNTAX", path.string(), "line " + std::to_string(n_lines),
                            "expected " + without_controls(header));
        }
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
    const bool is_torn_before = std::exchange(is_torn, true);  // until all of it is there
    if (n_left > 0 || is_torn_before) {
        std::string all = header + "\n";
        for (const Row& row : rows) all += row.line + "\n";
        write_file(path, all);
    } else {
        append_to_file(path, added + line + "\n");
    }
    is_torn = false;
}

std::vector<Series> TrainLog::curves(const std::string& column) const {
    const std::vector<std::string> names = fields_of(header);
    const auto place = std::find(names.begin(), names.end(), column) - names.begin();
    if (static_cast<size_t>(place) == names.size()) {
        throw ValueError("train.csv has no column " + column + "; it has " + without_controls(header));
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
