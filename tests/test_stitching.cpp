// What the image experiments share: anchors in files, training that stops and goes on, models stitched from files.
#include <nlohmann/json.hpp>

#include "experiments/common/image_data.h"
#include "experiments/common/run_main.h"
#include "experiments/common/stitching.h"
#include "experiments/common/table.h"
#include "experiments/common/training.h"
#include "tests/catch.h"
#include "tests/devices.h"
#include "tests/nmse.h"
#include "tests/experiments_common.h"
#include "tests/nn_samples.h"

using namespace koine;
using namespace koine::testing;
namespace fs = std::filesystem;

namespace {

struct ImageConfig : ToyConfig {
    ImageConfig() { data_set = "synthetic", train_limit = 40, test_limit = 20, quiet = true, out = "run"; }
};

const AutoEncoderForm kRelative{.n_anchors = 10}, kVae{.n_latent = 4};

// A run folder with the untrained models NAME-0 and NAME-1 in it.
struct Folder {
    ImageConfig config;
    ImageData data;
    Run run;
    Folder(const std::string& out, const AutoEncoderForm& form, int64_t seed = 0)
        : data(load(out, seed)), run(config, {}) {
        record_anchors(run, data, data.anchors);
        for (uint64_t i : {0, 1}) {
            AutoEncoder model(form, form.is_relative() ? data.anchors.images : Tensor(), Generator(i));
            Checkpoint c;
            c.metadata = checkpoint_metadata(form, data.anchors);
            c.add("model", model);
            save_checkpoint(file(i), c);
        }
    }
    ImageData load(const std::string& out, int64_t seed) {
        config.out = out, config.seed = seed;
        return load_image_data(config, "per-class", 10);
    }
    fs::path file(uint64_t i) const { return run.checkpoint("model-" + std::to_string(i) + ".safetensors"); }
};

}  // namespace

TEST_CASE("anchors.json: written, read, and known by a fingerprint", "[experiments][stitching]") {
    const TemporaryFolder temporary;
    const Folder a("a", kRelative), b("b", kRelative, 1);
    const Anchors read = read_anchors("a/anchors.json");
    CHECK(read.ids == a.data.anchors.ids);
    CHECK(read.data_set == "synthetic");
    CHECK(read.hash == a.data.hash);
    CHECK(read.strategy == "per-class");
    CHECK(read.fingerprint() == a.data.anchors.fingerprint());
    CHECK(read.fingerprint() != b.data.anchors.fingerprint());
    CHECK(OrderedJson::parse(content_of("a/anchors.json"))["fingerprint"] == read.fingerprint());

    CHECK_ERROR(read_anchors("nowhere.json"), DataError, "nowhere.json: there is no such file");
    const struct {
        const char* text;
        const char* message;
    } cases[] = {
        {"{\"ids\": [1", "is not JSON"},
        {"[1, 2]", "is an array, expected an object"},
        {"{}", "is no anchors.json of a run"},
        {R"({"data_set": 3, "hash": "x", "strategy": "uniform", "seed": 0, "ids": [1]})", "is no anchors.json"},
        {R"({"data_set": "mnist", "hash": "x", "strategy": "uniform", "seed": -1, "ids": [1]})", "found -1"},
        {R"({"data_set": "mnist", "hash": "x", "strategy": "uniform", "seed": 0, "ids": [1, "two"]})", "found \"two\""},
        {R"({"data_set": "mnist", "hash": "x", "strategy": "uniform", "seed": 0, "ids": [-1]})", "found -1"},
        {R"({"data_set": "mnist", "hash": "x", "strategy": "uniform", "seed": 0, "ids": [1e300]})", "found 1e+300"},
        {R"({"data_set": "mnist", "hash": "x", "strategy": "uniform", "seed": 0, "ids": [4294967296]})",
         "found 4294967296"},
        {R"({"data_set": "mnist", "hash": "x", "strategy": "uniform", "seed": 0, "ids": 7})", "is no anchors.json"},
        {R"({"data_set": "mnist", "hash": "x", "strategy": "uniform", "seed": 0, "ids": []})", "is empty"},
    };
    for (const auto& c : cases) {
        write_text("bad.json", c.text);
        CHECK_ERROR(read_anchors("bad.json"), DataError, c.message);
    }
}

