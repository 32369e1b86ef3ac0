// What is done with stitched image models once they are trained: scores, figures, metrics.json, the report.
#pragma once
#include "experiments/common/image_data.h"
#include "nn/evaluate.h"

namespace koine {

/// n models of one kind: every encoder's code read by every decoder.
struct Stitching {
    Stitching(std::string kind_, int64_t n);
    /// Encoder i, decoder j: y[N, H, W, C] for the test images.
    void add(size_t i, size_t j, const Tensor& y, const Tensor& target);

    /// Means over the models themselves (i = j), and over all pairs of different ones.
    double own() const;
    double stitched() const;

    std::string kind;                              ///< "absolute" or "relative"
    std::vector<std::vector<ImageScores>> scores;  ///< [encoder][decoder]
    std::vector<Tensor> codes;                     ///< of the test images, by encoder
    Tensor own_images, stitched_images;            ///< by encoder 0 with decoder 0, and with decoder 1
};

/// Draws the figures, writes metrics.json and report.html and prints the table.
void report_stitching(const Run& run, const std::string& about, const ImageSet& data, const Anchors& anchors,
                      const Stitching& absolute, const Stitching& relative);

}  // namespace koine
