// One self-contained report.html: no network, no JavaScript, readable on a phone, in light and in dark.
#pragma once
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "experiments/common/table.h"

namespace koine {

class Report {
public:
    /// `intro`: a sentence or two below the title. Everything given to a Report is text, and is escaped.
    Report(const std::string& title, const std::string& intro);

    Report& add_heading(const std::string& words);
    Report& add_text(const std::string& paragraph);
    Report& add(const Table& table);
    /// Embeds a .png or .svg. An empty path (a chart that could not be drawn) adds nothing. Throws DataError.
    Report& add_figure(const std::filesystem::path& image, const std::string& caption);
    /// A list that is folded away: settings, environment.
    Report& add_details(const std::string& title, const std::vector<std::pair<std::string, std::string>>& pairs);

    /// Throws DataError(IO).
    void write(const std::filesystem::path& path) const;

private:
    std::string title, body;
};

}  // namespace koine
