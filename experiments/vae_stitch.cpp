// Zero-shot stitching of variational auto-encoders: section 3 of the report.
//
// Two relative VAEs of the same form are trained in one loop: they see the same batches, but have weights, optimisers
// and noise of their own. Each is saved; the stitched VAE is then built from the two files, the encoder's side of one
// and the decoder's side of the other. The absolute twins show what that gives without anchors.
//
// The loss of an image is its squared error, summed over its pixels, plus beta times the KL divergence of its z from
// the prior N(0, 1), summed over the latent dimensions; both are averaged over the batch (Kingma & Welling 2014).
//
// Expect (Fashion-MNIST, 5000 images, 8 epochs, about 3 minutes on 2 cores): mean squared error of the absolute pair
// about 0.03 own and 0.12 stitched, of the relative pair about 0.05 both.
//
// --protocol paper: 500 anchors; the Gaussian stands behind the code, on the decoder's side, with LayerNorm in between;
// the calibrated loss, which needs no beta; gradients clipped at norm 10; the best epoch by validation.
#include <deque>

#include "data/batches.h"
#include "experiments/common/progress.h"
#include "experiments/common/run_main.h"
#include "experiments/common/stitching_report.h"
#include "experiments/common/training.h"

using namespace koine;

struct Config : Flags {
    int64_t n_models = 2, n_anchors = 0, n_latent = 0;
    std::string anchor_strategy = "per-class";
    double beta = 1;

    Config() {
        name = "vae_stitch",
        about = "zero-shot stitching of variational auto-encoders through relative representations";
        data_sets = {"fashion-mnist", "mnist", "synthetic"}, data_set = "fashion-mnist";
        unused = {"seeds"};  // for several seeds, several runs
    }
    bool is_paper() const { return protocol == "paper"; }
    void set_defaults() override {
        train_limit = full ? 0 : 5000, test_limit = full ? 0 : 1000;
        epochs = full ? (is_paper() ? 100 : 30) : 8;
        n_anchors = is_paper() ? 500 : 10, n_latent = is_paper() ? 500 : 128;
    }
    std::vector<Switch> switches() override {
        std::vector<Switch> list = Flags::switches();
        list.push_back({"n-models", &n_models, "VAEs of each kind, all stitched to all", {.min = 2, .max = 50}});
        list.push_back({"latent", &n_latent, "dimensions of z", {.min = 1, .max = 65536}});
        list.push_back({"beta", &beta, "weight of the KL divergence"});
        list.push_back({"anchors", &n_anchors, "anchor images, from the training split", {.min = 1}});
        list.push_back({"anchor-strategy", &anchor_strategy, "how they are chosen", {}, anchor_strategies()});
        return list;
    }
    std::string setting() const {
        const std::string kl =
            " + " + nine_digits(beta) + " x KL (summed over the latent dimensions), averaged over the batch";
        if (is_paper()) {
            return "Protocol paper: LayerNorm and the Gaussian behind the cosines; loss: calibrated likelihood of an "
                   "image" +
                   kl + "; gradients clipped at 10; the best epoch by validation on a tenth of the training images.";
        }
        return "Protocol report: z drawn in front of the cosines; loss: squared error (summed over the pixels of an "
               "image)" +
               kl + "; the last epoch.";
    }
};

/// One of the VAEs that are trained together.
struct Vae {
    AutoEncoder model;
    Adam adam;
    Training t;

    Vae(const std::string& name, const AutoEncoderForm& form, const Tensor& anchors, uint64_t seed,
        const Config& config, const ImageData& data, Device device, Run& run)
        : model(made(form, anchors, seed, device)),
          adam(model, {.lr = config.lr}),
          t(run, name, model, adam, {"reconstruction", "kl", "train_mse"}, checkpoint_metadata(form, data.anchors)) {}

    static AutoEncoder made(const AutoEncoderForm& form, const Tensor& anchors, uint64_t seed, Device device) {
        AutoEncoder model(form, anchors, Generator(seed));
        model.to(device);
        return model;
    }

    Values errors(const ImageData& data, uint64_t seed) {
        const NoiseScope noise(model, evaluation_noise(seed));
        model.eval();
        return reconstruction_errors(
            data, [&](const Var& x) { return model(x); }, adam.parameters.values.device());
    }

