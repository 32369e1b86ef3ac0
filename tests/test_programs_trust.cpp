// What a run promises when things go wrong: it is killed, a number is not finite, the disk is full, somebody else works
// in its folder. And that results depend on nothing that they should not depend on.
#include <sys/resource.h>
#include <sys/stat.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "experiments/common/run.h"
#include "nn/checkpoint.h"
#include "tests/catch.h"
#include "tests/experiments_common.h"
#include "tests/process.h"

using namespace koine;
using namespace koine::testing;
namespace fs = std::filesystem;

namespace {

#if defined(__SANITIZE_ADDRESS__)
#define SKIP_UNDER_SANITIZERS() \
    SKIP_TEST("it takes minutes under sanitizers, which have looked at these programs by now")
#else
#define SKIP_UNDER_SANITIZERS() static_cast<void>(0)
#endif
constexpr bool is_float = sizeof(real) == 4;  // the other build repeats a part of the two long tests

/// A learning rate after whose first step no number is finite.
const std::string kHugeRate = sizeof(real) == 8 ? "1e200" : "1e30";

/// The five experiments, each so small that it takes a second.
const std::map<std::string, Words>& experiments() {
    const Words digits = {"--data-set", "synthetic", "--train-limit", "60", "--test-limit", "20", "--batch-size", "20"};
    static const std::map<std::string, Words> all = {
        {"ae_stitch", digits + Words{"--epochs", "3"}},
        {"vae_stitch", digits + Words{"--epochs", "2", "--protocol", "paper", "--anchors", "10"}},
        {"latent_similarity", digits + Words{"--models", "1,2", "--anchors", "15"}},
        {"word_embeddings", {"--data-set", "synthetic", "--n-words", "200", "--seeds", "2", "--anchors", "50"}},
        {"text_classification",
         {"--data-set", "synthetic", "--train-limit", "120", "--test-limit", "60", "--seeds", "2", "--epochs", "2",
          "--sweep", "20"}},
    };
    return all;
}

/// What a run has left behind that must be the same in every run: file by file, but for what tells of this very run
/// (settings, environment, the report that has both) and the times in metrics.json.
std::map<std::string, std::string> results_in(const fs::path& folder) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
        const std::string name = fs::relative(entry.path(), folder).string();
        if (!entry.is_regular_file() || name == "config.json" || name == "env.json" || name == "report.html") continue;
        if (name.find(".tmp") != std::string::npos) continue;  // a killed process leaves them; nobody reads them
        files[name] = content_of(entry.path());
    }
    OrderedJson metrics = OrderedJson::parse(files.at("metrics.json"));
    metrics.erase("seconds");
    files["metrics.json"] = metrics.dump();
    return files;
}

/// Waits for a file; false when it does not come within a minute.
bool appears(const fs::path& path) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (!fs::exists(path)) {
        if (std::chrono::steady_clock::now() > limit) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
}

/// Says which files differ, and not how: they are large.
void check_same(const std::map<std::string, std::string>& a, const std::map<std::string, std::string>& b) {
    CHECK(a.size() == b.size());
    for (const auto& [name, content] : a) {
        INFO(name);
        const auto twin = b.find(name);
        if (twin == b.end()) {
            FAIL_CHECK("missing");
            continue;
        }
        CHECK((twin->second == content));
    }
}

}  // namespace

TEST_CASE("A26: the five experiments give the same bytes for any number of threads", "[programs][determinism][A26]") {
    SKIP_UNDER_SANITIZERS();
    const TemporaryFolder temporary;
    for (const auto& [program, words] : experiments()) {
        std::map<std::string, std::string> first;
        for (const char* threads : {"1", "2", "3", "7"}) {
            if (!is_float && (threads[0] == '2' || threads[0] == '7')) continue;
            INFO(program << " --threads " << threads);
            const std::string out = program + threads;
            const Outcome outcome = run(program, words + Words{"--threads", threads, "--out", out, "--quiet"});
            INFO(outcome.err);
            REQUIRE(outcome.code == 0);
            if (first.empty()) {
                first = results_in(out);
                CHECK(first.size() >= 2);
            } else {
                check_same(results_in(out), first);
            }
        }
    }
}

