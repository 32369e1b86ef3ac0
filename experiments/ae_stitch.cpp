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
#include "data/batches.h"
#include "data/datasets.h"
#include "experiments/common/progress.h"
#include "experiments/common/run.h"
#include "experiments/common/run_main.h"
#include "experiments/common/stitching.h"
#include "experiments/common/train_state.h"
#include "nn/autoencoder.h"
#include "nn/evaluate.h"
#include "nn/relative.h"

using namespace koine;

struct Config : Flags {
    int64_t n_models = 2, n_anchors = 10;
    std::string anchor_strategy = "per-class";
    bool anchor_grad = false;

    Config() {
        name = "ae_stitch", about = "zero-shot stitching of auto-encoders through relative representations";
        data_sets = {"mnist", "fashion-mnist", "synthetic"}, data_set = "mnist";
        unused = {"protocol", "seeds"};  // the report's protocol; for several seeds, several runs
    }
    void set_defaults() override { epochs = 10, train_limit = full ? 0 : 4500, test_limit = full ? 0 : 500; }
    std::vector<Switch> switches() override {
        std::vector<Switch> list = Flags::switches();
        list.push_back({"n-models", &n_models, "models of each kind, all stitched to all", {.min = 2, .max = 50}});
        list.push_back({"anchors", &n_anchors, "anchor images, from the training split", {.min = 1}});
        list.push_back({"anchor-strategy", &anchor_strategy, "how they are chosen", {}, anchor_strategies()});
        list.push_back({"anchor-grad", &anchor_grad, "let gradients flow through the anchors' latents, too"});
        return list;
    }
};

/// Images -> code -> images. The code is the latent itself, or, given anchors, the latent's cosines with theirs.
struct AutoEncoder : Module {
    Tensor anchors;  // [A, 28, 28, 1]; undefined in the absolute twin
    bool anchor_grad;
    Sequential encoder, decoder;
    AutoEncoder(Generator gen, const Tensor& anchors_, bool anchor_grad_)
        : anchors(anchors_),
          anchor_grad(anchor_grad_),
          encoder(image_encoder(gen)),
          decoder(image_decoder(gen, anchors.is_defined() ? anchors.shape[0] : kImageLatent)) {}

    Var code(const Var& x) {
        const Var z = encoder(x);
        if (!anchors.is_defined()) return z;
        // The anchors' latents are constants of the step, but their pass moves BatchNorm's statistics like any other.
        return relative(z, anchor_latents(), anchor_grad);
    }
    Var anchor_latents() {
        if (anchor_grad) return encoder(Var(anchors));
        const NoGrad no_grad;
        return encoder(Var(anchors));
    }
    Var forward(const Var& x) override { return decoder(code(x)); }
    void visit(Visitor& v) override {
        v("encoder", encoder);
        v("decoder", decoder);
    }
};

void train(const std::string& name, AutoEncoder& model, uint64_t seed, const Config& config, const ImageSet& data,
           Run& run, Progress& progress) {
    Adam adam(model, {.lr = config.lr});
    TrainState state;
    const auto checkpoint = run.checkpoint(name + ".safetensors");
    state.load(checkpoint, model, adam);  // there is one when the run is resumed
    progress.skip(int64_t(state.epoch) * data.train.size() + int64_t(state.batch) * config.batch_size);
    while (int64_t(state.epoch) < config.epochs) {
        progress.start(name, int64_t(state.epoch) + 1, config.epochs);
        model.train();
        const Batches batches(epoch_order(data.train.size(), seed, int64_t(state.epoch)), config.batch_size);
        while (int64_t(state.batch) < batches.size()) {
            const Var x(gather_rows(data.train.images, batches[int64_t(state.batch)]));
            adam.zero_grad();
            const Var loss = mse_loss(model(x), x);
            backward(loss);
            adam.step();
            state.add(name, double(loss.item()), x.shape()[0]);
            progress.step(x.shape()[0], double(loss.item()));
            if (interrupted()) {
                state.save(checkpoint, model, adam);
                throw Interrupted(run.folder());
            }
        }
        model.eval();
        const Tensor y = apply_in_batches(data.test.images, [&](const Var& x) { return model(x); });
        const Values values{{"train_mse", state.end_epoch(data.train.size())},
                            {"test_mse", compare_images(y, data.test.images).mse}};
        run.log(name, int64_t(state.epoch), values);
        progress.done(values);
        state.save(checkpoint, model, adam);
    }
    model.eval();
}

/// n models of one kind, trained, and every encoder read by every decoder: nothing is trained in between.
Stitching stitch(const std::string& kind, const Tensor& anchors, const Config& config, const ImageSet& data, Run& run,
                 Progress& progress) {
    std::vector<AutoEncoder> models;
    for (int64_t i = 0; i < config.n_models; i++) {
        const uint64_t seed = uint64_t(config.seed) * 1000 + uint64_t(i);
        models.emplace_back(Generator(seed), anchors, config.anchor_grad);
        train(kind + "-" + std::to_string(i), models.back(), seed, config, data, run, progress);
    }
    Stitching s(kind, config.n_models);
    std::vector<uint32_t> before;
    for (AutoEncoder& m : models) {
        before.push_back(checksum(m.state()));
        s.codes.push_back(apply_in_batches(data.test.images, [&](const Var& x) { return m.code(x); }));
    }
    for (size_t i = 0; i < models.size(); i++) {
        for (size_t j = 0; j < models.size(); j++) {
            const Tensor y = apply_in_batches(s.codes[i], [&](const Var& c) { return models[j].decoder(c); });
            s.add(i, j, y, data.test.images);
        }
    }
    for (size_t i = 0; i < models.size(); i++) {
        if (checksum(models[i].state()) != before[i])
            throw CheckError(kind + "-" + std::to_string(i) + " changed while it was stitched");
    }
    return s;
}

int main(int argc, char** argv) {
    Config config;
    return run_main(config, argc, argv, [&] {
        const ImageSet data = load_images(config.data_set, data_options(config));
        const Anchors anchors = choose_anchors(config.anchor_strategy, config.n_anchors, uint64_t(config.seed), data);
        Run run(config, image_run_info(config, data));
        record_anchors(run, data, anchors);
        Progress progress(config.quiet, 2 * config.n_models * config.epochs, data.train.size());
        const Stitching absolute = stitch("absolute", Tensor(), config, data, run, progress);
        const Stitching relative = stitch("relative", anchors.images, config, data, run, progress);
        report_stitching(run, config.about, data, anchors, absolute, relative);
    });
}
