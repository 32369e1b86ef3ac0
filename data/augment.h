// What training images go through on their way into a batch: a shift, a mirror, and normal channels.
//
// A network that sees each image a little differently in every epoch learns what does not change. What is done to image
// `index` in epoch `epoch` is a function of (seed, epoch, index): it depends neither on the batch that the image is in,
// nor on the thread that does it, so an interrupted run that goes on sees what the uninterrupted one saw.
//
// Reading order: batches.h, this file, then prefetch.h, which does it ahead of time.
#pragma once
#include "data/batches.h"

namespace koine {

/// For each channel, what to subtract and what to divide by.
struct ChannelStatistics {
    std::vector<real> mean, deviation;
};
/// Mean and standard deviation (divisor N H W) of each channel of images[N, H, W, C]; a channel that is the same
/// everywhere has deviation 1. Throws ShapeError unless there is a number at least.
ChannelStatistics channel_statistics(const Tensor& images);

struct Augmentation {
    int64_t padding = 0;  ///< shift by up to so many pixels in each direction; what moves in from outside is 0
    bool flips = false;   ///< mirror left to right, every other time
    ChannelStatistics channels;
};

/// y[B, H, W, C] = rows of images[N, H, W, C], each shifted and mirrored at random, then normalised: (x - mean) /
/// deviation of its channel. The shift is the crop of H x W out of the image padded with black on all sides, as in He
/// et al. 2016 (arXiv 1512.03385), section 4.2; every shift is equally likely.
/// Throws as gather_rows; ShapeError unless images are [N, H, W, C]; ValueError unless there are C means and
/// deviations, none of these 0, and 0 <= padding <= H, W. Safe to call from several threads at once.
Tensor augment(const Tensor& images, std::span<const int32_t> rows, const Augmentation& how, uint64_t seed,
               int64_t epoch);

/// All images, normalised only.
Tensor normalised(const Tensor& images, const ChannelStatistics& channels);

}  // namespace koine
