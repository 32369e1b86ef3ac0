// The run folder: where it is, what is in it, and that a resumed run cannot be told from an uninterrupted one.
#include <algorithm>
#include <cctype>
#include <cmath>
#include <nlohmann/json.hpp>

#include "experiments/common/run.h"
#include "experiments/common/train_log.h"
#include "tests/catch.h"
#include "tensor/cuda.h"
#include "tensor/gemm.h"
#include "tests/experiments_common.h"
#include "tests/process.h"

using namespace koine;
using namespace koine::testing;
namespace fs = std::filesystem;

namespace {

const RunInfo kInfo = {.data = "mnist", .n_train = 4500, .n_test = 500, .n_available = 60000};

// A run of the toy experiment with these switches, silent.
Run open_run(std::vector<std::string> words, const RunInfo& info = kInfo) {
    ToyConfig config;
    words.push_back("--quiet");
    REQUIRE(parse_words(config, words));
    return Run(config, info);
}

// A file that was not renamed into its place, nor removed.
bool has_temporaries(const fs::path& folder) {
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
        if (entry.path().filename().string()[0] == '.') return true;
    }
    return false;
}

}  // namespace

TEST_CASE("a run makes its folder below runs/NAME, and latest points to it", "[experiments]") {
    const TemporaryFolder temporary;
    const Run first = open_run({"--seed", "3"}), second = open_run({"--seed", "3"});
    std::string shape = first.folder().string();
    std::replace_if(
        shape.begin(), shape.end(), [](unsigned char c) { return std::isdigit(c) != 0; }, '9');
    CHECK(shape == "runs/toy/99999999-999999-s9");
    CHECK(first.folder() != second.folder());  // also when both begin within a second
    CHECK(fs::is_symlink("runs/toy/latest"));
    CHECK(fs::equivalent("runs/toy/latest", second.folder()));
    CHECK(fs::is_directory(second.folder() / "ckpt"));
    CHECK(second.checkpoint("a.safetensors") == second.folder() / "ckpt" / "a.safetensors");
    CHECK(second.figure("a.png") == second.folder() / "figures" / "a.png");
    CHECK_FALSE(second.is_resumed());
    CHECK_FALSE(has_temporaries("runs"));
}

TEST_CASE("--out names the folder, and is refused when it cannot be one", "[experiments]") {
    const TemporaryFolder temporary;
    CHECK(open_run({"--out", "a/b"}).folder() == "a/b");
    CHECK(fs::equivalent("runs/toy/latest", "a/b"));
    CHECK_ERROR(open_run({"--out", "a/b"}), UsageError, "a/b holds a run already; to go on with it: --resume a/b");
    write_text("file", "");
    CHECK_ERROR(open_run({"--out", "file/x"}), UsageError, "cannot make the run folder");
    CHECK_ERROR(open_run({"--out", "file"}), UsageError, "cannot make the run folder");
}

TEST_CASE("config.json and env.json say how and where", "[experiments][A27]") {
    const TemporaryFolder temporary;
    const Run run = open_run({"--lr", "0.5", "--threads", "1"});
    const OrderedJson config = OrderedJson::parse(content_of(run.folder() / "config.json"));
    CHECK(config["lr"] == 0.5);
    CHECK(config["n-models"] == 2);
    CHECK(config["device"] == "cpu");  // resolved: not "auto"
    CHECK(config["tf32"] == false);
    const OrderedJson env = OrderedJson::parse(content_of(run.folder() / "env.json"));
    for (const char* key : {"version", "compiler", "blas", "blas_kernel", "threads", "omp_wait_policy", "device"}) {
        CHECK(env.contains(key));
    }
    CHECK(env["tf32"] == false);
    const Run on_gpu = open_run({"--tf32"}, {.data = "mnist", .device = "cuda", .gpu = "GPU"});
    const OrderedJson there = OrderedJson::parse(content_of(on_gpu.folder() / "env.json"));
    CHECK(there["device"] == "cuda");
    CHECK(there["gpu"] == "GPU");
    CHECK(there["tf32"] == true);
    CHECK(env["threads"] == 1);
    CHECK(mentions(env["blas"].get<std::string>(), "OpenBLAS"));
}

