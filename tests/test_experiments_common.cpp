// The command line of the experiments: switches, their ranges, what is said about mistakes, and exit codes.
#include <omp.h>

#include <csignal>
#include <functional>
#include <new>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "experiments/common/flags.h"
#include "experiments/common/run_main.h"
#include "tests/catch.h"
#include "tests/experiments_common.h"

using namespace koine;
using namespace koine::testing;

namespace {

// The exit code of a toy experiment with this body, and what it says on stderr.
struct Outcome {
    int code;
    std::string said;
};

Outcome outcome_of(const std::vector<std::string>& words, const std::function<void()>& body) {
    ToyConfig config;
    std::vector<const char*> argv = {"toy"};
    for (const std::string& word : words) argv.push_back(word.c_str());
    Capture errors(2);
    const int code = run_main(config, static_cast<int>(argv.size()), argv.data(), body);
    return {code, errors.text()};
}

}  // namespace

TEST_CASE("switches are read, and what is not said keeps its default", "[experiments]") {
    ToyConfig config;
    REQUIRE(parse_words(config,
                        {"--lr", "0.5", "--batch-size=32", "--seed", "7", "--json", "--n-models", "4", "--data", "d"}));
    CHECK(config.lr == 0.5);
    CHECK(config.batch_size == 32);
    CHECK(config.seed == 7);
    CHECK(config.json);
    CHECK(config.n_models == 4);
    CHECK(config.data == "d");
    CHECK(config.epochs == 10);
    CHECK_FALSE(config.quiet);
    CHECK(config.device == "auto");
    CHECK(config.threads >= 1);
}

TEST_CASE("a preset changes defaults, and a switch overrules the preset wherever it stands", "[experiments]") {
    ToyConfig quick, full, paper, own;
    REQUIRE(parse_words(quick, {}));
    REQUIRE(parse_words(full, {"--full"}));
    REQUIRE(parse_words(paper, {"--protocol", "paper"}));
    REQUIRE(parse_words(own, {"--epochs", "3", "--full"}));
    CHECK(quick.epochs == 10);
    CHECK(full.epochs == 30);
    CHECK(paper.epochs == 20);
    CHECK(own.epochs == 3);
}

TEST_CASE("an unknown switch is an error that names the nearest one", "[experiments]") {
    ToyConfig config;
    CHECK_ERROR(parse_words(config, {"--epoch", "3"}), UsageError, "unknown switch --epoch; did you mean --epochs?");
    CHECK_ERROR(parse_words(config, {"--ofline"}), UsageError, "did you mean --offline?");
    CHECK_ERROR(parse_words(config, {"--batch_size=3"}), UsageError, "did you mean --batch-size?");
    CHECK_ERROR(parse_words(config, {"--n-model", "3"}), UsageError, "did you mean --n-models?");
    CHECK_ERROR(parse_words(config, {"--hlep"}), UsageError, "did you mean --help?");
    CHECK_ERROR(parse_words(config, {"--xylophone"}), UsageError, "unknown switch --xylophone (--help lists them all)");
    CHECK_ERROR(parse_words(config, {"mnist"}), UsageError, "unexpected argument 'mnist'");
    // This experiment has no use for --seeds.
    CHECK_ERROR(parse_words(config, {"--seeds", "3"}), UsageError, "did you mean --seed?");
}