    /// One step on a batch; the mean squared error before it, a scalar.
    Tensor step(const Var& x, const Config& config) {
        const int64_t n_pixels = x.value.numel() / x.shape()[0];
        Gaussian::Parameters q;  // what z was drawn from
        model.train();
        adam.zero_grad();
        const Var mse = mse_loss(model.reconstruct(x, &q), x);
        const Var reconstruction = config.is_paper() ? calibrated_nll(mse, n_pixels) : mse * real(n_pixels);
        const Var kl = kl_normal(q.mu, q.log_var);
        backward(reconstruction + kl * real(config.beta));
        if (config.is_paper()) clip_grad_norm(adam.parameters, 10);
        adam.step();
        t.count(x.shape()[0], [a = reconstruction.value, b = kl.value, c = mse.value] {
            return Measured{double(a.item()), double(b.item()), double(c.item())};
        });
        return mse.value;
    }
};

/// Trains n VAEs of one kind on the same batches; the checkpoints to use.
std::vector<std::filesystem::path> train(const std::string& kind, const Config& config, const ImageData& data,
                                         Device device, Run& run, Progress& progress) {
    const bool is_relative = kind == "relative";
    const AutoEncoderForm form{is_relative ? config.n_anchors : 0, config.n_latent, is_relative && config.is_paper()};
    std::deque<Vae> vaes;
    for (int64_t i = 0; i < config.n_models; i++) {
        vaes.emplace_back(kind + "-" + std::to_string(i), form, is_relative ? data.anchors.images : Tensor(),
                          uint64_t(config.seed) * 1000 + uint64_t(i), config, data, device, run);
        progress.skip(vaes.back().t.n_seen(data.train.size()));
    }
    // A run that was killed while it saved may have left one VAE a little ahead: it waits for the others.
    int64_t epoch = config.epochs;
    for (const Vae& vae : vaes) epoch = std::min(epoch, int64_t(vae.t.epoch));
    for (; epoch < config.epochs; epoch++) {
        progress.start(kind, epoch + 1, config.epochs);
        const Batches batches(epoch_order(data.train.size(), uint64_t(config.seed), epoch), config.batch_size);
        for (int64_t b = 0; b < batches.size(); b++) {
            const Var x(gather_rows(data.train.images, batches[b]).to(device));
            for (Vae& vae : vaes) {
                if (!vae.t.is_at(epoch, b)) continue;
                const Tensor mse = vae.step(x, config);
                progress.step(x.shape()[0], [&] { return Values{{"loss", double(mse.item())}}; });
            }
            if (!interrupted()) continue;
            for (Vae& vae : vaes) vae.t.save();
            throw Interrupted(run.folder());
        }
        Values shown;
        for (Vae& vae : vaes) {
            if (int64_t(vae.t.epoch) != epoch) continue;
            const Values row = vae.t.end_epoch(vae.errors(data, uint64_t(config.seed)));
            for (const auto& [name, value] : row) shown.emplace_back(name + vae.t.name.substr(kind.size()), value);
        }
        progress.done(shown);
    }
    std::vector<std::filesystem::path> files;
    for (const Vae& vae : vaes) files.push_back(vae.t.result());
    return files;
}

int main(int argc, char** argv) {
    Config config;
    return run_main(config, argc, argv, [&] {
        const Device device = choose_device(config);
        const ImageData data = load_image_data(config, config.anchor_strategy, config.n_anchors);
        Run run(config, image_run_info(config, data));
        record_anchors(run, data, data.anchors);
        Progress progress(config.quiet, 2 * config.epochs, config.n_models * data.train.size());
        std::vector<Stitching> kinds;
        for (const std::string kind : {"absolute", "relative"}) {
            const auto files = train(kind, config, data, device, run, progress);
            const Tensor anchors = kind == "relative" ? data.anchors.images : Tensor();
            kinds.push_back(stitch_models(kind, files, {}, anchors, data.test, uint64_t(config.seed), device));
        }
        report_stitching(run, config.about, config.setting(), data, data.anchors, kinds,
                         {{"reconstruction", "loss of an image"},
                          {"kl", "nats an image"},
                          {"train_mse", "MSE"},
                          {"test_mse", "MSE"}});
    });
}