TEST_CASE("the first lines name version, experiment, data, device, seed, protocol and preset", "[experiments]") {
    const TemporaryFolder temporary;
    ToyConfig config;
    REQUIRE(parse_words(config, {"--threads", "2", "--seed", "4"}));
    const std::string start =
        std::string("koine ") + KOINE_VERSION + "  toy  data=mnist(4500/500)  device=cpu (2 threads, OpenBLAS ";
    {
        const Capture errors(2);
        const Run run(config, kInfo);
        CHECK(errors.text().rfind(start, 0) == 0);
        CHECK(mentions(errors.text(), ")  seed=4  protocol=report\npreset quick: 4500 of 60000 images, 10 epochs\n"));
    }
    config.full = true;
    const RunInfo whole = {
        .data = "mnist", .n_train = 60000, .n_test = 10000, .n_available = 60000, .device = "cuda", .gpu = "GPU"};
    CHECK(mentions(first_lines(config, whole), "  device=cuda (GPU)  "));
    CHECK(mentions(first_lines(config, whole), "preset full: 60000 images, 10 epochs\n"));
    CHECK(mentions(first_lines(config, {.data = "a.vec"}), "  data=a.vec  "));
    CHECK(first_lines(config, {.data = "a.vec"}).find("preset") == std::string::npos);
    CHECK(mentions(first_lines(config, {.data = "a.vec", .why_cpu = "no GPU"}), "; auto: no GPU)  seed=4"));
}

TEST_CASE("--device: what it comes to, what is said of it, what is refused", "[experiments][cuda]") {
    ToyConfig config;
    config.device = "cpu";
    RunInfo info;
    CHECK(choose_device(config, info) == Device::cpu);
    CHECK(info.device == "cpu");
    CHECK(device_text(config, info).find("auto") == std::string::npos);
    config.tf32 = true;
    CHECK_ERROR(choose_device(config), UsageError,
                "--tf32: only a GPU rounds so, and this run is on the CPU (--device cpu)");

    const CudaReport report = cuda_report();
    if (!report.is_usable) {
        config.device = "auto";
        CHECK_ERROR(choose_device(config), UsageError, "this run is on the CPU (auto: ");
        config.tf32 = false;
        CHECK(choose_device(config, info) == Device::cpu);
        CHECK(device_text(config, info).ends_with("; auto: " + info.why_cpu + ")"));
        if (mentions(report.text, "without CUDA")) CHECK(info.why_cpu == "built without CUDA");
        config.device = "cuda";
        CHECK_ERROR(choose_device(config), DeviceError, "--device cuda: no usable GPU: " + report.text);
        return;
    }
    for (const char* device : {"auto", "cuda"}) {
        config.device = device;
        config.tf32 = sizeof(real) == sizeof(float);
        CHECK(choose_device(config, info) == Device::cuda);
        CHECK(uses_tf32() == config.tf32);
        CHECK(info.device == "cuda");
        CHECK(device_text(config, info) == "device=cuda (" + report.text + (config.tf32 ? "; TF32)" : ")"));
        config.tf32 = false;
        CHECK(choose_device(config) == Device::cuda);
        CHECK_FALSE(uses_tf32());
    }
    if (!mentions(report.text, "Fake GPU")) return;
    for (const auto& [state, brief] :
         {std::pair("no-driver", "no NVIDIA driver"),
          {"old-driver", "the NVIDIA driver is for CUDA 12.2, this program for CUDA 13.0"},
          {"no-device", "no GPU, or CUDA_VISIBLE_DEVICES hides it"},
          {"no-kernel-image", "Fake GPU is sm_50, and this program has no kernels for it"}}) {
        const EnvironmentVariable variable("KOINE_FAKE_CUDA", state);
        config.device = "auto";
        RunInfo without;
        CHECK(choose_device(config, without) == Device::cpu);
        CHECK(without.why_cpu == brief);
        config.device = "cuda";
        CHECK_ERROR(choose_device(config), DeviceError, std::string("--device cuda: no usable GPU: ") + brief);
    }
}

TEST_CASE("every program that can use a GPU says what is missing for one, before it does anything",
          "[experiments][programs][cuda]") {
    const TemporaryFolder temporary;
    // Without effect where there is none anyway.
    const EnvironmentVariable hidden("CUDA_VISIBLE_DEVICES", ""), no_fake("KOINE_FAKE_CUDA", "no-device");
    using Words = std::vector<std::string>;
    const std::pair<const char*, Words> programs[] = {{"ae_stitch", {"--data-set", "synthetic"}},
                                                      {"vae_stitch", {"--data-set", "synthetic"}},
                                                      {"latent_similarity", {"--data-set", "synthetic"}},
                                                      {"word_embeddings", {"--data-set", "synthetic"}},
                                                      {"text_classification", {"--data-set", "synthetic"}},
                                                      {"text_classification", {"--explain", "x"}},
                                                      {"stitch", {"--a", "a.safetensors", "--b", "b.safetensors"}},
                                                      {"invariance", {}},
                                                      {"embed", {"--model", "nowhere"}},
                                                      {"embed", {"--model", "nowhere", "--ids"}}};
    for (auto [program, words] : programs) {
        INFO(program);
        words.insert(words.end(), {"--device", "cuda"});
        const Outcome outcome = run(program, words);
        CHECK(outcome.code == 4);
        CHECK(outcome.err.starts_with(std::string(program) + ": error: --device cuda: no usable GPU: "));
        CHECK(outcome.out.empty());
    }
    for (const Words& words : {Words{"--tf32"}, {"--tf32", "--device", "cpu"}}) {
        const Outcome outcome = run("ae_stitch", words);
        CHECK(outcome.code == 2);
        CHECK(mentions(outcome.err, "--tf32: only a GPU rounds so"));
    }
    CHECK(run("text_classification", {"--tf32"}).code == 2);
    CHECK_FALSE(fs::exists("runs"));
}

