// Which maps of a latent space do relative codes not see? Section 3 of the paper (Moschella et al., ICLR 2023).
//
// Two networks that learnt the same thing from different seeds often arrange it alike, but for a map of one latent
// space onto the other: turned, mirrored, with its coordinates in another order, larger. Here nothing is trained: a
// space is moved by such maps, and codes before and after are compared. An absolute code is the latent itself. A
// relative one is its cosines with the latents of the anchors, which move along: a cosine does not see a map that keeps
// angles.
//
// Expect (512 images, 500 anchors, about 3 seconds): under every map that keeps angles relative codes agree to 1e-5 and
// find all neighbours, while absolute codes move about as far as they are long. Under a translation, or a scale of its
// own for each coordinate, relative codes move, too. The last row is measured as in the paper's code (lucmos/relreps,
// experiments/fig:latent-rotation-comparison/isodeformation.ipynb), which has 3.26 absolute and 0.0162 relative.
#include <array>
#include <nlohmann/json.hpp>

#include "data/batches.h"
#include "experiments/common/codes_chart.h"
#include "experiments/common/image_data.h"
#include "experiments/common/run_main.h"
#include "nn/evaluate.h"
#include "nn/relative.h"
#include "nn/similarity.h"
#include "tensor/linalg.h"

using namespace koine;

constexpr int64_t kNeighbours = 10;
constexpr double kTolerance = 1e-5;                 // of a cosine in float32; measured: up to 1.3e-6
constexpr uint64_t kMapStream = uint64_t{1} << 61;  // random numbers that nothing else draws from

struct Config : Flags {
    int64_t n_anchors = 500;
    std::string checkpoint;

    Config() {
        name = "invariance", about = "which maps of a latent space relative codes do not see";
        data_sets = {"synthetic"}, data_set = "synthetic", test_limit = 512;
        unused = {"train-limit", "epochs", "batch-size", "lr", "seeds", "protocol", "full", "tf32", "resume"};
    }
    std::vector<Switch> switches() override {
        std::vector<Switch> list = Flags::switches();
        list.push_back({"anchors", &n_anchors, "anchor images; with --checkpoint those of its run", {.min = 2}});
        list.push_back({"checkpoint", &checkpoint, "of ae_stitch: latents, data, anchors of that run", {}, {}, "FILE"});
        return list;
    }
};

struct Space {
    std::string what;
    ImageData data;
    Var x, a;  ///< [N, D] of the test images, [A, D] of the anchors, where they are computed with
};

/// Images are a space without any network: a pixel a coordinate, with distances and angles like any other. With a
/// checkpoint it is that of its encoder's latents.
Space load_space(const Config& config, Device device) {
    if (config.checkpoint.empty()) {
        const ImageData data = load_image_data(config, "uniform", config.n_anchors);
        return {"that of images, a pixel a coordinate", data, data.test.images.flatten(1).to(device),
                data.anchors.images.flatten(1).to(device)};
    }
    SavedModel saved = open_model(config.checkpoint);
    saved.checkpoint.require_finite();
    const ImageData data{load_data_of(saved, config), {}, saved.anchors};
    const Tensor anchors = data.anchors.images, none;
    AutoEncoder model = load_stitched(saved.checkpoint, saved.checkpoint, saved.form.is_relative() ? anchors : none);
    model.to(device);
    const auto latent = [&](const Var& x) { return model.encoder(x); };
    return {"that of the latents of a trained " + saved.form.str(), data,
            apply_in_batches(data.test.images, latent, device).to(device),
            apply_in_batches(anchors, latent, device).to(device)};
}

/// y = (x + noise e) matrix + shift, with e ~ N(0, 1).
struct Map {
    std::string name;
    bool keeps_angles;
    Var matrix;  ///< [D, D]
    real noise = 0;
    Var shift = Tensor::zeros({1});
    Var operator()(const Var& x, Random rng) const {
        const Var e = Tensor::normal(x.shape(), rng, x.device());
        return matmul(x + e * noise, matrix.value.to(x.device())) + shift.value.to(x.device());
    }
};

