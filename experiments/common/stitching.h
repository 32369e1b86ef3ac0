// Trained auto-encoders put together crosswise: the encoder of each in front of the decoder of each, and how well that
// works. Nothing is trained here. Tables and figures: stitching_report.h.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "data/datasets.h"
#include "experiments/common/table.h"
#include "nn/autoencoder.h"
#include "nn/evaluate.h"

namespace koine {

/// One number per encoder (row) and decoder (column).
using Matrix = std::vector<std::vector<double>>;

/// n models of one kind: every encoder's code read by every decoder.
struct Stitching {
    /// One of the scores as a matrix.
    Matrix matrix(double ImageScores::*score) const;
    /// Of the MSE over the models themselves (i = j), and over all pairs of different ones.
    MeanAndDeviation own() const;
    MeanAndDeviation stitched() const;

    std::string kind;                              ///< "absolute" or "relative"
    AutoEncoderForm form;                          ///< of all its models
    std::vector<std::string> names;                ///< of the models: "0", "1", ...
    std::vector<std::vector<ImageScores>> scores;  ///< [encoder][decoder]; a VAE's are means over kDraws draws of z
    Matrix mse_at_mean;                            ///< a VAE's with z = mu, which it was not trained on; else empty
    std::vector<double> kl;                        ///< of a VAE, with its own decoder: nats an image
    Tensor codes[2];                               ///< of the test images, by encoders 0 and 1
    Tensor images[2][2];                           ///< by encoder and decoder 0 and 1
    Tensor samples[2];                             ///< of a VAE: images that models 0 and 1 invent
};

/// Draws of z for each test image of a VAE.
inline constexpr int kDraws = 8;
/// Draw `draw` of every z that is needed to evaluate a VAE: a stream that no weight and no training step draws from.
Random evaluation_noise(uint64_t seed, int draw = 0);

/// `names` of the models, or {} for their numbers. Builds every pair from the checkpoint files of the models and tries
/// it on the test images. `anchors`: images, or undefined for absolute codes; `seed`: of the draws; `device`: where the
/// models run, while the images, and all that comes out, are on the host. Throws as load_checkpoint and load_stitched;
/// DataError(VALUE) for weights that are not finite; Error if a weight changes.
Stitching stitch_models(const std::string& kind, const std::vector<std::filesystem::path>& files,
                        const std::vector<std::string>& names, const Tensor& anchors, const ImageSplit& test,
                        uint64_t seed, Device device = Device::cpu);

}  // namespace koine
