// The programs on a GPU as a user calls them: the numbers of the CPU, runs that change devices, and what they say where
// there is no GPU. On generated data.
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/devices.h"
#include "tests/experiments_common.h"
#include "tests/nmse.h"
#include "tests/process.h"
#include "tests/scratch.h"

using namespace koine;
using namespace koine::testing;
namespace fs = std::filesystem;

namespace {

Outcome run_on(const std::string& device, const std::string& program, const Words& words, const std::string& out) {
    return run(program, words + Words{"--data-set", "synthetic", "--device", device, "--out", out, "--quiet"});
}

// All numbers in a JSON file, in its order, but for the time that it took.
void collect(const OrderedJson& json, std::vector<double>& numbers) {
    if (json.is_number()) numbers.push_back(json);
    for (const auto& [key, value] : json.items()) {
        if (json.is_structured() && key != "seconds") collect(value, numbers);
    }
}
std::vector<double> metrics_of(const std::string& folder) {
    std::vector<double> numbers;
    collect(OrderedJson::parse(content_of(folder + "/metrics.json")), numbers);
    return numbers;
}

const Words kFewDigits = {"--train-limit", "60", "--test-limit", "20", "--epochs", "1", "--batch-size", "20"};

}  // namespace

TEST_CASE("every experiment gives the CPU's numbers on a GPU", "[programs][cuda]") {
    NEED_GPU();
    const TemporaryFolder temporary;
    const std::pair<std::string, Words> runs[] = {
        {"ae_stitch", kFewDigits},
        {"ae_stitch", kFewDigits + Words{"--protocol", "paper", "--anchors", "20"}},
        {"vae_stitch", kFewDigits},
        {"word_embeddings", {"--n-words", "300", "--seeds", "1"}},
        {"latent_similarity",
         {"--train-limit", "64", "--test-limit", "40", "--models", "1,1", "--anchors", "20", "--batch-size", "64"}},
        {"text_classification",
         {"--train-limit", "150", "--test-limit", "60", "--seeds", "1", "--epochs", "2", "--sweep", "20"}},
    };
    int i = 0;
    for (const auto& [program, words] : runs) {
        INFO(program << " " << i);
        const std::string cpu = "cpu" + std::to_string(i), cuda = "cuda" + std::to_string(i);
        i++;
        const Outcome here = run_on("cpu", program, words, cpu), there = run_on("cuda", program, words, cuda);
        INFO(here.err << there.err);
        REQUIRE(here.code == 0);
        REQUIRE(there.code == 0);
        const std::vector<double> expected = metrics_of(cpu), got = metrics_of(cuda);
        REQUIRE(got.size() == expected.size());
        REQUIRE(expected.size() > 5);
        CHECK(nmse(expected, got) <= 1e-7);
        const OrderedJson where = OrderedJson::parse(content_of(cuda + "/env.json"));
        CHECK(where["device"] == "cuda");
        CHECK(mentions(cuda_report().text, where["gpu"]));
    }
}

TEST_CASE("stitch, invariance and embed give the CPU's numbers on a GPU", "[programs][cuda]") {
    NEED_GPU();
    const TemporaryFolder temporary;
    REQUIRE(run_on("cuda", "ae_stitch", kFewDigits, "trained").code == 0);
    const std::string a = "trained/ckpt/relative-0.safetensors", b = "trained/ckpt/relative-1.safetensors",
                      bert = std::string(KOINE_SOURCE_DIR) + "/tests/golden/pretrained/bert";
    std::ofstream("texts.txt") << "the cat\na dog, the cats!\n";
    std::vector<std::vector<double>> numbers;
    for (const std::string device : {"cpu", "cuda"}) {
        const Words common = {"--device", device, "--quiet"};
        const std::string stitched = "stitched-" + device, invariance = "invariance-" + device;
        REQUIRE(run("stitch", common + Words{"--a", a, "--b", b, "--test-limit", "20", "--out", stitched}).code == 0);
        REQUIRE(run("invariance", common + Words{"--checkpoint", a, "--test-limit", "20", "--out", invariance}).code ==
                0);
        const Outcome vectors =
            run("embed", common + Words{"--model", bert, "--no-cache", "--format", "tsv"}, "texts.txt");
        INFO(vectors.err);
        REQUIRE(vectors.code == 0);
        std::vector<double> all = metrics_of(stitched);
        for (double v : metrics_of(invariance)) all.push_back(v);
        std::istringstream words(vectors.out);
        for (std::string word; words >> word;) {
            char* end = nullptr;
            const double v = std::strtod(word.c_str(), &end);
            if (end != word.c_str() && *end == 0) all.push_back(v);
        }
        numbers.push_back(all);
    }
    REQUIRE(numbers[0].size() > 60);
    REQUIRE(numbers[0].size() == numbers[1].size());
    CHECK(nmse(numbers[0], numbers[1]) <= 1e-7);
}

TEST_CASE("a run goes on on another device", "[programs][cuda]") {
    NEED_GPU();
    const TemporaryFolder temporary;
    const Words words = {"--train-limit", "80", "--test-limit", "20", "--epochs", "2", "--batch-size", "20"};
    const Process process("ae_stitch", words + Words{"--data-set", "synthetic", "--device", "cuda", "--out", "run"});
    while (!fs::exists("run/ckpt/absolute-0.safetensors")) usleep(10000);
    process.interrupt();
    REQUIRE(process.wait().code == 130);
    const Outcome resumed = run("ae_stitch", {"--resume", "run", "--device", "cpu", "--quiet"});
    INFO(resumed.err);
    REQUIRE(resumed.code == 0);
    CHECK(OrderedJson::parse(content_of("run/env.json"))["device"] == "cpu");
    REQUIRE(run_on("cpu", "ae_stitch", words, "straight").code == 0);
    CHECK(nmse(metrics_of("straight"), metrics_of("run")) <= 1e-7);
}

TEST_CASE("what programs say without a GPU that they can use", "[programs][cuda]") {
    if (cuda_report().text.find("Fake GPU") == std::string::npos) SKIP_TEST("only a fake GPU can be taken away");
    const TemporaryFolder temporary;
    const std::pair<std::string, std::string> troubles[] = {
        {"no-driver", "no NVIDIA driver (this program needs one for CUDA 13.0)"},
        {"old-driver", "the NVIDIA driver is for CUDA 12.2, this program for CUDA 13.0: update the driver"},
        {"no-device", "no GPU, or CUDA_VISIBLE_DEVICES hides it"},
        {"no-kernel-image", "Fake GPU is sm_50, and this program has no kernels for it"},
    };
    for (const auto& [trouble, text] : troubles) {
        INFO(trouble);
        const EnvironmentVariable variable("KOINE_FAKE_CUDA", trouble);
        const Outcome refused = run_on("cuda", "ae_stitch", kFewDigits, "refused");
        CHECK(refused.code == 4);
        CHECK(mentions(refused.err, "--device cuda: no usable GPU: " + text));
        CHECK_FALSE(fs::exists("refused"));
        const Outcome on_cpu = run("ae_stitch", kFewDigits + Words{"--data-set", "synthetic", "--out", trouble});
        CHECK(on_cpu.code == 0);
        CHECK(mentions(on_cpu.err + on_cpu.out, "device=cpu"));
        CHECK(mentions(on_cpu.err + on_cpu.out, "auto: "));
    }
}
