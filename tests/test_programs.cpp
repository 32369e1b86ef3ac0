// The programs themselves, as a user calls them: exit codes, what they say, what they leave behind, and that a run
// which was interrupted ends as if it had not been. On generated data; a few seconds each.
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "nn/checkpoint.h"
#include "tests/catch.h"
#include "experiments/common/text.h"
#include "tests/experiments_common.h"
#include "tests/process.h"

using namespace koine;
using namespace koine::testing;
namespace fs = std::filesystem;

namespace {

// The switches of a run on few generated digits, and more.
std::vector<std::string> small(const std::string& out, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words = {"--data-set", "synthetic", "--train-limit", "60", "--test-limit", "20",
                                      "--epochs",   "1",         "--batch-size",  "20", "--out",        out};
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

Outcome stitch(const std::string& a, const std::string& b, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words = {"--a", a, "--b", b, "--test-limit", "20", "--out", "stitched"};
    words.insert(words.end(), more.begin(), more.end());
    return run("stitch", words);
}

// Not with CHECK(a == b), which would print the bytes.
bool are_equal(const fs::path& a, const fs::path& b) { return content_of(a) == content_of(b); }

OrderedJson metrics_of(const std::string& folder) {
    OrderedJson metrics = OrderedJson::parse(content_of(folder + "/metrics.json"));
    metrics.erase("seconds");
    return metrics;
}

}  // namespace

TEST_CASE("both image experiments leave what their contract says", "[programs]") {
    const TemporaryFolder temporary;
    for (const std::string program : {"ae_stitch", "vae_stitch"}) {
        for (const std::string protocol : {"report", "paper"}) {
            INFO(program << " " << protocol);
            const std::string out = program + "-" + protocol;
            const Outcome outcome = run(program, small(out, {"--protocol", protocol, "--anchors", "20", "--quiet"}));
            INFO(outcome.err);
            REQUIRE(outcome.code == 0);
            CHECK(outcome.err.empty());
            CHECK(mentions(outcome.out, "Protocol " + protocol));
            const OrderedJson metrics = metrics_of(out);
            CHECK(metrics["dataset"]["train"] == (protocol == "paper" ? 54 : 60));
            CHECK(metrics["anchors"]["count"] == 20);
            for (const char* kind : {"absolute", "relative"}) {
                for (const char* score : {"mse", "psnr", "ssim"}) {
                    CHECK(metrics[kind][score].size() == 2);
                    CHECK(metrics[kind][score][1].size() == 2);
                }
                CHECK(metrics[kind].contains("mse_at_mean") == (program == "vae_stitch"));
                CHECK(metrics[kind].contains("kl") == (program == "vae_stitch"));
                for (const char* model : {"-0", "-1"}) {
                    CHECK(fs::exists(out + "/ckpt/" + kind + model + ".safetensors"));
                    CHECK(fs::exists(out + "/ckpt/" + kind + model + "-best.safetensors") == (protocol == "paper"));
                }
            }
            for (const char* file :
                 {"config.json", "env.json", "anchors.json", "train.csv", "report.html", "figures/reconstructions.png"})
                CHECK(fs::exists(out + "/" + file));
            CHECK(fs::exists(out + "/figures/samples.png") == (program == "vae_stitch"));
            const std::string columns = program == "ae_stitch" ? "train_mse" : "reconstruction,kl,train_mse";
            CHECK(content_of(out + "/train.csv")
                      .starts_with("model,epoch," + columns + (protocol == "paper" ? ",validation_mse" : "") +
                                   ",test_mse\n"));
        }
    }
}

TEST_CASE("N models: an N x N matrix, with the mean and deviation of what is off its diagonal", "[programs]") {
    const TemporaryFolder temporary;
    const Outcome outcome = run("ae_stitch", small("run", {"--n-models", "3", "--quiet"}));
    REQUIRE(outcome.code == 0);
    const OrderedJson mse = metrics_of("run")["relative"]["mse"], stitched = metrics_of("run")["relative"]["stitched"];
    REQUIRE(mse.size() == 3);
    double mean = 0, squares = 0;
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 3; j++) mean += i == j ? 0 : double(mse[i][j]) / 6;
    }
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 3; j++) squares += i == j ? 0 : std::pow(double(mse[i][j]) - mean, 2);
    }
    CHECK(double(stitched["mean"]) == Approx(mean));
    CHECK(double(stitched["deviation"]) == Approx(std::sqrt(squares / 5)));
    CHECK(mentions(outcome.out, "encoder  decoder 0  decoder 1  decoder 2"));
}

