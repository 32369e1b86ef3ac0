// Zero-shot stitching of auto-encoders: section 2 of the report, section 5.1 of the paper (Moschella et al., ICLR
// 2023).
//
// Two auto-encoders of the same form are trained from different seeds. The encoder of one is then put in front of the
// decoder of the other, with no training in between. With absolute latents that gives noise: each network has a
// language of its own. With relative codes (cosines with the latents of ten anchor images, the same for both) the
// decoder reads what it has never seen.
//
// Expect (MNIST, 4500 images, 10 epochs, about 3 minutes on 2 cores): mean squared error of the absolute pair about
// 0.005 own and 0.10 stitched, of the relative pair about 0.025 own and 0.045 stitched.
//
// --protocol paper: 500 anchors, LayerNorm behind the cosines, the calibrated loss, gradients clipped at norm 10, and
// of all epochs the one with the lowest error on a tenth of the training images, which is kept for that.
#include "data/batches.h"
#include "experiments/common/progress.h"
#include "experiments/common/run_main.h"
#include "experiments/common/stitching_report.h"
#include "experiments/common/training.h"

using namespace koine;

struct Config : Flags {
    int64_t n_models = 2, n_anchors = 0;
    std::string anchor_strategy = "per-class";
    bool anchor_grad = false;

    Config() {
        name = "ae_stitch", about = "zero-shot stitching of auto-encoders through relative representations";
        data_sets = {"mnist", "fashion-mnist", "synthetic"}, data_set = "mnist";
        unused = {"seeds"};  // for several seeds, several runs
    }
    bool is_paper() const { return protocol == "paper"; }
    std::string setting() const {
        return is_paper() ? "Protocol paper: LayerNorm behind the cosines, calibrated loss, gradients clipped at 10, "
                            "the best epoch by validation on a tenth of the training images."
                          : "Protocol report: plain cosines, mean squared error, the last epoch.";
    }
    void set_defaults() override {
        train_limit = full ? 0 : 4500, test_limit = full ? 0 : 500;
        epochs = full && is_paper() ? 100 : 10;
        n_anchors = is_paper() ? 500 : 10;
    }
    std::vector<Switch> switches() override {
        std::vector<Switch> list = Flags::switches();
        list.push_back({"n-models", &n_models, "models of each kind, all stitched to all", {.min = 2, .max = 50}});
        list.push_back({"anchors", &n_anchors, "anchor images, from the training split", {.min = 1}});
        list.push_back({"anchor-strategy", &anchor_strategy, "how they are chosen", {}, anchor_strategies()});
        list.push_back({"anchor-grad", &anchor_grad, "let gradients flow through the anchors' latents, too"});
        return list;
    }
};

/// Trains a model, and returns the checkpoint to use.
std::filesystem::path train(const std::string& name, AutoEncoder& model, uint64_t seed, const Config& config,
                            const ImageData& data, Device device, Run& run, Progress& progress) {
    model.to(device);
    Adam adam(model, {.lr = config.lr});
    Training t(run, name, model, adam, {"train_mse"}, checkpoint_metadata(model.form, data.anchors));
    progress.skip(t.n_seen(data.train.size()));  // more than none when the run is resumed
    while (int64_t(t.epoch) < config.epochs) {
        progress.start(name, int64_t(t.epoch) + 1, config.epochs);
        model.train();
        const Batches batches(epoch_order(data.train.size(), seed, int64_t(t.epoch)), config.batch_size);
        while (int64_t(t.batch) < batches.size()) {
            const Var x(gather_rows(data.train.images, batches[int64_t(t.batch)]).to(device));
            adam.zero_grad();
            const Var mse = mse_loss(model(x), x);
            backward(config.is_paper() ? calibrated_nll(mse, x.value.numel() / x.shape()[0]) : mse);
            if (config.is_paper()) clip_grad_norm(adam.parameters, 10);
            adam.step();
            t.count(x.shape()[0], [mse = mse.value] { return Measured{double(mse.item())}; });
            progress.step(x.shape()[0], [&] { return t.means(); });
            if (interrupted()) t.save_and_stop();
        }
        model.eval();
        progress.done(t.end_epoch(reconstruction_errors(
            data, [&](const Var& x) { return model(x); }, device)));
    }
    return t.result();
}

/// n models of one kind, trained, and every encoder read by every decoder: nothing is trained in between.
Stitching train_and_stitch(const std::string& kind, const Config& config, const ImageData& data, Device device,
                           Run& run, Progress& progress) {
    const bool is_relative = kind == "relative";
    const AutoEncoderForm form{.n_anchors = is_relative ? config.n_anchors : 0,
                               .is_paper = is_relative && config.is_paper()};
    const Tensor anchors = is_relative ? data.anchors.images : Tensor();
    std::vector<std::filesystem::path> files;
    for (int64_t i = 0; i < config.n_models; i++) {
        const uint64_t seed = uint64_t(config.seed) * 1000 + uint64_t(i);
        AutoEncoder model(form, anchors, Generator(seed));
        model.anchor_grad = config.anchor_grad;
        files.push_back(train(kind + "-" + std::to_string(i), model, seed, config, data, device, run, progress));
    }
    return stitch_models(kind, files, {}, anchors, data.test, uint64_t(config.seed), device);
}

int main(int argc, char** argv) {
    Config config;
    return run_main(config, argc, argv, [&] {
        const Device device = choose_device(config);
        const ImageData data = load_image_data(config, config.anchor_strategy, config.n_anchors);
        Run run(config, image_run_info(config, data));
        record_anchors(run, data, data.anchors);
        Progress progress(config.quiet, 2 * config.n_models * config.epochs, data.train.size());
        const Stitching absolute = train_and_stitch("absolute", config, data, device, run, progress);
        const Stitching relative = train_and_stitch("relative", config, data, device, run, progress);
        report_stitching(run, config.about, config.setting(), data, data.anchors, {absolute, relative},
                         {{"train_mse", "MSE"}, {"test_mse", "MSE"}});
    });
}
