// Are the latent spaces of n networks alike? Every measure for every pair of them, beside what it says of spaces that
// cannot be alike; as tables, figures and metrics.json.
#pragma once
#include <string>
#include <vector>

#include "experiments/common/image_data.h"
#include "experiments/common/run.h"
#include "nn/evaluate.h"

namespace koine {

/// What a network makes of the test images and of the anchors.
struct LatentSpace {
    LatentSpace(std::string name_, const Tensor& codes_, const Tensor& anchors_);

    std::string name;
    Tensor codes;                           ///< [N, D]
    Tensor anchors;                         ///< [A, D]
    Tensor centred_codes, centred_anchors;  ///< both less the mean of the anchors
};

/// How many neighbours of an image are compared; there must be more test images.
inline constexpr int64_t kNeighbours = 10;

/// A number for how alike two spaces are.
struct Measure {
    std::string key;    ///< in metrics.json: "relative"
    std::string title;  ///< "relative cosine"
    std::string about;  ///< what it is, with its source
    bool is_distance;   ///< 0 for equal spaces and large for unlike ones, and not the other way round
    double (*of)(const LatentSpace& a, const LatentSpace& b);
};
/// absolute, relative, relative_centered, cka, svcca, neighbours, procrustes.
const std::vector<Measure>& measures();

/// A measure over n spaces.
struct Similarities {
    using Matrix = std::vector<std::vector<double>>;

    const Measure* measure;
    Matrix values;                  ///< [n][n]
    Matrix permuted;                ///< first null: the second space's test images in another order
    std::vector<double> untrained;  ///< second null [n]: a network that has learnt nothing in the second one's place

    double mean() const;           ///< over the pairs of different spaces
    double mean_permuted() const;  ///< over the same pairs
    double mean_untrained() const;

    struct Count {
        int pairs = 0, above_permuted = 0, above_untrained = 0;
    };
    /// How many pairs there are, and how many of them are more alike than any pair of either null.
    Count pairs_above_nulls() const;
};
/// All measures of 2 or more spaces with the same N and A. Throws as the measures (nn/similarity.h), ValueError for
/// fewer spaces.
std::vector<Similarities> compare_spaces(const std::vector<LatentSpace>& spaces, const LatentSpace& untrained,
                                         uint64_t seed);

/// Does a network that is more like the best one do better? Over the others: the best is 1 like itself.
struct Correlation {
    size_t best;                       ///< the network with the highest accuracy
    std::vector<double> to_best;       ///< [n] its similarity to each
    double pearson = 0, spearman = 0;  ///< over the n - 1 others; NaN for fewer than two, or equal numbers
};
Correlation correlate(const Similarities& s, const std::vector<double>& accuracies);

/// A trained network.
struct Network {
    int64_t n_epochs;
    uint64_t seed;
    ClassScores scores;  ///< on the test images
    LatentSpace space;
};

/// Compares the networks, writes figures, metrics.json and report.html, and prints the tables and what they say.
/// `examples` is a picture of what the networks were trained on. Throws as compare_spaces.
void report_similarity(const Run& run, const ImageSet& data, const Anchors& anchors,
                       const std::vector<Network>& networks, const LatentSpace& untrained, uint64_t seed,
                       bool are_snapshots, const std::filesystem::path& examples);

}  // namespace koine