TEST_CASE("stitch: two checkpoints of one run give what the run gave", "[programs]") {
    const TemporaryFolder temporary;
    for (const std::string program : {"ae_stitch", "vae_stitch"}) {
        REQUIRE(run(program, small(program, {"--quiet"})).code == 0);
        const std::string ckpt = program + "/ckpt/relative-";
        const Outcome outcome = run("stitch", {"--a", ckpt + "0.safetensors", "--b", ckpt + "1.safetensors",
                                               "--test-limit", "20", "--out", "pair-" + program});
        INFO(outcome.err);
        REQUIRE(outcome.code == 0);
        CHECK(metrics_of("pair-" + program)["relative"] == metrics_of(program)["relative"]);
        CHECK(mentions(outcome.out, "A        B        stitched"));
        CHECK(fs::exists("pair-" + program + "/report.html"));
    }
}

TEST_CASE("stitch refuses what does not fit, says why, and leaves nothing", "[programs]") {
    const TemporaryFolder temporary;
    REQUIRE(run("ae_stitch", small("one", {"--quiet"})).code == 0);
    REQUIRE(run("ae_stitch", small("two", {"--quiet", "--seed", "1"})).code == 0);
    REQUIRE(run("vae_stitch", small("vae", {"--quiet"})).code == 0);
    const std::string good = "one/ckpt/relative-0.safetensors";

    Outcome outcome = stitch(good, "two/ckpt/relative-0.safetensors");
    CHECK(outcome.code == 3);
    CHECK(mentions(
        outcome.err,
        good + " and two/ckpt/relative-0.safetensors cannot be stitched: they were trained with different anchors"));
    CHECK(mentions(outcome.err, "\n  only in the first: "));
    CHECK(mentions(outcome.err, "\n  only in the second: "));

    outcome = stitch(good, "vae/ckpt/relative-0.safetensors");
    CHECK(outcome.code == 3);
    CHECK(mentions(outcome.err, "the first is of a relative auto-encoder (10 anchors), the second of a relative VAE"));

    outcome = stitch(good, "one/ckpt/relative-1.safetensors", {"--anchors-b", "two/anchors.json"});
    CHECK(outcome.code == 3);
    CHECK(mentions(outcome.err, "two/anchors.json: one/ckpt/relative-1.safetensors was trained with other anchors"));

    fs::copy("one/ckpt/relative-1.safetensors", "one/ckpt/cut.safetensors");
    fs::resize_file("one/ckpt/cut.safetensors", fs::file_size(good) / 2);
    outcome = stitch(good, "one/ckpt/cut.safetensors");
    CHECK(outcome.code == 3);
    CHECK(mentions(outcome.err, "one/ckpt/cut.safetensors: "));
    CHECK(mentions(outcome.err, "reach beyond the file"));

    Checkpoint other = load_checkpoint(good);
    for (NamedTensor& t : other.tensors) {
        if (t.name == "model.encoder.0.weight") t.name = "model.encoder.conv1.weight";
    }
    save_checkpoint("one/ckpt/other.safetensors", other);
    outcome = stitch("one/ckpt/other.safetensors", good);
    CHECK(outcome.code == 3);
    CHECK(mentions(outcome.err, "missing (1): encoder.0.weight (nearest: encoder.conv1.weight)"));
    CHECK(mentions(outcome.err, "unexpected (1): encoder.conv1.weight"));
    fs::remove_all("stitched");  // of the one that was found out while it was evaluated

    CHECK(stitch(good, "nowhere.safetensors").code == 3);
    CHECK(stitch(good, "one/config.json").code == 3);
    CHECK(run("stitch", {}).code == 2);
    CHECK(run("stitch", {"--a", good, "--b", good, "--epochs", "3"}).code == 2);
    CHECK_FALSE(fs::exists("stitched"));
}

TEST_CASE("a VAE run that is interrupted and resumed ends in the same bytes", "[programs]") {
    const TemporaryFolder temporary;
    const std::vector<std::string> words = {"--epochs",   "3",     "--train-limit", "120",
                                            "--protocol", "paper", "--anchors",     "10"};
    REQUIRE(run("vae_stitch", small("whole", words)).code == 0);
    const Process process("vae_stitch", small("parts", words));
    while (!fs::exists("parts/train.csv")) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    process.interrupt();
    const Outcome stopped = process.wait();
    INFO(stopped.err);
    if (stopped.code == 0) SKIP_TEST("the run was over before the signal arrived");
    REQUIRE(stopped.code == 130);
    CHECK(mentions(stopped.err, "go on with --resume parts"));
    CHECK_FALSE(fs::exists("parts/metrics.json"));
    REQUIRE(run("vae_stitch", {"--resume", "parts"}).code == 0);
    CHECK(metrics_of("parts") == metrics_of("whole"));
    CHECK(content_of("parts/train.csv") == content_of("whole/train.csv"));
    for (const auto& entry : fs::directory_iterator("whole/ckpt")) {
        INFO(entry.path());
        CHECK(are_equal("parts/ckpt" / entry.path().filename(), entry.path()));
    }
}

