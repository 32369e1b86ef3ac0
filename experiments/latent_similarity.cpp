// Do networks that perform alike represent alike? Section 5 of the report, after section 4.2 of the paper (Moschella et
// al., ICLR 2023).
//
// A convolutional classifier is trained several times, each time from another seed and for another number of epochs.
// What each makes of the test images in its penultimate layer is then compared, pair by pair: as it is (absolute), as
// cosines with the embeddings of 300 anchor images (relative), and by measures from the literature. Each number stands
// beside its nulls, what the measure gives for spaces that have nothing in common: cosines of embeddings that share a
// large mean are large whatever the networks have learnt.
//
// Expect (CIFAR-100, 5000 images, 3, 4, 10 and 12 epochs, 2 to 4 minutes on 2 cores): top-1 accuracy 0.09, 0.10, 0.17
// and 0.20; absolute cosine 0.09, which is its null; relative 0.96 against nulls of 0.86 and 0.93, and with the mean
// subtracted 0.71 against 0.01 and 0.39.
#include <algorithm>

#include "data/augment.h"
#include "data/prefetch.h"
#include "experiments/common/image.h"
#include "experiments/common/image_data.h"
#include "experiments/common/progress.h"
#include "experiments/common/run_main.h"
#include "experiments/common/similarity_report.h"
#include "experiments/common/training.h"
#include "nn/convnet.h"
#include "nn/evaluate.h"

using namespace koine;

struct Config : Flags {
    std::string models, augment = "auto", anchor_strategy = "uniform";
    int64_t n_anchors = 300;
    bool snapshots = false;

    Config() {
        name = "latent_similarity", about = "do networks that perform alike represent alike?";
        data_sets = {"cifar-100", "cifar-100-coarse", "cifar-10", "fashion-mnist", "mnist", "synthetic"};
        data_set = "cifar-100";
        unused = {"seeds", "epochs", "protocol"};
    }
    void set_defaults() override {
        train_limit = full ? 0 : 5000, test_limit = full ? 0 : 2000;
        models = full ? "30,40,100,120" : "3,4,10,12";
    }
    std::vector<Switch> switches() override {
        std::vector<Switch> list = Flags::switches();
        list.push_back({"models", &models, "epochs of each network, each from a seed of its own", {}, {}, "N,N,..."});
        list.push_back({"snapshots", &snapshots, "one network in place of many, looked at after so many epochs"});
        list.push_back({"anchors", &n_anchors, "anchor images, from the training split", {.min = 1}});
        list.push_back({"anchor-strategy", &anchor_strategy, "how they are chosen", {}, anchor_strategies()});
        list.push_back({"augment",
                        &augment,
                        "of training images; auto: crop-flip for photographs, crop for digits",
                        {},
                        {"auto", "crop-flip", "crop", "none"}});
        return list;
    }
};

/// A network that is to be compared: how long it is trained, from which seed, and its name.
struct Plan {
    int64_t n_epochs;
    uint64_t seed;
    std::string name;
};

std::vector<Plan> plans(const Config& config) {
    std::vector<Plan> list;
    for (const std::string& number : split_list(config.models)) {
        Plan plan{0, uint64_t(config.seed) * 1000 + (config.snapshots ? 0 : list.size()), number + "-epochs"};
        if (!read_number(number, plan.n_epochs) || plan.n_epochs < 1 || plan.n_epochs > 1000000) {
            throw UsageError("--models " + config.models + ": '" + number + "' is not a number of epochs");
        }
        const auto n_alike =
            std::count_if(list.begin(), list.end(), [&](const Plan& p) { return p.n_epochs == plan.n_epochs; });
        if (n_alike > 0 && config.snapshots) {
            throw UsageError("--models " + config.models + " with --snapshots: " + number +
                             " is there twice; one network has one state after each epoch");
        }
        if (n_alike > 0) plan.name += "-" + std::to_string(n_alike + 1);
        list.push_back(plan);
    }
    if (list.size() < 2 || list.size() > 50) {
        throw UsageError("--models " + config.models + ": want 2 to 50 numbers of epochs, such as 3,4,10,12");
    }
    return list;
}

/// What the networks see: training images as they are, to be augmented, all others normalised.
struct Images {
    ImageData data;
    Augmentation augmentation;
    Tensor test, anchors;
    Indices test_labels;
    ConvNetForm form;
    Device device;  ///< of the networks; the images are on the host
};

Images load(const Config& config, Device device) {
    Images images{load_image_data(config, config.anchor_strategy, config.n_anchors), {}, {}, {}, {}, {}, device};
    const ImageData& data = images.data;
    if (data.test.size() <= kNeighbours) {
        throw UsageError("--test-limit " + std::to_string(config.test_limit) + ": want more than " +
                         std::to_string(kNeighbours) + " test images, to look for their neighbours");
    }
    const bool is_photograph = data.name != "mnist" && data.name != "synthetic";
    const std::string how = config.augment != "auto" ? config.augment : is_photograph ? "crop-flip" : "crop";
    images.augmentation = {how == "none" ? 0 : 4, how == "crop-flip", channel_statistics(data.train.images)};
    images.test = normalised(data.test.images, images.augmentation.channels);
    images.anchors = normalised(data.anchors.images, images.augmentation.channels);
    images.test_labels = Indices(data.test.labels);
    const Shape& s = data.train.images.shape;
    images.form = {.height = s[1], .width = s[2], .n_channels = s[3], .n_classes = data.n_classes};
    return images;
}

ClassScores evaluate(ConvNet& model, const Images& images) {
    model.eval();
    const auto classify = [&](const Var& x) { return model(x); };
    return score_classes(apply_in_batches(images.test, classify, images.device), images.test_labels);
}