TEST_CASE("values out of range say what was expected", "[experiments]") {
    const struct {
        std::vector<std::string> words;
        const char* message;
    } cases[] = {
        {{"--epochs", "0"}, "--epochs: expected a whole number >= 1, found '0'"},
        {{"--epochs", "-3"}, "found '-3'"},
        {{"--epochs", "2.5"}, "found '2.5'"},
        {{"--epochs", "3x"}, "found '3x'"},
        {{"--epochs", "99999999999999999999"}, "--epochs: expected a whole number"},
        {{"--epochs"}, "--epochs: expected a whole number >= 1, found nothing"},
        {{"--epochs", "--quiet"}, "--epochs: expected a whole number >= 1, found nothing"},
        {{"--batch-size", "0"}, "--batch-size: expected a whole number >= 1"},
        {{"--threads", "0"}, "--threads: expected a whole number >= 1"},
        {{"--threads", "1000000"}, "and <= 1024"},
        {{"--seed", "-1"}, "--seed: expected a whole number >= 0"},
        {{"--train-limit", "-1"}, "--train-limit: expected a whole number >= 0"},
        {{"--lr", "0"}, "--lr: expected a number > 0, found '0'"},
        {{"--lr", "nan"}, "--lr: expected a number > 0"},
        {{"--lr", "inf"}, "--lr: expected a number > 0"},
        {{"--lr=-0.1"}, "--lr: expected a number > 0"},
        {{"--n-models", "10"}, "--n-models: expected a whole number >= 2 and <= 9"},
        {{"--device", "gpu"}, "--device: expected one of auto|cpu|cuda, found 'gpu'"},
        {{"--protocol", "thesis"}, "--protocol: expected one of report|paper"},
        {{"--data-set", "cifar"}, "--data-set: expected one of mnist|synthetic"},
        {{"--out", ""}, "--out: expected some text, found nothing"},
        {{"--full=2"}, "--full: expected no value, found '2'"},
    };
    for (const auto& c : cases) {
        ToyConfig config;
        CHECK_ERROR(parse_words(config, c.words), UsageError, c.message);
    }
}

TEST_CASE("--help shows every switch with its default, and --version the version", "[experiments]") {
    ToyConfig config;
    Capture output(1);
    REQUIRE_FALSE(parse_words(config, {"--help"}));
    const std::string help = output.text();
    for (const Switch& s : config.switches()) CHECK(mentions(help, "--" + s.name + " "));
    CHECK(mentions(help, "toy: a toy"));
    CHECK(mentions(help, "passes over the training samples [10]"));
    CHECK(mentions(help, "learning rate [0.001]"));
    CHECK(mentions(help, "auto|cpu|cuda"));
    CHECK(mentions(help, "[auto]"));
    CHECK(help.find("--seeds") == std::string::npos);

    ToyConfig full;
    REQUIRE_FALSE(parse_words(full, {"--help", "--full"}));
    CHECK(mentions(output.text(), "passes over the training samples [30]"));
    REQUIRE_FALSE(parse_words(full, {"--version"}));
    CHECK(mentions(output.text(), std::string("koine ") + KOINE_VERSION));
}

TEST_CASE("KOINE_OFFLINE is --offline", "[experiments]") {
    for (const char* off : {static_cast<const char*>(nullptr), "", "0"}) {
        const EnvironmentVariable variable("KOINE_OFFLINE", off);
        CHECK_FALSE(ToyConfig().offline);
    }
    const EnvironmentVariable variable("KOINE_OFFLINE", "1");
    CHECK(ToyConfig().offline);
}

TEST_CASE("settings() holds every switch under its name", "[experiments]") {
    ToyConfig config;
    REQUIRE(parse_words(config, {"--lr", "0.25", "--full"}));
    const OrderedJson json = settings(config);
    CHECK(json["experiment"] == "toy");
    CHECK(json["version"] == KOINE_VERSION);
    CHECK(json["lr"] == 0.25);
    CHECK(json["full"] == true);
    CHECK(json["n-models"] == 2);
    CHECK_FALSE(json.contains("seeds"));
    CHECK(json.size() == config.switches().size() + 2);
}