TEST_CASE("a VAE that was saved ahead of its twin waits for it", "[programs]") {
    const TemporaryFolder temporary;
    REQUIRE(run("vae_stitch", small("one", {"--quiet"})).code == 0);
    REQUIRE(run("vae_stitch", small("two", {"--quiet", "--epochs", "2"})).code == 0);
    // As if two's process had been killed between its two files: one model has two epochs behind it, the other one.
    fs::copy("two", "mixed", fs::copy_options::recursive);
    fs::copy_file("one/ckpt/absolute-1.safetensors", "mixed/ckpt/absolute-1.safetensors",
                  fs::copy_options::overwrite_existing);
    fs::remove("mixed/metrics.json");
    REQUIRE(run("vae_stitch", {"--resume", "mixed", "--quiet"}).code == 0);
    CHECK(metrics_of("mixed") == metrics_of("two"));
    CHECK(are_equal("mixed/ckpt/absolute-1.safetensors", "two/ckpt/absolute-1.safetensors"));
}

namespace {

// The switches of latent_similarity on few generated digits, and more.
std::vector<std::string> similarity_words(const std::string& out, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words = {"--data-set",   "synthetic", "--train-limit", "60", "--test-limit", "20",
                                      "--batch-size", "20",        "--anchors",     "15", "--out",        out};
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

}  // namespace

TEST_CASE("latent_similarity leaves what its contract says", "[programs][similarity]") {
    const TemporaryFolder temporary;
    const Outcome outcome = run("latent_similarity", similarity_words("run", {"--models", "1,2,2", "--quiet"}));
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    CHECK(outcome.err.empty());
    const OrderedJson metrics = metrics_of("run");
    REQUIRE(metrics["models"].size() == 3);
    CHECK(metrics["models"][0]["epochs"] == 1);
    CHECK(metrics["models"][2]["name"] == "2-epochs-2");
    CHECK(metrics["models"][2]["seed"] == 2);
    CHECK(metrics["snapshots"] == false);
    for (const char* key : {"absolute", "relative", "relative_centered", "cka"}) {
        for (const char* part : {"similarity", "null"}) {
            REQUIRE(metrics[part][key].size() == 3);
            CHECK(metrics[part][key][2].size() == 3);
        }
        CHECK(metrics["null_untrained"][key].size() == 3);
        CHECK(double(metrics["similarity"][key][1][1]) == Approx(1).epsilon(1e-5));
        CHECK(metrics["similarity"][key][0][1] == metrics["similarity"][key][1][0]);
        CHECK(double(metrics["null"][key][1][1]) < 1);
    }
    CHECK(metrics["correlation"]["n"] == 2);
    CHECK(content_of("run/train.csv")
              .starts_with("model,epoch,train_loss,train_top1,train_top5,test_loss,test_top1,test_top5\n1-epochs,1,"));
    for (const char* file : {"ckpt/1-epochs.safetensors", "ckpt/2-epochs.safetensors", "ckpt/2-epochs-2.safetensors",
                             "anchors.json", "report.html", "figures/examples.png"})
        CHECK(fs::exists(std::string("run/") + file));

    // The table and the checkpoints say the same as the last epoch did.
    CHECK(mentions(content_of("run/train.csv"), "," + nine_digits(double(metrics["models"][0]["loss"])) + ","));
    CHECK(mentions(outcome.out, "Absolute: the mean cosine is "));
    CHECK(mentions(outcome.out, "n = 2: indicative only."));
}

TEST_CASE("latent_similarity: snapshots are states of one network, and said to be", "[programs][similarity]") {
    const TemporaryFolder temporary;
    const Outcome outcome =
        run("latent_similarity", similarity_words("run", {"--models", "3,1", "--snapshots", "--quiet"}));
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    CHECK(mentions(outcome.out, "A short cut (--snapshots)"));
    const OrderedJson models = metrics_of("run")["models"];
    // The rows of the one network that was trained, in the order of --models.
    const std::string log = content_of("run/train.csv");
    for (const auto& [model, epoch] : {std::pair(0, "3"), std::pair(1, "1")}) {
        const size_t row = log.find(std::string("all-epochs,") + epoch + ",");
        REQUIRE(row != std::string::npos);
        CHECK(mentions(log.substr(row, log.find('\n', row) - row),
                       "," + nine_digits(double(models[size_t(model)]["loss"])) + ","));
    }
}

TEST_CASE("latent_similarity, killed at any moment and resumed, ends in the same bytes", "[programs][similarity]") {
    const TemporaryFolder temporary;
    const std::vector<std::string> words = {"--models", "1,2,4,1"};
    REQUIRE(run("latent_similarity", similarity_words("whole", words)).code == 0);
    const Process process("latent_similarity", similarity_words("parts", words));
    // In the middle of the third network.
    const auto is_there = [] { return mentions(content_of("parts/train.csv"), "\n4-epochs,2,"); };
    const auto limit = std::chrono::steady_clock::now() + std::chrono::minutes(2);
    while (!is_there() && std::chrono::steady_clock::now() < limit)
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    process.kill_at_once();
    const Outcome killed = process.wait();
    if (killed.code == 0) SKIP_TEST("the run was over before it could be killed");
    REQUIRE(killed.code == -SIGKILL);
    REQUIRE_FALSE(fs::exists("parts/metrics.json"));
    REQUIRE_FALSE(fs::exists("parts/ckpt/1-epochs-2.safetensors"));
    const Outcome resumed = run("latent_similarity", {"--resume", "parts"});
    INFO(resumed.err);
    REQUIRE(resumed.code == 0);
    CHECK_FALSE(mentions(resumed.err, "\n2-epochs"));  // what was done is not done again
    CHECK(metrics_of("parts") == metrics_of("whole"));
    CHECK(are_equal("parts/train.csv", "whole/train.csv"));
    CHECK(are_equal("parts/anchors.json", "whole/anchors.json"));
    for (const auto& entry : fs::directory_iterator("whole/ckpt")) {
        INFO(entry.path());
        CHECK(are_equal("parts/ckpt" / entry.path().filename(), entry.path()));
    }
}

TEST_CASE("latent_similarity refuses what makes no sense before it trains", "[programs][similarity]") {
    const TemporaryFolder temporary;
    for (const std::vector<std::string>& words : {std::vector<std::string>{"--models", "3"},
                                                  {"--models", "3,x"},
                                                  {"--models", "3,0"},
                                                  {"--models", "1,2,1", "--snapshots"},
                                                  {"--test-limit", "10"},
                                                  {"--epochs", "3"},
                                                  {"--anchor-strategy", "per-class", "--anchors", "11"}}) {
        INFO(words[1]);
        const Outcome outcome = run("latent_similarity", similarity_words("run", words));
        CHECK(outcome.code == 2);
        CHECK(mentions(outcome.err, words[0]));
    }
    CHECK_FALSE(fs::exists("run/ckpt"));
}

TEST_CASE("word_embeddings and words on made-up words", "[programs][words]") {
    const TemporaryFolder temporary;
    const Outcome outcome =
        run("word_embeddings", {"--data-set", "synthetic", "--n-words", "300", "--seeds", "2", "--anchors", "50",
                                "--anchor-strategy", "all", "--projection", "tsne", "--out", "run", "--quiet"});
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    const OrderedJson metrics = metrics_of("run");
    CHECK(metrics["anchors"] == 50);
    CHECK(metrics["k"] == 10);
    CHECK(double(metrics["absolute"]["a_to_b"]["mrr"]) < 0.1);
    CHECK(metrics["absolute"]["a_to_a"]["mrr"] == 1.0);
    for (const char* strategy : {"uniform", "top-frequency", "farthest-point", "k-means"}) {
        const OrderedJson& scores = metrics["strategies"][strategy];
        CHECK(double(scores["relative"]["a_to_b"]["mrr"]) > 0.9);
        CHECK(double(scores["relative_centered"]["b_to_a"]["mrr"]) > 0.9);
        CHECK(scores["relative"]["b_to_b"]["jaccard"] == 1.0);
        CHECK(scores["relative"]["b_to_b"]["jaccard_deviation"] == 0.0);
    }
    CHECK(mentions(outcome.out, "relative, centred, k-means"));
    CHECK(fs::exists("run/report.html"));

    const Outcome word = run("words", {"translate", "baba", "bobo", "--data-set", "synthetic", "--k", "3"});
    REQUIRE(word.code == 0);
    CHECK(mentions(word.out, "\nbaba  baba, "));
    CHECK(mentions(word.out, "\nbobo  bobo, "));
    CHECK(run("words", {"near", "baba", "--data-set", "synthetic"}).code == 0);
    for (const std::vector<std::string>& words : {std::vector<std::string>{},
                                                  {"near"},
                                                  {"nearby", "baba"},
                                                  {"near", "baba", "--a", "x.vec"},
                                                  {"near", "baba", "--epochs", "3"}}) {
        CHECK(run("words", words).code == 2);
    }
    CHECK(run("words", {"near", "baba", "--a", "x.vec", "--b", "y.vec"}).code == 3);
    CHECK(run("word_embeddings", {"baba"}).code == 2);
}
