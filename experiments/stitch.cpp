// Stitches two models of your own: any two checkpoints that ae_stitch or vae_stitch wrote, of different seeds, runs or
// machines, as long as they are of one form and were trained with the same anchors.
//
//   ./experiments/stitch --a runs/ae_stitch/latest/ckpt/relative-0.safetensors --b
//   other-run/ckpt/relative-0.safetensors
//
// Each checkpoint says which anchors its model was trained with; the anchors.json of its run says which images they
// are. Two models with different anchors do not speak one language: they are refused, with what differs. Nothing is
// trained here; a pair of 1000 test images takes seconds.
#include "experiments/common/run_main.h"
#include "experiments/common/stitching_report.h"

using namespace koine;

struct Config : Flags {
    std::string a, b, anchors_a, anchors_b;

    Config() {
        name = "stitch", about = "the encoder of one checkpoint with the decoder of another";
        unused = {"seeds", "data-set", "train-limit", "epochs", "batch-size",
                  "lr",    "protocol", "full",        "tf32",   "resume"};
    }
    void set_defaults() override { test_limit = 1000; }
    std::vector<Switch> switches() override {
        std::vector<Switch> list = Flags::switches();
        list.push_back({"a", &a, "a checkpoint of ae_stitch or vae_stitch", {}, {}, "FILE"});
        list.push_back({"b", &b, "another one", {}, {}, "FILE"});
        list.push_back({"anchors-a", &anchors_a, "A's anchors; else the anchors.json of its run", {}, {}, "FILE"});
        list.push_back({"anchors-b", &anchors_b, "B's anchors; else the anchors.json of its run", {}, {}, "FILE"});
        return list;
    }
};

/// Refuses two models that do not speak one language: of different forms, or with different anchors.
void require_same_language(const SavedModel& a, const SavedModel& b) {
    const AutoEncoderForm form = common_form(a.checkpoint, b.checkpoint);
    const std::string different = difference(a.anchors, b.anchors);
    if (!form.is_relative() || different.empty()) return;
    throw CheckpointError(
        a.checkpoint.source + " and " + b.checkpoint.source +
        " cannot be stitched: they were trained with different anchors, so their codes mean different "
        "things:" +
        different);
}

int main(int argc, char** argv) {
    Config config;
    return run_main(config, argc, argv, [&] {
        if (config.a.empty() || config.b.empty()) {
            throw UsageError(
                "--a and --b: expected two checkpoints, such as runs/ae_stitch/latest/ckpt/relative-0.safetensors");
        }
        const Device device = choose_device(config);
        SavedModel a = open_model(config.a, config.anchors_a);
        const SavedModel b = open_model(config.b, config.anchors_b);
        require_same_language(a, b);
        const ImageSet data = load_data_of(a, config);
        const Run run(config, image_run_info(config, data));
        record_anchors(run, data, a.anchors);
        const std::string kind = a.form.is_relative() ? "relative" : "absolute";
        const Tensor anchors = a.form.is_relative() ? a.anchors.images : Tensor();
        const Stitching pair =
            stitch_models(kind, {config.a, config.b}, {"A", "B"}, anchors, data.test, uint64_t(config.seed), device);
        report_stitching(run, config.about, "A: " + config.a + ". B: " + config.b + ". Each is " + a.form.str() + ".",
                         data, a.anchors, {pair}, {});
    });
}