TEST_CASE("a run is not resumed on other data", "[experiments][stitching]") {
    const TemporaryFolder temporary;
    const ImageData data = Folder("a", kRelative).data;
    const std::string before = content_of("a/anchors.json");
    ImageConfig config;
    config.out.clear(), config.resume = "a";
    const Run again(config, {});
    CHECK_NOTHROW(record_anchors(again, data, data.anchors));
    Anchors other = data.anchors;
    other.hash = "0123456789abcdef";
    CHECK_ERROR(record_anchors(again, data, other), DataError,
                "a/anchors.json: the run was begun with other anchors than its settings give here, so with other data");
    CHECK(content_of("a/anchors.json") == before);
}

TEST_CASE("what differs between two lists of anchors is said", "[experiments][stitching]") {
    const Anchors a{"mnist", "h", "uniform", 0, {1, 2, 3}, {}};
    Anchors b = a;
    b.strategy = "k-means", b.seed = 9;  // the same images, however they were found
    CHECK(difference(a, b).empty());
    CHECK(a.fingerprint() == b.fingerprint());
    b.ids = {1, 3, 2};
    CHECK(difference(a, b) == "\n  the same images in another order: at position 1 image 2 and image 3");
    CHECK(a.fingerprint() != b.fingerprint());
    b.ids = {1, 2, 4, 5};
    CHECK(difference(a, b) == "\n  number: 3 and 4\n  only in the first: 3\n  only in the second: 4, 5");
    b = a;
    b.data_set = "fashion-mnist", b.hash = "g";
    CHECK(difference(a, b) == "\n  data set: mnist and fashion-mnist\n  hash of the data: h and g");
    b = a;
    for (int32_t id = 10; id < 30; id++) b.ids.push_back(id);
    CHECK(mentions(difference(a, b), "only in the second: 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, ... (20)"));
}

TEST_CASE("a saved model is opened with the anchors of its run, and with no others", "[experiments][stitching]") {
    const TemporaryFolder temporary;
    const Folder a("a", kRelative), b("b", kRelative, 1);
    SavedModel model = open_model(a.file(0));
    CHECK(model.form == kRelative);
    const ImageSet data = load_data_of(model, a.config);
    CHECK(data.test.size() == 20);
    CHECK(is_same(model.anchors.images, a.data.anchors.images));
    // The checkpoint beside its anchors.json, moved away from the run.
    fs::create_directory("moved");
    fs::copy(a.file(0), "moved/m.safetensors");
    CHECK_ERROR(open_model("moved/m.safetensors"), DataError, "moved/anchors.json: there is no such file");
    fs::copy("a/anchors.json", "moved/anchors.json");
    CHECK(open_model("moved/m.safetensors").anchors.ids == model.anchors.ids);

    CHECK_ERROR(open_model(a.file(0), "b/anchors.json"), DataError,
                "was trained with other anchors: with 10 of fingerprint");
    std::string text = content_of("a/anchors.json");
    text.replace(text.find(a.data.hash), 16, "0123456789abcdef");
    write_text("a/anchors.json", text);
    CHECK_ERROR(open_model(a.file(0)), DataError, "was trained with other anchors");
    SavedModel other = model;
    other.anchors.ids[3] = 1 << 30;
    CHECK_ERROR(load_data_of(other, a.config), DataError, "image 1073741824 is not in the training split");
    other.anchors = model.anchors;
    other.anchors.hash = "0123456789abcdef";
    CHECK_ERROR(load_data_of(other, a.config), DataError,
                "were chosen from synthetic with hash 0123456789abcdef; what is here is");
}

TEST_CASE("stitch_models: every encoder with every decoder, from files alone", "[experiments][stitching]") {
    const TemporaryFolder temporary;
    const Folder folder("a", kRelative);
    const Tensor& anchors = folder.data.anchors.images;
    const Stitching s = stitch_models("relative", {folder.file(0), folder.file(1)}, {}, anchors, folder.data.test, 0);
    CHECK(s.names == std::vector<std::string>{"0", "1"});
    CHECK(s.mse_at_mean.empty());
    for (size_t i : {0, 1}) {
        for (size_t j : {0, 1}) {
            AutoEncoder model =
                load_stitched(load_checkpoint(folder.file(i)), load_checkpoint(folder.file(j)), anchors);
            const Tensor y = apply_in_batches(folder.data.test.images, [&](const Var& x) { return model(x); });
            CHECK(s.scores[i][j].mse == compare_images(y, folder.data.test.images).mse);
            CHECK(is_same(s.images[i][j], y));
        }
        CHECK(s.codes[i].shape == Shape{20, 10});
    }
    const double own = (s.scores[0][0].mse + s.scores[1][1].mse) / 2;
    CHECK(s.own().mean == Approx(own));
    CHECK(s.own().deviation == Approx(std::abs(s.scores[0][0].mse - s.scores[1][1].mse) / std::sqrt(2.0)));
    CHECK(s.stitched().mean == Approx((s.scores[0][1].mse + s.scores[1][0].mse) / 2));
}

