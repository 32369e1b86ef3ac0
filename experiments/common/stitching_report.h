// What is shown of stitched models: table, figures, metrics.json, report.html.
#pragma once
#include "experiments/common/image_data.h"
#include "experiments/common/stitching.h"

namespace koine {

/// A column of train.csv that is drawn, and what its axis is called.
struct Curves {
    std::string column, unit;
};

/// Writes all of it into the run's folder and prints the table. `kinds`: one or two, of two or more models each;
/// `setting`: a sentence on how they were trained, shown below the table.
void report_stitching(const Run& run, const std::string& about, const std::string& setting, const ImageSet& data,
                      const Anchors& anchors, const std::vector<Stitching>& kinds, const std::vector<Curves>& curves);

}  // namespace koine