/// Trains one network for plan.n_epochs. Its state after each of `kept` epochs stays in a checkpoint of that name.
void train(const Plan& plan, const std::vector<Plan>& kept, const Config& config, const Images& images, Run& run,
           Progress& progress) {
    const ImageSplit& data = images.data.train;
    const Device device = images.device;
    ConvNet model(images.form, Generator(plan.seed));
    model.to(device);
    Adam adam(model, {.lr = config.lr});
    Training t(run, plan.name, model, adam, {"train_loss", "train_top1", "train_top5"}, images.form.metadata());
    progress.skip(t.n_seen(data.size()));  // more than none when the run is resumed
    while (int64_t(t.epoch) < plan.n_epochs) {
        const int64_t epoch = int64_t(t.epoch);
        progress.start(plan.name, epoch + 1, plan.n_epochs);
        model.train();
        const Batches order(epoch_order(data.size(), plan.seed, epoch), config.batch_size);
        Prefetch batches(int64_t(t.batch), order.size(), [&](int64_t i) {
            return Batch{augment(data.images, order[i], images.augmentation, plan.seed, epoch),
                         gather_rows(data.labels, order[i])};
        });
        for (Batch batch; batches.next(batch);) {
            adam.zero_grad();
            const Var logits = model(Var(batch.images.to(device)));
            const Indices labels(batch.labels.to_vector(), batch.labels.shape, device);
            const Var loss = cross_entropy(logits, labels);
            backward(loss);
            adam.step();
            t.count(batch.size(), [labels, logits = logits.value, loss = loss.value] {
                const ClassScores scores = score_classes(logits, labels);
                return Measured{double(loss.item()), scores.top1, scores.top5};
            });
            progress.step(batch.size(), [&] { return t.means(); });
            if (interrupted()) t.save_and_stop();
        }
        const ClassScores test = evaluate(model, images);
        for (const Plan& snapshot : kept) {
            if (snapshot.n_epochs != epoch + 1) continue;
            Checkpoint c;
            c.metadata = images.form.metadata();
            c.add("model", model);
            save_checkpoint(run.checkpoint(snapshot.name + ".safetensors"), c);
        }
        progress.done(t.end_epoch({{"test_loss", test.loss}, {"test_top1", test.top1}, {"test_top5", test.top5}}));
    }
}

void train_all(const std::vector<Plan>& list, const Config& config, const Images& images, Run& run) {
    const int64_t n_train = images.data.train.size();
    if (config.snapshots) {
        Plan longest =
            *std::max_element(list.begin(), list.end(), [](auto& a, auto& b) { return a.n_epochs < b.n_epochs; });
        longest.name = "all-epochs";
        Progress progress(config.quiet, longest.n_epochs, n_train);
        return train(longest, list, config, images, run, progress);
    }
    int64_t n_epochs = 0;
    for (const Plan& plan : list) n_epochs += plan.n_epochs;
    Progress progress(config.quiet, n_epochs, n_train);
    for (const Plan& plan : list) train(plan, {}, config, images, run, progress);
}

LatentSpace embed(ConvNet& model, const std::string& name, const Images& images) {
    model.eval();
    const auto penultimate = [&](const Var& x) { return model.penultimate(x); };
    return {name, apply_in_batches(images.test, penultimate, images.device),
            apply_in_batches(images.anchors, penultimate, images.device)};
}

/// A few training images as they are, and as two epochs show them.
std::filesystem::path draw_examples(const Run& run, const Images& images, uint64_t seed) {
    const Tensor& train = images.data.train.images;
    std::vector<int32_t> shown;
    for (int32_t i = 0; i < std::min<int32_t>(10, int32_t(train.shape[0])); i++) shown.push_back(i);
    Augmentation how = images.augmentation;
    how.channels = {std::vector<real>(size_t(train.shape[3]), 0), std::vector<real>(size_t(train.shape[3]), 1)};
    std::vector<TileRow> rows = {{"image", gather_rows(train, shown).to_vector()}};
    for (int64_t epoch : {0, 1}) {
        rows.push_back({"epoch " + std::to_string(epoch + 1), augment(train, shown, how, seed, epoch).to_vector()});
    }
    const auto path = run.figure("examples.png");
    write_png(path, tile_grid(rows, int(train.shape[1]), int(train.shape[2]), int(train.shape[3]), 2));
    return path;
}

int main(int argc, char** argv) {
    Config config;
    return run_main(config, argc, argv, [&] {
        const std::vector<Plan> list = plans(config);
        const Images images = load(config, choose_device(config));
        RunInfo info = image_run_info(config, images.data);
        info.plan = (config.snapshots ? "one network after " : "networks of ") + config.models + " epochs";
        Run run(config, info);
        record_anchors(run, images.data, images.data.anchors);
        train_all(list, config, images, run);

        std::vector<Network> networks;
        for (const Plan& plan : list) {
            ConvNet model(images.form, Generator(plan.seed));
            load_checkpoint(run.checkpoint(plan.name + ".safetensors")).restore("model", model);
            model.to(images.device);
            networks.push_back({plan.n_epochs, plan.seed, evaluate(model, images), embed(model, plan.name, images)});
        }
        ConvNet untrained(images.form, Generator(uint64_t(config.seed) * 1000 + 999));
        untrained.to(images.device);
        report_similarity(run, images.data, images.data.anchors, networks, embed(untrained, "untrained", images),
                          uint64_t(config.seed), config.snapshots, draw_examples(run, images, list[0].seed));
    });
}