TEST_CASE("a VAE is scored over draws and at the mean, the same each time", "[experiments][stitching]") {
    const TemporaryFolder temporary;
    const Folder folder("a", kVae);
    const auto stitch = [&](uint64_t seed) {
        return stitch_models("absolute", {folder.file(0), folder.file(1)}, {}, Tensor(), folder.data.test, seed);
    };
    const Stitching s = stitch(3), again = stitch(3), other = stitch(4);
    CHECK(s.scores[0][1].mse == again.scores[0][1].mse);
    CHECK(s.scores[0][1].mse != other.scores[0][1].mse);
    CHECK(s.mse_at_mean[0][1] == other.mse_at_mean[0][1]);
    CHECK(s.samples[0].shape == Shape{10, 28, 28, 1});

    AutoEncoder model = load_stitched(load_checkpoint(folder.file(0)), load_checkpoint(folder.file(0)), Tensor());
    model.is_at_mean = true;
    const NoGrad no_grad;
    Gaussian::Parameters q;
    const Tensor y = model.reconstruct(Var(folder.data.test.images), &q).value;
    CHECK(s.mse_at_mean[0][0] == Approx(compare_images(y, folder.data.test.images).mse).epsilon(1e-5));
    CHECK(s.kl[0] == Approx(double(kl_normal(q.mu, q.log_var).item())).epsilon(1e-5));
}

TEST_CASE("weights that are not finite are refused before they are used", "[experiments][stitching]") {
    const TemporaryFolder temporary;
    const Folder folder("a", kRelative);
    Checkpoint c = load_checkpoint(folder.file(1));
    c.tensors[3].tensor.data()[2] = std::numeric_limits<real>::quiet_NaN();
    save_checkpoint(folder.file(1), c, true);
    CHECK_ERROR(stitch_models("relative", {folder.file(0), folder.file(1)}, {}, folder.data.anchors.images,
                              folder.data.test, 0),
                DataError, c.tensors[3].name + " holds nan at position 2");
}

TEST_CASE("the paper's protocol validates on training images that it does not train on", "[experiments][stitching]") {
    ImageConfig config;
    config.protocol = "paper";
    const ImageData data = load_image_data(config, "per-class", 10);
    const ImageSet whole = load_images("synthetic", data_options(config));
    CHECK(data.train.size() == 36);
    CHECK(data.validation.size() == 4);
    CHECK(data.validation.ids == std::vector<int32_t>(whole.train.ids.end() - 4, whole.train.ids.end()));
    CHECK(is_same(data.validation.images, whole.train.images.slice(0, 36, 40)));
    for (int32_t id : data.anchors.ids) CHECK(id < 36);
    const Values errors = reconstruction_errors(data, [](const Var& x) { return x * real(0); });
    REQUIRE(errors.size() == 2);
    CHECK(errors[0].first == "validation_mse");
    CHECK(errors[1].first == "test_mse");
    ImageSplit split = whole.train;
    CHECK_ERROR(split_off(split, 40), ValueError, "40 of 40 images");
    CHECK_ERROR(split_off(split, 0), ValueError, "0 of 40 images");
}

// ---- training -----------------------------------------------------------------------------------------------------

namespace {

// Pulls one number towards 1, 2, 3, 4 in turn; an epoch has four batches.
struct ToyTraining {
    Run& run;
    Generator gen{1};
    Linear model{gen, 1, 1};
    Sgd sgd{model, {.lr = 0.1, .momentum = 0.9}};
    Training t;
    explicit ToyTraining(Run& run_) : run(run_), t(run, "toy", model, sgd, {"loss"}, {{"note", "n"}}) {}

    void step() {
        sgd.zero_grad();
        const Var loss = mse_loss(model(Var(Tensor::full({1, 1}, 1))), Var(Tensor::full({1, 1}, real(t.batch + 1))));
        backward(loss);
        sgd.step();
        t.count(3, [loss = loss.value] { return Measured{double(loss.item())}; });
    }
};

}  // namespace