TEST_CASE("train.csv has one header and a row per model and epoch", "[experiments]") {
    const TemporaryFolder temporary;
    TrainLog log("train.csv");
    log.add("a", 1, {{"loss", 0.5}, {"accuracy", 0.1f}});
    log.add("b", 1, {{"loss", 1e-10}, {"accuracy", std::nan("")}});
    CHECK(content_of("train.csv") == "model,epoch,loss,accuracy\na,1,0.5,0.100000001\nb,1,1e-10,nan\n");
    CHECK_ERROR(log.add("a", 2, {{"loss", 0.4}}), ValueError, "model,epoch,loss; want model,epoch,loss,accuracy");
    CHECK_ERROR(log.add("a,b", 2, {{"loss", 0.4}, {"accuracy", 0}}), ValueError, "'a,b' is not a name");
    CHECK_ERROR(log.add("", 2, {{"loss", 0.4}, {"accuracy", 0}}), ValueError, "is not a name");
    CHECK_ERROR(TrainLog("missing/train.csv").add("a", 1, {{"loss", 1}}), DataError, "cannot open");
}

TEST_CASE("a resumed train.csv is the uninterrupted one, byte for byte", "[experiments]") {
    const TemporaryFolder temporary;
    const auto add = [](TrainLog& log, const std::string& model, int64_t epoch) {
        log.add(model, epoch, {{"loss", 1.0 / static_cast<double>(epoch)}});
    };
    const auto add_both = [&](TrainLog& log, int64_t from, int64_t to) {  // two models in one loop
        for (int64_t epoch = from; epoch <= to; ++epoch) add(log, "a", epoch), add(log, "b", epoch);
    };
    TrainLog straight("straight.csv");
    add_both(straight, 1, 12);
    const std::string whole = content_of("straight.csv");

    // Killed after any row, or in the middle of one; the checkpoint is of any earlier epoch.
    for (size_t left = 0; left <= whole.size(); ++left) {
        for (const int64_t checkpoint : {0, 1, 5, 11}) {
            const size_t n_needed = checkpoint == 0 ? 0 : whole.find("a," + std::to_string(checkpoint + 1) + ",");
            if (left < n_needed) continue;  // the rows of an epoch come before its checkpoint
            write_text("resumed.csv", whole.substr(0, left));
            TrainLog resumed("resumed.csv");
            add_both(resumed, checkpoint + 1, 12);
            REQUIRE(content_of("resumed.csv") == whole);
        }
    }

    SECTION("one model after the other") {
        TrainLog in_turn("in_turn.csv");
        for (int64_t epoch = 1; epoch <= 3; ++epoch) add(in_turn, "a", epoch);
        for (int64_t epoch = 1; epoch <= 3; ++epoch) add(in_turn, "b", epoch);
        const std::string before = content_of("in_turn.csv");
        TrainLog again("in_turn.csv");
        add(again, "b", 2);
        CHECK(content_of("in_turn.csv") == before.substr(0, before.find("b,3")));
        add(again, "b", 3);
        CHECK(content_of("in_turn.csv") == before);
    }
    SECTION("a damaged file is refused") {
        write_text("bad.csv", "model,epoch,loss\na,one,0.5\n");
        CHECK_ERROR(TrainLog("bad.csv"), DataError, "line 2: expected model,epoch,loss");
        write_text("bad.csv", "model,epoch,loss\na,1,0.5\na,2\n");
        CHECK_ERROR(TrainLog("bad.csv"), DataError, "line 3");
    }
}

TEST_CASE("curves() gives a column of train.csv, the rows before an interruption included", "[experiments]") {
    const TemporaryFolder temporary;
    TrainLog("train.csv").add("a", 1, {{"loss", 0.5}, {"mse", 4}});
    TrainLog log("train.csv");
    log.add("b", 1, {{"loss", 0.7}, {"mse", 5}});
    log.add("a", 2, {{"loss", 0.25}, {"mse", 3}});
    const std::vector<Series> curves = log.curves("mse");
    REQUIRE(curves.size() == 2);
    CHECK(curves[0].name == "a");
    CHECK(curves[0].x == std::vector<double>{1, 2});
    CHECK(curves[0].y == std::vector<double>{4, 3});
    CHECK(curves[1].y == std::vector<double>{5});
    CHECK_ERROR(log.curves("psnr"), ValueError, "no column psnr; it has model,epoch,loss,mse");
}