TEST_CASE("--resume takes the settings of the run that it goes on with", "[experiments]") {
    const TemporaryFolder folder;
    std::filesystem::create_directories("runs/toy/latest");
    write_text(
        "runs/toy/latest/config.json",
        R"({"epochs": 5, "lr": 0.125, "full": true, "data-set": "synthetic", "threads": 77, "device": "cuda", "tf32": true})");

    ToyConfig latest;
    REQUIRE(parse_words(latest, {"--resume"}));
    CHECK(latest.resume == "runs/toy/latest");
    CHECK(latest.epochs == 5);
    CHECK(latest.lr == 0.125);
    CHECK(latest.full);
    CHECK(latest.data_set == "synthetic");
    CHECK(latest.threads != 77);     // changes no result, so it is not taken over
    CHECK(latest.device == "auto");  // nor is where it ran
    CHECK_FALSE(latest.tf32);

    ToyConfig named;
    REQUIRE(parse_words(named, {"--resume", "runs/toy/latest", "--epochs", "6", "--device", "cpu"}));
    CHECK(named.epochs == 6);
    CHECK(named.device == "cpu");

    ToyConfig config;
    CHECK_ERROR(parse_words(config, {"--resume", "nowhere"}), UsageError, "no run in nowhere");
    CHECK_ERROR(parse_words(config, {"--resume", "--out", "x"}), UsageError, "exclude each other");
    write_text("runs/toy/latest/config.json", R"({"epochs": "many"})");
    CHECK_ERROR(parse_words(config, {"--resume"}), DataError, "config.json: --epochs: expected a whole number >= 1");
    write_text("runs/toy/latest/config.json", R"({"epochs": )");
    CHECK_ERROR(parse_words(config, {"--resume"}), DataError, "is not JSON");
    write_text("runs/toy/latest/config.json", "[1]");
    CHECK_ERROR(parse_words(config, {"--resume"}), DataError, "expected an object");
}

TEST_CASE("run_main turns every end into its exit code and one line", "[experiments]") {
    const auto thrower = [](auto error) { return [error] { throw error; }; };
    CHECK(outcome_of({}, [] {}).code == 0);
    CHECK(outcome_of({}, thrower(Error("x"))).code == 1);
    CHECK(outcome_of({}, thrower(std::runtime_error("x"))).code == 1);
    CHECK(outcome_of({}, thrower(std::bad_alloc())).code == 1);
    CHECK(outcome_of({}, thrower(7)).code == 1);
    CHECK(outcome_of({}, thrower(UsageError("x"))).code == 2);
    CHECK(outcome_of({"--epoch", "3"}, [] {}).code == 2);
    CHECK(outcome_of({}, thrower(DataError("MISSING", "file", "", "x"))).code == 3);
    CHECK(outcome_of({}, thrower(DeviceError("x"))).code == 4);
    CHECK(outcome_of({}, thrower(NonFiniteError("x"))).code == 5);
    CHECK(outcome_of({}, thrower(CheckError("x"))).code == 5);
    CHECK(outcome_of({}, thrower(Interrupted("runs/toy/1"))).code == 130);

    CHECK(outcome_of({}, thrower(Error("it broke"))).said == "toy: error: it broke\n");
    CHECK(outcome_of({}, thrower(std::bad_alloc())).said == "toy: error: out of memory\n");
    CHECK(mentions(outcome_of({}, thrower(Interrupted("runs/toy/1"))).said, "go on with --resume runs/toy/1"));
}

TEST_CASE("run_main runs nothing after --help, and hands the threads to OpenMP", "[experiments]") {
    bool has_run = false;
    const Capture output(1);
    CHECK(outcome_of({"--help"}, [&] { has_run = true; }).code == 0);
    CHECK_FALSE(has_run);
    int n_threads = 0;
    const int before = omp_get_max_threads();
    CHECK(outcome_of({"--threads", "3"}, [&] { n_threads = omp_get_max_threads(); }).code == 0);
    omp_set_num_threads(before);
    CHECK(n_threads == 3);
}

TEST_CASE("the first SIGINT only sets a flag", "[experiments]") {
    for (const int signal : {SIGINT, SIGTERM}) {
        bool before = true, after = false;
        const Outcome outcome = outcome_of({}, [&] {
            before = interrupted();
            std::raise(signal);
            after = interrupted();
            if (after) throw Interrupted("runs/toy/1");
        });
        std::signal(SIGINT, SIG_DFL);
        std::signal(SIGTERM, SIG_DFL);
        CHECK_FALSE(before);
        CHECK(after);
        CHECK(outcome.code == 130);
    }
}