/// On the host, whose LAPACK makes some of them.
std::vector<Map> make_maps(const Var& x, uint64_t seed) {
    const int64_t d = x.shape()[1];
    const Tensor one = Tensor::zeros({d, d});
    for (int64_t i = 0; i < d; i++) one.data()[i * d + i] = 1;
    const Var orthogonal = random_orthogonal(d, {seed, kMapStream});
    const Var axis = pca(x.value, 1).components;  // mirrored along the widest direction of the data, to be visible
    const Var reflection = one - 2 * matmul(transpose(axis, 0, 1), axis);  // Householder's
    const Var permutation = gather_rows(one, epoch_order(d, seed, 0));
    const Var scaling = Var(one) * 3;
    const Var scales = exp(Tensor::normal({d}, {seed, kMapStream + 1}));
    const Var direction = l2_normalize(Tensor::normal({1, d}, {seed, kMapStream + 2}));
    return {{"orthogonal map", true, orthogonal},
            {"reflection", true, reflection},
            {"permutation", true, permutation},
            {"scaling by 3", true, scaling},
            {"all four together", true, matmul(matmul(matmul(orthogonal, reflection), permutation), scaling)},
            {"orthogonal, noise 0.001", false, orthogonal, real(0.001)},
            {"orthogonal, noise 0.1", false, orthogonal, real(0.1)},
            {"translation", false, one, 0, direction * real(mean_length(x.value))},
            {"a scale per coordinate", false, Var(one) * scales}};
}

/// The codes of the test images: absolute [N, D] and relative [N, A], on the host.
using Codes = std::array<Tensor, 2>;

Codes codes_of(const Var& x, const Var& anchors) {
    return {x.value.to(Device::cpu), relative(x, anchors).value.to(Device::cpu)};
}
/// In the moved space: the anchors move along, with noise of their own.
Codes moved_codes(const Space& space, const Map& map, uint64_t seed, uint64_t stream) {
    return codes_of(map(space.x, {seed, stream}), map(space.a, {seed, stream + 1}));
}

/// As in the paper's code: the space and five copies of it, turned at random, with a little noise.
std::array<double, 2> compare_six_spaces(const Space& space, uint64_t seed) {
    const Codes original = codes_of(space.x, space.a);
    std::vector<Tensor> absolute = {original[0]}, relative = {original[1]};
    for (uint64_t stream = kMapStream + 100; absolute.size() < 6; stream += 100) {
        const Map turn{"", false, random_orthogonal(space.x.shape()[1], {seed, stream}), real(0.001)};
        const Codes moved = moved_codes(space, turn, seed, stream + 1);
        absolute.push_back(moved[0]), relative.push_back(moved[1]);
    }
    return {mean_pairwise_distance(absolute), mean_pairwise_distance(relative)};
}

/// What one map does to the codes.
struct Effect {
    std::string map;
    bool keeps_angles;
    CodeScores absolute, relative;
    /// Equal to 1e-5 in every relative number, and in absolute ones not: what the theory promises where angles are
    /// kept.
    bool is_invariant() const { return relative.largest <= kTolerance && absolute.largest > kTolerance; }
};

