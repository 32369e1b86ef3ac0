// From switches to images and anchors: the beginning of the image experiments.
#pragma once
#include "data/datasets.h"
#include "experiments/common/run.h"

namespace koine {

/// --data, --offline and the limits.
DataOptions data_options(const Flags& flags);

/// What the first lines of a run say about its images and its device.
RunInfo image_run_info(const Flags& flags, const ImageSet& data);

/// The device that --device comes to; never a silent fall-back. Throws DeviceError, saying what is missing.
Device choose_device(const Flags& flags);

struct Anchors {
    std::string strategy;  ///< per-class, uniform, farthest-point or k-means
    uint64_t seed = 0;
    std::vector<int32_t> ids;  ///< positions in the data set's file
    Tensor images;             ///< [A, H, W, C]
};
/// The strategies of nn/relative.h by name, for --anchor-strategy.
const std::vector<std::string>& anchor_strategies();
/// `count` images of the training split, chosen by strategy and seed. Throws UsageError when per-class anchors cannot
/// be spread evenly, ValueError for more than there are.
Anchors choose_anchors(const std::string& strategy, int64_t count, uint64_t seed, const ImageSet& data);
/// Writes the run's anchors.json: the data set and its hash, the split, strategy, seed and ids.
void record_anchors(const Run& run, const ImageSet& data, const Anchors& anchors);

}  // namespace koine