TEST_CASE("X1: runs that are killed again and again, at any moment, end in the same bytes", "[programs][X1][X4][A24]") {
    SKIP_UNDER_SANITIZERS();
    const TemporaryFolder temporary;
    std::mt19937 random(20261128);
    // As long as a whole run takes here, so that a kill may come at any moment of one, the first and the last among
    // them.
    for (const auto& [program, n_all] : {std::pair<std::string, int>("ae_stitch", 30),
                                         {"vae_stitch", 10},
                                         {"latent_similarity", 5},
                                         {"text_classification", 5}}) {
        const int n_kills = std::getenv("KOINE_KILLS") ? n_all : n_all / 5;  // `make kills` does all fifty
        const Words& words = experiments().at(program);
        const auto begun = std::chrono::steady_clock::now();
        REQUIRE(run(program, words + Words{"--out", program, "--quiet"}).code == 0);
        const std::chrono::duration<double> whole = std::chrono::steady_clock::now() - begun;
        const auto expected = results_in(program);
        int n_killed = 0, n_complete = 0, n_started = 0;
        std::uniform_real_distribution<double> moment(0, 1.1 * whole.count());
        while (n_killed < n_kills) {
            REQUIRE(++n_started < 20 * n_kills);
            const std::string out = program + "-" + std::to_string(n_complete);
            // Before there is a config.json nothing has begun.
            const bool is_begun = fs::exists(out + "/config.json");
            const Process process(
                program, is_begun ? Words{"--resume", out, "--quiet"} : words + Words{"--out", out, "--quiet"});
            std::this_thread::sleep_for(std::chrono::duration<double>(moment(random)));
            process.kill_at_once();
            const Outcome outcome = process.wait();
            INFO(program << " after " << n_killed << " kills: " << outcome.err);
            if (outcome.code == -SIGKILL) {
                n_killed++;
                continue;
            }
            REQUIRE(outcome.code == 0);
            check_same(results_in(out), expected);
            n_complete++;
        }
        const std::string out = program + "-" + std::to_string(n_complete);
        const bool is_begun = fs::exists(out + "/config.json");
        const Outcome outcome =
            run(program, is_begun ? Words{"--resume", out, "--quiet"} : words + Words{"--out", out, "--quiet"});
        INFO(program << " after its last kill: " << outcome.err);
        REQUIRE(outcome.code == 0);
        check_same(results_in(out), expected);
        UNSCOPED_INFO(program << ": " << n_killed << " kills in " << n_complete + 1 << " runs");
    }
}

TEST_CASE("A25: a loss that is not finite stops a run, which says where and in which op", "[programs][A25][X6]") {
    const TemporaryFolder temporary;
    const Words& words = experiments().at("ae_stitch");
    SECTION("in the first epoch: nothing is saved that is not finite") {
        const Outcome outcome = run("ae_stitch", words + Words{"--lr", kHugeRate, "--out", "run", "--quiet"});
        CHECK(outcome.code == 5);
        INFO(outcome.err);
        CHECK(mentions(outcome.err, "error: absolute-0: train_mse is "));
        CHECK(mentions(outcome.err, " at epoch 1, batch 2; the last good checkpoint is kept\n"));
        CHECK(mentions(outcome.err, "\n  the first op to fail: "));
        CHECK(mentions(outcome.err, " holds "));
        CHECK_FALSE(fs::exists("run/ckpt/absolute-0.safetensors"));
        CHECK_FALSE(fs::exists("run/metrics.json"));
    }
    SECTION("later: the checkpoint before it is kept as it was") {
        const Process process("ae_stitch", words + Words{"--epochs", "200", "--out", "run", "--quiet"});
        REQUIRE(appears("run/ckpt/absolute-0.safetensors"));
        process.interrupt();
        REQUIRE(process.wait().code == 130);
        const std::string path = "run/ckpt/absolute-0.safetensors";
        const double max = double(std::numeric_limits<real>::max());
        // Weights that are large, but finite: the first makes a convolution infinite, the second a variance behind it.
        for (const auto& [weight, answer] :
             {std::pair(0.9 * max, "\n  the first op to fail: conv2d: output "),
              {std::pow(max, 0.79), "\n  every op returned finite numbers: what came of them was too large\n"}}) {
            Checkpoint c = load_checkpoint(path);
            for (NamedTensor& t : c.tensors) {
                if (t.name == "model.encoder.0.weight") t.tensor.fill(real(weight));
            }
            save_checkpoint(path, c);
            const std::string before = content_of(path);
            const Outcome outcome = run("ae_stitch", {"--resume", "run", "--quiet"});
            INFO(outcome.err);
            CHECK(outcome.code == 5);
            CHECK(mentions(outcome.err, answer));
            CHECK((content_of(path) == before));
        }
    }
    SECTION("text_classification, whose classifiers train side by side") {
        const Outcome outcome = run("text_classification", experiments().at("text_classification") +
                                                               Words{"--lr", kHugeRate, "--out", "run", "--quiet"});
        INFO(outcome.err);
        CHECK(outcome.code == 5);
        CHECK(mentions(outcome.err, ": the loss is not finite at epoch 1, batch "));
        CHECK(mentions(outcome.err, "\n  the first op to fail: "));
    }
}

