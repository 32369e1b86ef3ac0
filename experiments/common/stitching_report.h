// What is shown of stitched models: table, figures, metrics.json, report.html.
#pragma once
#include "experiments/common/image_data.h"
#include "experiments/common/stitching.h"

namespace koine {

/// Writes all of it into the run's folder and prints the table. `kinds`: one or two, of two or more models each;
/// `setting`: a sentence on how they were trained, shown below the table. Learning curves are drawn from the columns
/// of train.csv that are named.
void report_stitching(const Run& run, const std::string& about, const std::string& setting, const ImageSet& data,
                      const Anchors& anchors, const std::vector<Stitching>& kinds,
                      const std::vector<std::string>& curves);

}  // namespace koine