Table table_of(const std::vector<Effect>& effects, const std::array<double, 2>& six_spaces, const Codes& original) {
    Table table("How far the codes of an image move when their space does",
                {"map", "angles", "absolute", "relative", "largest", "absolute finds", "relative finds"});
    for (const Effect& e : effects) {
        table.add({e.map,
                   e.keeps_angles ? "kept" : "no",
                   e.absolute.distance,
                   e.relative.distance,
                   e.relative.largest,
                   {e.absolute.neighbours, 3},
                   {e.relative.neighbours, 3}});
    }
    table.add({"six spaces, noise 0.001", "no", six_spaces[0], six_spaces[1], "", "", ""});
    const double chance = double(kNeighbours) / double(original[0].shape[0] - 1);
    table.note("angles: between any two latents, seen from the origin, which is all that a cosine knows.")
        .note("absolute, relative: how far the code of an image moves (L2), a mean; codes are " +
              fixed(mean_length(original[0]), 2) + " and " + fixed(mean_length(original[1]), 2) + " long.")
        .note("largest: the largest change of a single relative number.")
        .note("finds: the share of its 10 nearest neighbours that an old code finds among new ones; chance " +
              fixed(chance, 3) + ".")
        .note(
            "six spaces: the original and five turned at random, a mean over all pairs; the paper's code has 3.26 and "
            "0.0162, for an MNIST auto-encoder.");
    return table;
}

OrderedJson json_of(const std::vector<Effect>& effects) {
    OrderedJson list = OrderedJson::array();
    for (const Effect& e : effects) {
        list.push_back({{"name", e.map},
                        {"absolute", e.absolute.distance},
                        {"relative", e.relative.distance},
                        {"max", e.relative.largest},
                        {"neighbours", {{"absolute", e.absolute.neighbours}, {"relative", e.relative.neighbours}}}});
    }
    return list;
}

int main(int argc, char** argv) {
    Config config;
    return run_main(config, argc, argv, [&] {
        const Space space = load_space(config, choose_device(config));
        const ImageData& data = space.data;
        const int64_t n = data.test.size();
        if (n <= kNeighbours) throw UsageError("--test-limit: " + std::to_string(n) + " images; want 11 or more");
        config.data_set = data.name, config.n_anchors = data.anchors.images.shape[0];  // with --checkpoint its run's
        const Run run(config, image_run_info(config, data));
        record_anchors(run, data, data.anchors);

        const Codes original = codes_of(space.x, space.a);
        std::vector<Effect> effects;
        std::vector<ShownCodes> shown[2] = {{{"absolute, original", original[0]}},
                                            {{"relative, original", original[1]}}};
        for (const Map& map : make_maps(space.x, uint64_t(config.seed))) {
            const Codes moved = moved_codes(space, map, uint64_t(config.seed), kMapStream + 10);
            effects.push_back({map.name, map.keeps_angles, compare_codes(original[0], moved[0], kNeighbours),
                               compare_codes(original[1], moved[1], kNeighbours)});
            if (effects.size() > 2) continue;  // two of them are drawn
            shown[0].push_back({"absolute, " + map.name, moved[0]});
            shown[1].push_back({"relative, " + map.name, moved[1]});
        }
        const std::array<double, 2> six_spaces = compare_six_spaces(space, uint64_t(config.seed));

        const Table table = table_of(effects, six_spaces, original);
        shown[0].insert(shown[0].end(), shown[1].begin(), shown[1].end());
        Report report("Invariance", "A space is moved by maps that two networks could differ by. The space is " +
                                        space.what + ". Data: " + data.source + ".");
        report
            .add_figure(codes_chart(run.figure("codes.svg"), shown[0], 3, data.test.labels, data.class_names),
                        "Images by class, on the two principal components of the codes on the left, each panel to its "
                        "own scale. Absolute codes move with their space, relative ones stay.")
            .add(table);
        run.finish({{"dataset", {{"name", data.name}, {"train", data.train.size()}, {"test", n}, {"hash", data.hash}}},
                    {"anchors", {{"count", config.n_anchors}}},
                    {"maps", json_of(effects)},
                    {"six_spaces", {{"absolute", six_spaces[0]}, {"relative", six_spaces[1]}}},
                    {"seconds", run.seconds()}},
                   {table}, report);
        for (const Effect& e : effects) {
            if (!e.keeps_angles || e.is_invariant()) continue;
            throw CheckError(e.map + ": relative numbers must agree to 1e-5, absolute ones must not; see the table");
        }
    });
}