TEST_CASE("Training: stopped anywhere, it goes on as if it had not been", "[experiments][training]") {
    const TemporaryFolder temporary;
    const auto open = [](const std::string& out, bool is_resumed) {
        ImageConfig config;
        (is_resumed ? config.resume : config.out) = out;
        if (is_resumed) config.out.clear();
        return Run(config, {});
    };
    {
        Run run = open("whole", false);
        ToyTraining whole(run);
        for (int i = 0; i < 12; i++) {
            whole.step();
            if (whole.t.batch == 4) whole.t.end_epoch({{"score", 1}});
        }
    }
    bool is_first = true;
    for (int i = 0; i < 12; i++) {  // a new process for every batch
        Run run = open("parts", !is_first);
        is_first = false;
        ToyTraining part(run);
        CHECK(part.t.epoch * 4 + part.t.batch == uint64_t(i));
        CHECK(part.t.n_seen(12) == i * 3);
        CHECK(part.t.is_at(i / 4, i % 4));
        part.step();
        if (part.t.batch == 4) {
            part.t.end_epoch({{"score", 1}});
        } else {
            CHECK_THROWS_AS(part.t.save_and_stop(), Interrupted);
        }
    }
    CHECK(content_of("parts/train.csv") == content_of("whole/train.csv"));
    CHECK(content_of("parts/ckpt/toy.safetensors") == content_of("whole/ckpt/toy.safetensors"));
    CHECK(load_checkpoint("whole/ckpt/toy.safetensors").text("note") == "n");
}

TEST_CASE("Training keeps the epoch with the lowest validation error", "[experiments][training]") {
    const TemporaryFolder temporary;
    ImageConfig config;
    Run run(config, {});
    ToyTraining toy(run);
    CHECK(toy.t.result() == run.checkpoint("toy.safetensors"));
    std::vector<uint32_t> states;
    for (const double score : {0.5, 0.2, 0.3, 0.2, 0.4}) {
        for (int i = 0; i < 4; i++) toy.step();
        const Values row = toy.t.end_epoch({{"validation_mse", score}, {"test_mse", 1 - score}});
        CHECK(row.size() == 3);
        CHECK(row[0].first == "loss");
        states.push_back(checksum(toy.model.state()));
    }
    CHECK(toy.t.result() == run.checkpoint("toy-best.safetensors"));
    const Checkpoint best = load_checkpoint(toy.t.result());
    CHECK(best.number("epoch") == 2);  // the first of two equal ones
    CHECK(best.text("note") == "n");
    CHECK(checksum(select(best.tensors, "model")) == states[1]);
    CHECK(states[1] != states[4]);
}

TEST_CASE("Training stops at a loss that is not finite, and keeps the last checkpoint", "[experiments][training]") {
    const TemporaryFolder temporary;
    ImageConfig config;
    Run run(config, {});
    ToyTraining toy(run);
    toy.step();
    toy.t.save();
    const std::string before = content_of(run.checkpoint("toy.safetensors"));
    const auto count = [&](double value) { toy.t.count(3, [value] { return Measured{value}; }); };
    CHECK_ERROR(count(std::nan("")), NonFiniteError, "toy: loss is nan at epoch 1, batch 2");
    CHECK_ERROR(count(INFINITY), NonFiniteError, "toy: loss is infinite at epoch 1, batch 2");

    // Where measuring is put off, it is found before anything is saved, and its batch is named all the same.
    toy.t.n_put_off = 32;
    count(1), count(std::nan("")), count(1);
    CHECK_ERROR(toy.t.save(), NonFiniteError, "toy: loss is nan at epoch 1, batch 3");
    CHECK(content_of(run.checkpoint("toy.safetensors")) == before);
}

TEST_CASE("Training measures in turn: at once, or when so many batches wait, or when somebody asks",
          "[experiments][training]") {
    const TemporaryFolder temporary;
    ImageConfig config;
    Run run(config, {});
    ToyTraining toy(run);
    std::vector<int> measured;
    int n = 0;
    const auto count = [&] {
        toy.t.count(2, [&measured, i = n] {
            measured.push_back(i);
            return Measured{double(i)};
        });
        n++;
    };
    CHECK(toy.t.n_put_off == 0);
    count();
    CHECK(measured.size() == 1);
    toy.t.n_put_off = 3;
    for (int i = 0; i < 3; i++) count();
    CHECK(measured.size() == 1);
    CHECK(toy.t.batch == 4);
    count();
    CHECK(measured == std::vector<int>{0, 1, 2, 3, 4});
    count();
    CHECK(toy.t.means()[0].second == 2.5);
    CHECK(measured.size() == 6);
    count();
    toy.t.save();
    CHECK(measured.size() == 7);
    count();
    CHECK(toy.t.end_epoch({})[0].second == 3.5);
    CHECK(measured == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7});

    // What is left behind does not depend on when it was measured.
    std::string files[2];
    for (size_t put_off : {0, 1}) {
        config.out = "put-off-" + std::to_string(put_off);
        Run same(config, {});
        ToyTraining t(same);
        t.t.n_put_off = 5 * put_off;
        for (int i = 0; i < 12; i++) t.step();
        t.t.end_epoch({{"score", 1}});
        for (const auto& file : {same.folder() / "train.csv", same.checkpoint("toy.safetensors")})
            files[put_off] += content_of(file);
    }
    CHECK((files[0] == files[1] && !files[0].empty()));
}