TEST_CASE("--resume opens the folder again and refuses other settings by name", "[experiments]") {
    const TemporaryFolder temporary;
    const fs::path folder = open_run({"--seed", "3", "--epochs", "4", "--threads", "1"}).folder();
    const std::string config = content_of(folder / "config.json");
    open_run({});  // latest is now another one

    {
        const Run again = open_run({"--resume", folder.string(), "--threads", "2", "--json"});
        CHECK(again.is_resumed());
        CHECK(again.folder() == folder);
        CHECK_ERROR(open_run({"--resume", folder.string()}), UsageError, "is in use by another process");
    }
    CHECK(fs::equivalent("runs/toy/latest", folder));
    CHECK(content_of(folder / "config.json") == config);
    CHECK(open_run({"--resume"}).folder() == folder);
    CHECK(open_run({"--resume", "--seed", "3"}).folder() == folder);

    CHECK_ERROR(open_run({"--resume", "--epochs", "5", "--lr", "0.5"}), UsageError,
                "begun with other settings: epochs (4 there, 5 here), lr (0.001 there, 0.5 here)");
    CHECK_ERROR(open_run({"--resume", "--full"}), UsageError, "full (false there, true here)");
    CHECK(content_of(folder / "config.json") == config);

    OrderedJson older = OrderedJson::parse(config);
    older["version"] = "0.0.1";
    older.erase("n-models");
    write_text(folder / "config.json", older.dump());
    CHECK_ERROR(open_run({"--resume"}), UsageError, "version (0.0.1 there");
    CHECK_ERROR(open_run({"--resume"}), UsageError, "n-models (absent there, 2 here)");
}

TEST_CASE("a run resumed on another device, or with another BLAS kernel, says so", "[experiments]") {
    const TemporaryFolder temporary;
    const fs::path folder = open_run({}).folder();
    OrderedJson env = OrderedJson::parse(content_of(folder / "env.json"));
    {
        const Capture errors(2);
        open_run({"--resume", "--threads", "1"});
        CHECK(errors.text().empty());
    }
    {
        // Another device is such a difference, too.
        const Capture errors(2);
        const Run run = open_run({"--resume", "--tf32"}, {.data = "mnist", .device = "cuda", .gpu = "GPU"});
        CHECK(run.is_resumed());
        CHECK(errors.text() ==
              "note: resumed with another device: the last digits may differ\n"
              "note: resumed with another gpu: the last digits may differ\n"
              "note: resumed with another tf32: the last digits may differ\n");
        CHECK(OrderedJson::parse(content_of(folder / "env.json"))["device"] == "cuda");
    }
    env["blas_kernel"] = "Prescott";
    write_text(folder / "env.json", env.dump());
    const Capture errors(2);
    open_run({"--resume"});
    CHECK(errors.text() == "note: resumed with another blas_kernel: the last digits may differ\n");
}

TEST_CASE("finish() writes metrics and report, and prints the tables or the metrics", "[experiments]") {
    const TemporaryFolder temporary;
    // The name is not UTF-8: its last byte is replaced, nothing is thrown.
    const OrderedJson metrics = {{"relative", {{"mse", {0.5, 0.25}}}}, {"name", "caf\xe9"}};
    const Table table = Table("Errors", {"kind", "mse"}).add({"relative", 0.5});
    {
        const Run run = open_run({});
        const Capture output(1);
        run.finish(metrics, {table, table}, Report("toy", "a toy"));
        CHECK(output.text() == table.text() + "\n" + table.text());
        CHECK(OrderedJson::parse(content_of(run.folder() / "metrics.json"))["relative"]["mse"][1] == 0.25);
        const std::string html = content_of(run.folder() / "report.html");
        CHECK(mentions(html, "<dt>batch-size</dt><dd>128</dd>"));
        CHECK(mentions(html, "<dt>blas_kernel</dt>"));
    }
    const Run run = open_run({"--json"});
    const Capture output(1);
    run.finish(metrics, {table}, Report("toy", "a toy"));
    CHECK(output.text() == content_of(run.folder() / "metrics.json"));
    run.write_json("anchors.json", {{"ids", {1, 2}}});
    CHECK(OrderedJson::parse(content_of(run.folder() / "anchors.json"))["ids"][1] == 2);
    CHECK_FALSE(has_temporaries("runs"));
}
