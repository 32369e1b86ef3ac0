// From switches to images and anchors: the beginning of the image experiments.
#pragma once
#include <functional>

#include "data/datasets.h"
#include "experiments/common/run.h"
#include "nn/autoencoder.h"

namespace koine {

/// What the first lines of a run say about its images and its device.
RunInfo image_run_info(const Flags& flags, const ImageSet& data);

// ---- anchors ------------------------------------------------------------------------------------------------------

struct Anchors {
    std::string data_set, hash;  ///< "mnist", and the hash of its files
    std::string strategy;        ///< per-class, uniform, farthest-point or k-means
    uint64_t seed = 0;
    std::vector<int32_t> ids;  ///< positions in the training split's file
    Tensor images;             ///< [A, H, W, C]

    /// 16 hexadecimal digits: equal for two lists of the same images in the same order, and written into the
    /// checkpoints of every model that was trained with them.
    std::string fingerprint() const;
};
/// The strategies of nn/relative.h by name, for --anchor-strategy.
const std::vector<std::string>& anchor_strategies();
/// `count` images of the training split, chosen by strategy and seed. Throws UsageError when per-class anchors cannot
/// be spread evenly, ValueError for more than there are.
Anchors choose_anchors(const std::string& strategy, int64_t count, uint64_t seed, const ImageSet& data);

/// Writes the run's anchors.json: the data set and its hash, the split, strategy, seed and ids. In a resumed run it is
/// there: throws DataError(VALUE), with what differs, when the data that is found now is not the data of then.
void record_anchors(const Run& run, const ImageSet& data, const Anchors& anchors);
/// Reads it again, without the images. Throws DataError: MISSING, SYNTAX, VALUE.
Anchors read_anchors(const std::filesystem::path& path);
/// "" when two models were trained with the same anchors, else what differs, a line for each difference.
std::string difference(const Anchors& a, const Anchors& b);

// ---- both ---------------------------------------------------------------------------------------------------------

/// What an image experiment trains on.
struct ImageData : ImageSet {
    ImageSplit validation;  ///< with --protocol paper a tenth of the training images, taken off; else empty
    Anchors anchors;
};
/// The data set of the switches, and anchors from what is left for training. Throws as load_images and choose_anchors.
ImageData load_image_data(const Flags& flags, const std::string& anchor_strategy, int64_t n_anchors);

/// The mean squared error of what a model on `device` makes of the validation images, if there are any, and of the test
/// images: "validation_mse" and "test_mse".
Values reconstruction_errors(const ImageData& data, const std::function<Var(const Var&)>& reconstruct,
                             Device device = Device::cpu);

// ---- models in files ------------------------------------------------------------------------------------------------

/// What a checkpoint says about its model: its form, and for a relative one the fingerprint of its anchors.
std::map<std::string, std::string> checkpoint_metadata(const AutoEncoderForm& form, const Anchors& anchors);

/// A checkpoint of an image experiment with the anchors of its run.
struct SavedModel {
    Checkpoint checkpoint;
    AutoEncoderForm form;
    Anchors anchors;  ///< without images
    std::filesystem::path anchors_file;
};
/// Reads both. `anchors_file`: empty for the anchors.json of the run folder, above or beside the checkpoint. Throws as
/// load_checkpoint, AutoEncoderForm::of and read_anchors; DataError(VALUE) when the model was trained with other
/// anchors than the file names.
SavedModel open_model(const std::filesystem::path& file, const std::filesystem::path& anchors_file = {});
/// The data set that a saved model's anchors were chosen from, with the test images of the switches; fills in the
/// anchors' images. Throws as load_images; DataError(VALUE) when what is found here is another set.
ImageSet load_data_of(SavedModel& model, const Flags& flags);

}  // namespace koine