TEST_CASE("Training on a GPU: a step does not wait, and a run goes on where there is none",
          "[experiments][training][cuda]") {
    NEED_GPU();
    const TemporaryFolder temporary;
    ImageConfig config;
    const auto train = [&](const std::string& out, std::vector<Device> devices) {
        for (size_t i = 0; i < devices.size(); i++) {  // an epoch on each
            const Device device = devices[i];
            config.out = i == 0 ? out : "", config.resume = i == 0 ? "" : out;
            Run run(config, {});
            Generator gen(1);
            AutoEncoder model(kRelative, load_image_data(config, "per-class", 10).anchors.images, gen);
            model.to(device);
            Sgd sgd(model, {.lr = 0.1});  // not Adam, which makes steps of any rounding
            Training t(run, "toy", model, sgd, {"loss"}, {});
            CHECK(t.n_put_off == (device == Device::cuda ? 32 : 0));
            const Var x(load_image_data(config, "per-class", 10).train.images.to(device));
            const int64_t n_waits = cuda_waits();
            for (int step = 0; step < 3; step++) {
                sgd.zero_grad();
                const Var loss = mse_loss(model(x), x);
                backward(loss);
                sgd.step();
                t.count(40, [loss = loss.value] { return Measured{double(loss.item())}; });
            }
            CHECK(cuda_waits() == n_waits);
            t.end_epoch({});
        }
        return load_checkpoint(out + "/ckpt/toy.safetensors");
    };
    const Checkpoint here = train("here", {Device::cpu, Device::cpu}),
                     there = train("there", {Device::cuda, Device::cpu});
    for (size_t i = 0; i < here.tensors.size(); i++) {
        INFO(here.tensors[i].name);
        if (here.tensors[i].name.starts_with("model."))
            CHECK(nmse(here.tensors[i].tensor, there.tensors[i].tensor) < 1e-7);
    }
}

TEST_CASE("stitch_models on a GPU gives what it gives on the CPU, on the host", "[experiments][stitching][cuda]") {
    NEED_GPU();
    const TemporaryFolder temporary;
    for (const AutoEncoderForm& form : {kRelative, kVae}) {
        INFO(form.str());
        const Folder folder(form.is_relative() ? "a" : "b", form);
        const auto stitch = [&](Device device) {
            return stitch_models("x", {folder.file(0), folder.file(1)}, {},
                                 form.is_relative() ? folder.data.anchors.images : Tensor(), folder.data.test, 0,
                                 device);
        };
        const Stitching here = stitch(Device::cpu), there = stitch(Device::cuda);
        CHECK(there.images[0][1].device() == Device::cpu);
        CHECK(nmse(here.images[0][1], there.images[0][1]) < 1e-9);
        CHECK(nmse(here.codes[1], there.codes[1]) < 1e-9);
        CHECK(there.scores[1][0].mse == Approx(here.scores[1][0].mse).epsilon(1e-4));
        if (!form.is_variational()) continue;
        CHECK(nmse(here.samples[0], there.samples[0]) < 1e-9);
        CHECK(there.kl[1] == Approx(here.kl[1]).epsilon(1e-4));
    }
}

TEST_CASE("shaded cells: a background on a terminal with colour and in HTML, none elsewhere", "[experiments]") {
    Table table("t", {"a", "b"});
    std::vector<Cell> row = {0.5, 0.25};
    row[1].shade = 1;
    table.add(row);
    CHECK(table.text().find('\033') == std::string::npos);
    CHECK(mentions(table.text(true), "0.5000  \033[48;5;23m\033[38;5;231m0.2500\033[0m"));
    CHECK(mentions(table.html(),
                   "<td class=\"number\" style=\"background:#123a6b;color:#ffffff;padding-right:.6rem\">0.2500</td>"));
    CHECK(mentions(table.html(), "<td class=\"number\">0.5000</td>"));
}