TEST_CASE("X3: a run folder has one process at a time", "[programs][X3]") {
    const TemporaryFolder temporary;
    const Words words = experiments().at("ae_stitch") + Words{"--epochs", "100000", "--out", "run"};
    const Process process("ae_stitch", words);
    REQUIRE(appears("run/ckpt/absolute-0.safetensors"));
    const std::string config = content_of("run/config.json");
    Outcome outcome = run("ae_stitch", {"--resume", "run"});
    CHECK(outcome.code == 2);
    CHECK(mentions(outcome.err, "run is in use by another process; wait for it, or choose another folder by --out"));
    outcome = run("ae_stitch", words);
    CHECK(outcome.code == 2);
    CHECK(mentions(outcome.err, "run holds a run already"));
    CHECK(content_of("run/config.json") == config);
    process.kill_at_once();
    CHECK(process.wait().code == -SIGKILL);
    { const FolderLock free_again("run"); }
    const FolderLock mine("run");
    CHECK_ERROR(FolderLock("run"), UsageError, "run is in use by another process");
    CHECK(run("ae_stitch", {"--resume", "run"}).code == 2);
}

TEST_CASE("X3: of many processes that begin a run in one folder, one does", "[programs][X3]") {
    const TemporaryFolder temporary;
    std::vector<Process> processes;
    processes.reserve(4);
    for (int i = 0; i < 4; i++)
        processes.emplace_back("ae_stitch", experiments().at("ae_stitch") + Words{"--out", "run", "--quiet"});
    int n_done = 0;
    for (const Process& process : processes) {
        const Outcome outcome = process.wait();
        n_done += outcome.code == 0;
        INFO(outcome.err);
        CHECK((outcome.code == 0 || outcome.code == 2));
    }
    CHECK(n_done == 1);
    CHECK(fs::exists("run/metrics.json"));
}

TEST_CASE("X1: a file that cannot grow stops a run, and --resume takes it up", "[programs][X1]") {
    const TemporaryFolder temporary;
    const Words& words = experiments().at("ae_stitch");
    REQUIRE(run("ae_stitch", words + Words{"--out", "whole", "--quiet"}).code == 0);
    rlimit old{};
    getrlimit(RLIMIT_FSIZE, &old);
    const rlimit small{100000, old.rlim_max};  // bytes: enough for everything but a checkpoint
    setrlimit(RLIMIT_FSIZE, &small);
    const Outcome outcome = run("ae_stitch", words + Words{"--out", "run", "--quiet"});
    setrlimit(RLIMIT_FSIZE, &old);
    INFO(outcome.err);
    CHECK(outcome.code == 3);
    CHECK(mentions(outcome.err, "run/ckpt/absolute-0.safetensors: cannot write: "));
    CHECK(fs::is_empty("run/ckpt"));
    REQUIRE(run("ae_stitch", {"--resume", "run", "--quiet"}).code == 0);
    check_same(results_in("run"), results_in("whole"));
}

TEST_CASE("X1: results that cannot be printed are no success", "[programs][X1]") {
    if (!fs::exists("/dev/full")) SKIP_TEST("no /dev/full");
    const TemporaryFolder temporary;
    const std::string line =
        "'" + (programs() / "ae_stitch").string() +
        "' --data-set synthetic --train-limit 20 --test-limit 20 --epochs 1 --out run --json --quiet";
    REQUIRE(std::system((line + " > /dev/full 2> said").c_str()) != 0);
    CHECK(mentions(content_of("said"), "stdout: cannot write: "));
    CHECK(mentions(content_of("said"), "the results are in run"));
    CHECK(fs::exists("run/metrics.json"));
}

TEST_CASE("X2: a folder that cannot be written to", "[programs][X2]") {
    const TemporaryFolder temporary;
    write_text("file", "");
    Outcome outcome = run("ae_stitch", experiments().at("ae_stitch") + Words{"--out", "file/run"});
    CHECK(outcome.code == 2);
    CHECK(mentions(outcome.err, "--out: cannot make the run folder file/run: "));
    // Root may write everywhere but here.
    outcome = run("ae_stitch", experiments().at("ae_stitch") + Words{"--out", "/proc/koine-run"});
    CHECK(outcome.code == 2);
    CHECK(mentions(outcome.err, "cannot make the run folder /proc/koine-run"));
    CHECK(mentions(run("ae_stitch", {"--resume", "file"}).err, "--resume: no run in file"));
    CHECK(mentions(run("ae_stitch", {"--resume", "nowhere"}).err, "--resume: no run in nowhere"));
}
