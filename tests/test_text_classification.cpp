// The program text_classification, as a user calls it: on made-up texts, on a handful of real ones through a tiny BERT,
// and on what it must refuse.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>
#include <sstream>
#include <thread>

#include "data/model_folder.h"
#include "data/parallel_texts.h"
#include "experiments/common/text.h"
#include "nn/checkpoint.h"
#include "nn/evaluate.h"
#include "tests/catch.h"
#include "tests/golden/relative_ae.h"
#include "tests/process.h"
#include "tests/weights_samples.h"

using namespace koine;
using namespace koine::testing;
namespace fs = std::filesystem;

namespace {

const std::string kBert = std::string(KOINE_SOURCE_DIR) + "/tests/golden/pretrained/bert";
const Words kKinds = {"absolute", "relative", "relative_centered"};
const Words kDirections = {"en", "it_zero_shot", "it", "en_zero_shot"};

// A working directory of its own; no model and no text of this machine is seen from it.
struct Place {
    TemporaryFolder folder;
    EnvironmentVariable cache = {"XDG_CACHE_HOME", folder / "cache"}, data = {"KOINE_DATA", nullptr},
                        hub = {"HF_HUB_CACHE", nullptr}, home = {"HF_HOME", nullptr};
};

Outcome classify(const Words& words, const Words& more = {}) {
    Words all = {"--offline"};
    all.insert(all.end(), words.begin(), words.end());
    all.insert(all.end(), more.begin(), more.end());
    return run("text_classification", all);
}

// The switches of a run on few made-up texts; a later switch takes the place of an earlier one.
Words made_up(const std::string& out) {
    return {"--data-set", "synthetic", "--train-limit", "60",   "--test-limit", "30", "--epochs", "2",
            "--seeds",    "1",         "--sweep",       "none", "--anchors",    "30", "--out",    out};
}

OrderedJson json_of(const std::string& path) { return OrderedJson::parse(content_of(path)); }

int64_t n_lines(const std::string& text) { return std::count(text.begin(), text.end(), '\n'); }

Words files_in(const std::string& folder) {
    Words names;
    for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
}

// Everything that a run computes. Not with CHECK(a == b), which would print the bytes.
void check_same_results(const std::string& a, const std::string& b) {
    REQUIRE(files_in(a + "/ckpt") == files_in(b + "/ckpt"));
    Words names = {"metrics.json", "train.csv", "anchors.json"};
    for (const std::string& name : files_in(a + "/ckpt")) names.push_back("ckpt/" + name);
    for (const std::string& name : names) {
        INFO(name);
        REQUIRE(fs::exists(a + "/" + name));
        const bool is_equal = content_of(a + "/" + name) == content_of(b + "/" + name);
        CHECK(is_equal);
    }
}

// The numbers of one direction are those of its confusion matrices, one for each seed.
void check_scores(const OrderedJson& place, int64_t n_seeds, const std::vector<int64_t>& n_of_class) {
    REQUIRE(int64_t(place["confusion"].size()) == n_seeds);
    std::vector<double> accuracy, f1, mae;
    for (const auto& counts : place["confusion"]) {
        const Confusion c{3, counts.get<std::vector<int64_t>>()};
        REQUIRE(c.counts.size() == 9);
        for (int64_t k = 0; k < 3; k++) CHECK(c.n_of(k) == n_of_class[size_t(k)]);
        accuracy.push_back(double(c.counts[0] + c.counts[4] + c.counts[8]) /
                           double(std::accumulate(n_of_class.begin(), n_of_class.end(), int64_t{0})));
        f1.push_back(c.weighted_f1());
        mae.push_back(c.mean_absolute_error());
    }
    for (const auto& [name, values] : {std::pair("accuracy", accuracy), {"f1", f1}, {"mae", mae}}) {
        const double n = double(values.size()), mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
        double squares = 0;
        for (const double x : values) squares += (x - mean) * (x - mean);
        CHECK(double(place[name]) == Approx(mean).epsilon(1e-12));
        CHECK(double(place[std::string(name) + "_deviation"]) ==
              Approx(n > 1 ? std::sqrt(squares / (n - 1)) : 0).margin(1e-12));
    }
}

// ---- texts and encoders in files ----------------------------------------------------------------------------------

// train, valid and test of both languages in data/sentiment: nine, six and six texts, in words that the tiny BERT
// knows.
void write_texts(const std::string& label = "label") {
    const Words labels = {"negative", "neutral", "positive"}, english = {"a dog", "the", "the cats"},
                italian = {"o dogs", "e", "i cat"};
    for (const auto& [language, words] : {std::pair("english", english), {"italian", italian}}) {
        const std::string folder = std::string("data/sentiment/") + language;
        fs::create_directories(folder);
        for (const auto& [split, n] : {std::pair("train", 9), {"valid", 6}, {"test", 6}}) {
            std::string text = "text," + label + ",source\n";
            for (int i = 0; i < n; i++) {
                const std::string more(1, char('a' + i));
                text += "\"" + words[size_t(i % 3)] + ", " + more + "  " + split[0] + "\"," + labels[size_t(i % 3)] +
                        ",us\n";
            }
            write_text(folder + "/" + split + ".csv", text);
        }
    }
}

void write_anchors() {
    write_text("en.txt", "the cat\na dog\nthe dogs, a cat\nt o e\nget the dog\na cat, a dog\nthe toe\nsee a cat\n");
    write_text("it.txt", "i cat\ni dog\ne dogs, i cat\no o e\nset e dog\ni cat, i dog\ne toe\nsee i cat\n");
}

Words in_files(const std::string& out) {
    return {"--encoder-en", kBert,  "--encoder-it", kBert, "--anchors-en", "en.txt", "--anchors-it", "it.txt",
            "--data",       "data", "--epochs",     "2",   "--seeds",      "1",      "--sweep",      "4",
            "--batch-size", "4",    "--out",        out};
}

void copy_bert(const std::string& to, const Words& files = {"config.json", "pytorch_model.bin", "vocab.txt"}) {
    fs::create_directories(to);
    for (const std::string& name : files) fs::copy_file(kBert + "/" + name, to + "/" + name);
}

// Another encoder with the tiny BERT's vocabulary, of eight features.
void write_small_bert(const std::string& to) {
    constexpr int64_t kVocabulary = 43, kFeatures = 8, kHidden = 5;
    std::vector<SampleTensor> all;
    const auto add = [&](const std::string& name, const Shape& shape) {
        SampleTensor t{name, shape, {}};
        for (int64_t i = 0; i < shape.numel(); i++)
            t.values.push_back(float(formula(uint32_t(all.size()), uint32_t(i)) - 0.5));
        all.push_back(t);
    };
    const auto add_layer = [&](const std::string& name, const Shape& weight) {
        add(name + ".weight", weight);
        add(name + ".bias", {weight[0]});
    };
    add("embeddings.word_embeddings.weight", {kVocabulary, kFeatures});
    add("embeddings.position_embeddings.weight", {20, kFeatures});
    add("embeddings.token_type_embeddings.weight", {2, kFeatures});
    add_layer("embeddings.LayerNorm", {kFeatures});
    const std::string layer = "encoder.layer.0.";
    for (const char* name : {"self.query", "self.key", "self.value", "output.dense"})
        add_layer(layer + "attention." + name, {kFeatures, kFeatures});
    add_layer(layer + "attention.output.LayerNorm", {kFeatures});
    add_layer(layer + "intermediate.dense", {kHidden, kFeatures});
    add_layer(layer + "output.dense", {kFeatures, kHidden});
    add_layer(layer + "output.LayerNorm", {kFeatures});
    copy_bert(to, {"vocab.txt"});
    const Bytes weights = safetensors_file(all);
    write_text(to + "/model.safetensors", std::string(weights.begin(), weights.end()));
    write_text(to + "/config.json",
               R"({"model_type": "bert", "vocab_size": 43, "hidden_size": 8, "num_hidden_layers": 1,
                   "num_attention_heads": 2, "intermediate_size": 5, "max_position_embeddings": 20,
                   "type_vocab_size": 2, "pad_token_id": 0, "hidden_act": "gelu", "layer_norm_eps": 1e-12})");
}

}  // namespace

// ---- on made-up texts -----------------------------------------------------------------------------------------------

TEST_CASE("text_classification leaves what its contract says", "[programs][text_classification]") {
    const Place place;
    const Outcome outcome = classify(made_up("run"), {"--train-limit", "150", "--test-limit", "90", "--seeds", "2",
                                                      "--epochs", "6", "--sweep", "50,20", "--anchors", "100"});
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    CHECK(mentions(outcome.err, "20 classifiers in "));
    CHECK(mentions(outcome.out, "Sentiment of 90 texts, by 100 anchors; chance is 0.333"));
    CHECK(mentions(outcome.out, "Mean and standard deviation over 2 seeds."));
    CHECK(mentions(outcome.out, "Made-up languages"));

    const OrderedJson metrics = json_of("run/metrics.json");
    CHECK(metrics["dataset"]["train"] == 150);
    CHECK(metrics["dataset"]["test"] == 90);
    CHECK(metrics["dataset"]["classes"] == OrderedJson({"negative", "neutral", "positive"}));
    CHECK(metrics["anchors"]["count"] == 100);
    for (const std::string& kind : kKinds) {
        CHECK(metrics[kind].size() == 4);
        for (const std::string& direction : kDirections) {
            INFO(kind << " " << direction);
            const OrderedJson& scores = metrics[kind][direction];
            check_scores(scores, 2, {30, 30, 30});
            // The table says the same.
            CHECK(mentions(outcome.out, fixed(double(scores["accuracy"]), 3) + " ± " +
                                            fixed(double(scores["accuracy_deviation"]), 3)));
        }
    }
    // What the experiment is about. Measured: 0.34, 0.62 and 0.73 of Italian, 0.65, 0.68 and 0.74 of English.
    const auto accuracy = [&](const char* kind, const char* key) { return double(metrics[kind][key]["accuracy"]); };
    for (const std::string& kind : kKinds) CHECK(accuracy(kind.c_str(), "en") > 0.5);
    for (const char* key : {"it_zero_shot", "en_zero_shot"}) {
        CHECK(accuracy("absolute", key) < 0.5);
        CHECK(accuracy("relative_centered", key) > accuracy("absolute", key) + 0.15);
    }

    REQUIRE(metrics["sweep"].size() == 3);
    const std::vector<int> sizes = {20, 50, 100};
    for (size_t i = 0; i < sizes.size(); i++) {
        const OrderedJson& row = metrics["sweep"][i];
        CHECK(row["anchors"] == sizes[i]);
        for (const char* kind : {"relative", "relative_centered"}) {
            if (sizes[i] == 100) CHECK(row[kind] == metrics[kind]);
            for (const char* direction : {"en", "it_zero_shot"}) check_scores(row[kind][direction], 2, {30, 30, 30});
        }
    }

    const OrderedJson anchors = json_of("run/anchors.json");
    CHECK(anchors["hash"] == metrics["anchors"]["hash"]);
    REQUIRE(anchors["lines_from_0"].size() == 2);
    CHECK(anchors["lines_from_0"][0] != anchors["lines_from_0"][1]);
    for (const auto& lines : anchors["lines_from_0"]) {
        const auto drawn = lines.get<std::set<int>>();
        CHECK(lines.size() == 100);
        CHECK(drawn.size() == 100);
        CHECK(*drawn.begin() >= 0);
        CHECK(*drawn.rbegin() < 400);
    }
    // Six classifiers and two times two with fewer anchors, for each seed; one row an epoch.
    const std::string log = content_of("run/train.csv");
    CHECK(log.starts_with("model,epoch,train_loss,train_accuracy,valid_loss,valid_accuracy\nabsolute-en-0,1,"));
    CHECK(n_lines(log) == 1 + 20 * 6);
    CHECK(mentions(log, "\nrelative_centered-50-anchors-1,6,"));
    CHECK(files_in("run/ckpt").size() == 20);
    CHECK(files_in("run/ckpt").front() == "absolute-en-0.safetensors");
    const Checkpoint few = load_checkpoint("run/ckpt/relative-20-anchors-1.safetensors");
    CHECK(select(few.tensors, "model.1").at(0).tensor.shape == Shape{256, 20});
    for (const char* file : {"config.json", "env.json", "report.html"}) CHECK(fs::exists(std::string("run/") + file));
    CHECK(mentions(content_of("run/report.html"), "How many anchors does it take?"));
    CHECK(mentions(content_of("run/report.html"), "anchor in Italian"));
}

TEST_CASE("text_classification does not depend on the number of threads", "[programs][text_classification][threads]") {
    const Place place;
    for (const char* threads : {"1", "3"}) {
        const Outcome outcome = classify(
            made_up(threads), {"--threads", threads, "--seeds", "2", "--sweep", "10", "--head", "report", "--quiet"});
        INFO(outcome.err);
        REQUIRE(outcome.code == 0);
        CHECK(outcome.err.empty());
    }
    CHECK(files_in("1/ckpt").size() == 16);
    check_same_results("1", "3");
    // Another seed, other numbers.
    REQUIRE(classify(made_up("other"), {"--seeds", "2", "--sweep", "10", "--seed", "7"}).code == 0);
    const bool is_other = content_of("other/metrics.json") != content_of("1/metrics.json");
    CHECK(is_other);
}

TEST_CASE("text_classification, interrupted and resumed, ends in the same bytes", "[programs][text_classification]") {
    const Place place;
    const auto words = [](const std::string& out, const std::string& threads) {
        Words all = made_up(out);
        const Words more = {"--train-limit", "120", "--epochs",  "20",    "--seeds",  "2",
                            "--sweep",       "10",  "--threads", threads, "--offline"};
        all.insert(all.end(), more.begin(), more.end());
        return all;
    };
    REQUIRE(classify(words("whole", "2")).code == 0);
    const Process process("text_classification", words("parts", "1"));
    const auto has_begun = [] { return fs::exists("parts/ckpt") && !fs::is_empty("parts/ckpt"); };
    const auto limit = std::chrono::steady_clock::now() + std::chrono::minutes(2);
    while (!has_begun() && std::chrono::steady_clock::now() < limit)
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    process.interrupt();
    const Outcome stopped = process.wait();
    INFO(stopped.err);
    if (stopped.code == 0) SKIP_TEST("the run was over before the signal arrived");
    REQUIRE(stopped.code == 130);
    CHECK(mentions(stopped.err, "go on with --resume parts"));
    CHECK(stopped.out.empty());
    CHECK_FALSE(fs::exists("parts/metrics.json"));
    const Words done = files_in("parts/ckpt");
    REQUIRE(done.size() >= 1);
    REQUIRE(done.size() < 16);
    const auto written = fs::last_write_time("parts/ckpt/" + done[0]);

    const Outcome resumed = classify({"--resume", "parts", "--threads", "3"});
    INFO(resumed.err);
    REQUIRE(resumed.code == 0);
    check_same_results("parts", "whole");
    CHECK(fs::last_write_time("parts/ckpt/" + done[0]) == written);  // what was done is not done again
    // A run that is over says it again.
    CHECK(classify({"--resume", "parts"}).out == resumed.out);
    check_same_results("parts", "whole");
    CHECK(classify({"--resume", "parts", "--epochs", "21"}).code == 2);
}

TEST_CASE("text_classification: the paper's classifier and its protocol", "[programs][text_classification]") {
    const Place place;
    const Outcome head = classify(made_up("head"), {"--head", "paper"});
    INFO(head.err);
    REQUIRE(head.code == 0);
    CHECK(mentions(head.out, "--head paper: the classifier normalises over the test texts at hand"));
    CHECK(json_of("head/config.json")["head"] == "paper");
    CHECK(json_of("head/config.json")["pool"] == "mean");
    // Three layers, the first two of as many features as there are anchors.
    const Checkpoint c = load_checkpoint("head/ckpt/relative-en-0.safetensors");
    CHECK(select(c.tensors, "model.2").at(0).tensor.shape == Shape{30, 30});
    CHECK(select(c.tensors, "model.8").at(0).tensor.shape == Shape{3, 30});

    // A last batch, and a test, of one text.
    CHECK(classify(made_up("one"), {"--head", "paper", "--train-limit", "33", "--test-limit", "1"}).code == 0);

    Words words = made_up("protocol");
    words.erase(std::find(words.begin(), words.end(), "--epochs"), std::find(words.begin(), words.end(), "--seeds"));
    const Outcome protocol = classify(words, {"--protocol", "paper"});
    REQUIRE(protocol.code == 0);
    CHECK(mentions(protocol.out, "--head paper: "));
    const OrderedJson config = json_of("protocol/config.json");
    CHECK(config["head"] == "paper");
    CHECK(config["pool"] == "cls");
    CHECK(config["epochs"] == 5);
    CHECK(n_lines(content_of("protocol/train.csv")) == 1 + 6 * 5);

    const Outcome report = classify(made_up("report"));
    REQUIRE(report.code == 0);
    CHECK_FALSE(mentions(report.out, "--head paper"));
    CHECK_FALSE(json_of("report/metrics.json")["absolute"] == json_of("head/metrics.json")["absolute"]);
}

TEST_CASE("text_classification: one seed, no sweep, numbers as JSON", "[programs][text_classification]") {
    const Place place;
    const Outcome table = classify(made_up("table"));
    REQUIRE(table.code == 0);
    CHECK_FALSE(mentions(table.out, "±"));
    CHECK_FALSE(mentions(table.out, "standard deviation"));
    const OrderedJson metrics = json_of("table/metrics.json");
    REQUIRE(metrics["sweep"].size() == 1);
    CHECK(metrics["sweep"][0]["anchors"] == 30);
    CHECK(files_in("table/ckpt").size() == 6);
    for (const std::string& kind : kKinds) check_scores(metrics[kind]["it_zero_shot"], 1, {10, 10, 10});

    const Outcome json = classify(made_up("json"), {"--json", "--quiet"});
    REQUIRE(json.code == 0);
    CHECK(json.out == content_of("json/metrics.json"));
    CHECK(OrderedJson::parse(json.out) == metrics);

    // As many anchors as there are, and one; more than that in the sweep are left out.
    REQUIRE(classify(made_up("all"), {"--anchors", "0"}).code == 0);
    CHECK(json_of("all/metrics.json")["anchors"]["count"] == 400);
    const Outcome one = classify(made_up("one"), {"--anchors", "2", "--sweep", "1,1,2,500"});
    REQUIRE(one.code == 0);
    CHECK(json_of("one/metrics.json")["sweep"].size() == 2);
}

TEST_CASE("text_classification --explain shows the nearest anchors and leaves nothing",
          "[programs][text_classification]") {
    const Place place;
    write_anchors();
    const Words synthetic = {"--data-set", "synthetic", "--explain", "kebebi dotobe, tikabi"},
                files = {"--encoder-en", kBert,          "--encoder-it", kBert,       "--anchors-en",
                         "en.txt",       "--anchors-it", "it.txt",       "--explain", "the cats"};
    for (const Words& words : {synthetic, files}) {
        const Outcome outcome = classify(words), centred = classify(words, {"--center"});
        INFO(outcome.err);
        REQUIRE(outcome.code == 0);
        REQUIRE(centred.code == 0);
        for (const std::string& out : {outcome.out, centred.out}) {
            CHECK(mentions(out, "The anchors nearest to the text, as the English encoder sees it\ncosine  in English"));
            CHECK(mentions(out, "The anchors nearest to the text, as the Italian encoder sees it\ncosine  in English"));
            std::istringstream lines(out);
            std::vector<double> cosines;
            for (std::string line; std::getline(lines, line);) {
                std::string word;  // the first of the line, a number in the rows of a table
                double cosine = 0;
                if (std::istringstream(line) >> word && read_number(word, cosine)) cosines.push_back(cosine);
            }
            REQUIRE(cosines.size() == 10);
            for (size_t i = 0; i < 10; i++) {
                CHECK(std::abs(cosines[i]) <= 1);
                if (i % 5 != 0) CHECK(cosines[i] <= cosines[i - 1]);
            }
        }
        CHECK(outcome.out != centred.out);
        CHECK_FALSE(fs::exists("runs"));
    }
    // An anchor is nearest to itself, and its translation is beside it.
    const Outcome itself = classify(files, {"--explain", "get the dog", "--quiet"});
    CHECK(itself.err.empty());
    CHECK(mentions(itself.out, "\n 1.000  get the dog      set e dog"));
    // Two anchors, two rows.
    CHECK(n_lines(classify(files, {"--anchors", "2"}).out) == 2 * (3 + 2 + 1));
    CHECK(classify(files, {"--anchors", "9"}).code == 2);
}

// ---- texts and encoders in files --------------------------------------------------------------------------------------

TEST_CASE("text_classification with encoders, texts and anchors in files", "[programs][text_classification]") {
    const Place place;
    write_texts();
    write_anchors();
    const Outcome first = classify(in_files("first"));
    INFO(first.err);
    REQUIRE(first.code == 0);
    CHECK(mentions(first.err, "English: " + kBert));
    CHECK(mentions(first.err, "29 texts, 0 of them from the cache"));
    CHECK(mentions(first.out, "Sentiment of 6 texts, by 8 anchors"));
    CHECK(mentions(first.out, "Both languages are read with the same weights"));
    CHECK(mentions(first.out, "English texts repaired: "));
    CHECK(mentions(first.out, "21 with blanks at an end or in a row"));
    CHECK_FALSE(mentions(first.out, "e5"));
    const OrderedJson metrics = json_of("first/metrics.json");
    for (const std::string& kind : kKinds) {
        for (const std::string& direction : kDirections) check_scores(metrics[kind][direction], 1, {2, 2, 2});
    }
    CHECK(metrics["sweep"].size() == 2);
    CHECK(mentions(metrics["encoders"]["en"].get<std::string>(), "bert, 2 layers of 12 features"));
    const OrderedJson anchors = json_of("first/anchors.json");
    CHECK(anchors["hash"] == read_parallel_texts("en.txt", "it.txt").hash);
    CHECK(anchors["english"] != anchors["italian"]);
    CHECK(anchors["encoder_en"] == anchors["encoder_it"]);

    // Again: nothing is computed twice, and the numbers are the same.
    const Outcome second = classify(in_files("second"));
    REQUIRE(second.code == 0);
    CHECK(mentions(second.err, "29 texts, 29 of them from the cache; 0 tokens computed"));
    check_same_results("first", "second");
    const Outcome anew = classify(in_files("anew"), {"--no-cache"});
    CHECK(mentions(anew.err, "29 texts, 0 of them from the cache"));
    check_same_results("first", "anew");

    // Texts as they are in the file are other texts.
    const Outcome raw = classify(in_files("raw"), {"--raw"});
    REQUIRE(raw.code == 0);
    CHECK_FALSE(mentions(raw.out, "repaired"));
    CHECK(json_of("first/config.json")["raw"] == false);
    CHECK(json_of("raw/config.json")["raw"] == true);
    CHECK(json_of("raw/anchors.json")["english"] != anchors["english"]);

    // What is put in front of texts, and where they are cut off.
    const Outcome cut = classify(in_files("cut"), {"--prefix-en", "the dog, ", "--max-tokens", "4"});
    REQUIRE(cut.code == 0);
    CHECK(mentions(cut.out, "English: 29 texts were longer than the encoder takes; their ends were cut off."));
    CHECK(json_of("cut/metrics.json")["absolute"]["en"]["confusion"] != metrics["absolute"]["en"]["confusion"]);
    CHECK(classify(in_files("long"), {"--max-tokens", "16"}).code == 2);

    // A run goes on with what it was begun with, or not at all.
    CHECK(classify({"--resume", "first", "--data", "data"}).out == first.out);
    write_text("it.txt", "i cat\ni dog\ne dogs, i cat\no o e\nset e dog\ni cat, i dog\ne toe\nsee e cat\n");
    const Outcome other = classify({"--resume", "first", "--data", "data"});
    CHECK(other.code == 3);
    CHECK(mentions(other.err, "first/anchors.json: hash: the run was begun with other texts, anchors or encoders"));
}

TEST_CASE("text_classification: encoders of different sizes share relative codes alone",
          "[programs][text_classification]") {
    const Place place;
    write_texts();
    write_anchors();
    write_small_bert("small-e5");
    const Outcome outcome = classify(in_files("run"), {"--encoder-it", "small-e5"});
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    CHECK(mentions(outcome.out, "Absolute zero-shot: impossible, the encoders have 12 and 8 features."));
    CHECK_FALSE(mentions(outcome.out, "the same weights"));
    CHECK(mentions(outcome.out, "small-e5 looks like an E5 model, which expects --prefix-it \"query: \""));
    CHECK_FALSE(mentions(outcome.out, "--prefix-en"));
    const OrderedJson metrics = json_of("run/metrics.json");
    for (const char* key : {"en", "it"}) check_scores(metrics["absolute"][key], 1, {2, 2, 2});
    for (const char* key : {"it_zero_shot", "en_zero_shot"}) {
        CHECK_FALSE(metrics["absolute"].contains(key));
        check_scores(metrics["relative"][key], 1, {2, 2, 2});
        check_scores(metrics["relative_centered"][key], 1, {2, 2, 2});
    }
    CHECK(fs::exists("run/report.html"));
    CHECK_FALSE(mentions(classify(in_files("with"), {"--encoder-it", "small-e5", "--prefix-it", "query: "}).out, "E5"));
}

// ---- what is refused ------------------------------------------------------------------------------------------------

TEST_CASE("text_classification refuses switches that make no sense", "[programs][text_classification]") {
    const Place place;
    write_texts();
    write_anchors();
    struct Case {
        Words words;
        std::string problem;
    };
    for (const auto& [words, problem] : std::initializer_list<Case>{
             {{"--sweep", "x"}, "--sweep x: 'x' is not a number of anchors"},
             {{"--sweep", "10,0"}, "--sweep 10,0: '0' is not a number of anchors"},
             {{"--sweep", "10,-5"}, "'-5' is not a number of anchors"},
             {{"--sweep", "10,2.5"}, "'2.5' is not a number of anchors"},
             {{"--anchors", "9"}, "--anchors 9: there are 8 pairs in 8 pairs of lines, from en.txt and it.txt"},
             {{"--anchors", "-1"}, "--anchors: expected a whole number >= 0"},
             {{"--head", "papers"}, "--head: expected one of report|paper"},
             {{"--pool", "max"}, "--pool: expected one of mean|cls"},
             {{"--full"}, "--full"},
             {{"text"}, "unexpected argument 'text'"}}) {
        INFO(problem);
        const Outcome outcome = classify(in_files("run"), words);
        CHECK(outcome.code == 2);
        CHECK(mentions(outcome.err, problem));
    }
    for (const char* one : {"--anchors-en", "--anchors-it"}) {
        const Outcome outcome =
            classify({"--encoder-en", kBert, "--encoder-it", kBert, "--data", "data", "--out", "run", one, "en.txt"});
        CHECK(outcome.code == 2);
        CHECK(mentions(outcome.err, "--anchors-en and --anchors-it: expected both files, or neither"));
    }
    const Outcome synthetic = classify(made_up("run"), {"--anchors", "401"});
    CHECK(synthetic.code == 2);
    CHECK(mentions(synthetic.err, "--anchors 401: there are 400 pairs"));
    CHECK_FALSE(fs::exists("run"));
    CHECK_FALSE(fs::exists("runs"));
}

TEST_CASE("text_classification names what is wrong with its files", "[programs][text_classification]") {
    const Place place;
    write_texts();
    write_anchors();
    const auto check_file = [](const Words& words, const std::string& problem) {
        INFO(problem);
        const Outcome outcome = classify(in_files("run"), words);
        CHECK(outcome.code == 3);
        CHECK(mentions(outcome.err, problem));
        CHECK(n_lines(outcome.err) <= 4);  // perhaps what the English encoder is, before the Italian one fails
    };
    write_text("five.txt", "a\nb\nc\nd\ne\n");
    write_text("four.txt", "a\nb\nc\nd\n");
    check_file({"--anchors-en", "five.txt", "--anchors-it", "four.txt"},
               "four.txt: has 4 lines, five.txt has 5; line i of one must say what line i of the other says");
    check_file({"--anchors-it", "en.txt"}, "has the same content as en.txt");
    check_file({"--anchors-it", "nowhere.txt"}, "nowhere.txt");

    copy_bert("mute", {"config.json", "pytorch_model.bin"});
    for (const char* side : {"--encoder-en", "--encoder-it"})
        check_file({side, "mute"},
                   "mute: no tokenizer: looked for tokenizer.json; vocab.json and merges.txt; vocab.txt");
    copy_bert("mixed");
    write_text("mixed/vocab.txt", content_of(kBert + "/vocab.txt") + "one\nmore\n");
    check_file({"--encoder-it", "mixed"}, "do not belong together");
    copy_bert("damaged");
    fs::resize_file("damaged/pytorch_model.bin", 1000);
    check_file({"--encoder-en", "damaged"}, "damaged/pytorch_model.bin");

    check_file({"--label-column", "mood"}, "no column 'mood'; there are 'text', 'label', 'source'");
    check_file({"--text-column", "tweet"}, "data/sentiment/english/train.csv: no column 'tweet'");
    check_file({"--label-column", "source"}, "data/sentiment/english/train.csv: line 2: column 'source' is 'us'");
    const std::string test = "data/sentiment/italian/test.csv", good = content_of(test);
    write_text(test, good + "e,mixed,us\n");
    check_file({}, test + ": line 8: column 'label' is 'mixed', expected one of 'negative', 'neutral', 'positive'");
    write_text(test, good);
    fs::remove("data/sentiment/italian/valid.csv");
    check_file({}, "data/sentiment/italian: holds no valid.csv");
    CHECK_FALSE(fs::exists("run"));

    fs::remove_all("data");
    write_texts("mood");  // the column that was asked for
    CHECK(classify(in_files("mood"), {"--label-column", "mood"}).code == 0);
}

TEST_CASE("text_classification without its encoders says what is at hand, and a command that runs",
          "[programs][text_classification]") {
    const Place place;
    write_texts();
    const auto missing = [](const Words& words = {}) {
        const Outcome outcome = classify({"--data", "data", "--out", "run"}, words);
        CHECK(outcome.code == 3);
        CHECK_FALSE(fs::exists("run"));
        return outcome.err;
    };
    const std::string nothing = missing();
    CHECK(mentions(nothing, "the encoder for English: roberta-base: not found"));
    CHECK(mentions(nothing, "offline, so nothing was fetched"));
    CHECK(mentions(nothing, "No model is at hand. --data-set synthetic needs none"));

    copy_bert("models/encoders/umberto");
    const EnvironmentVariable models("KOINE_DATA", place.folder / "models");
    const std::string text = missing(), start = "./experiments/text_classification ";
    CHECK(mentions(text, "At hand: umberto. This runs with them: " + start + "--encoder-en "));
    const size_t begin = text.find(start) + start.size();
    REQUIRE(begin > start.size());
    std::istringstream words(text.substr(begin, text.rfind(" [MISSING]") - begin));
    const Words command{std::istream_iterator<std::string>(words), {}};
    CHECK(command == Words{"--encoder-en", "umberto", "--encoder-it", "umberto"});
    // With the anchors of the project.
    const Outcome runs =
        classify(command, {"--data", "data", "--epochs", "1", "--seeds", "1", "--sweep", "none", "--out", "advised"});
    INFO(runs.err);
    REQUIRE(runs.code == 0);
    CHECK(mentions(
        runs.out, "by " + std::to_string(json_of("advised/metrics.json")["anchors"]["count"].get<int>()) + " anchors"));
    CHECK(json_of("advised/metrics.json")["anchors"]["count"] >= 400);

    // The other encoder is looked for, too; a path is not the name of a model; E5 wants its prefix.
    CHECK(mentions(missing({"--encoder-en", "umberto"}), "the encoder for Italian: robit: not found"));
    CHECK(
        mentions(missing({"--encoder-en", "no/such/folder"}), "no/such/folder: is neither a folder with config.json"));
    fs::rename("models/encoders/umberto", "models/encoders/e5-multilingual");
    CHECK(mentions(missing(), "At hand: e5-multilingual. This runs with them: " + start +
                                  "--encoder-en e5-multilingual --encoder-it e5-multilingual --prefix-it \"query: \" "
                                  "--prefix-en \"query: \""));
    // An English model is no help with Italian, wherever it lies.
    fs::rename("models/encoders/e5-multilingual", "models/encoders/minilm");
    CHECK(mentions(missing(), "At hand: minilm, none of them for Italian. --data-set synthetic needs no model"));
    fs::remove_all("models");
    const std::string cached = "cache/huggingface/hub/models--FacebookAI--roberta-base";
    copy_bert(cached + "/snapshots/0123abc");
    fs::create_directories(cached + "/refs");
    write_text(cached + "/refs/main", "0123abc");
    const std::string hub = missing();
    CHECK(mentions(hub, "the encoder for Italian: robit: not found"));
    CHECK(mentions(hub, "At hand: FacebookAI/roberta-base, none of them for Italian"));
}

// ---- real texts -----------------------------------------------------------------------------------------------------

TEST_CASE("text_classification of real tweets with a real encoder", "[programs][text_classification][real]") {
#ifdef __SANITIZE_ADDRESS__
    SKIP_TEST("hundreds of texts take minutes under AddressSanitizer");
#else
    if (environment_variable("KOINE_DATA").empty()) SKIP_TEST("KOINE_DATA is not set");
    const std::string root = fs::absolute(environment_variable("KOINE_DATA")),
                      model = root + "/encoders/e5-multilingual";
    if (!is_model_folder(model)) SKIP_TEST("no encoders/e5-multilingual below KOINE_DATA");
    if (!fs::exists(root + "/sentiment/italian")) SKIP_TEST("no sentiment folder below KOINE_DATA");
    const Place place;
    const std::string anchors = std::string(KOINE_SOURCE_DIR) + "/data/anchors/";
    const ParallelTexts shipped = read_parallel_texts(anchors + "en.txt", anchors + "it.txt");
    for (const auto& [name, texts] : {std::pair("en.txt", shipped.en), {"it.txt", shipped.it}}) {
        std::string text;
        for (size_t i = 0; i < 200; i++) text += texts[i] + "\n";
        write_text(name, text);
    }
    const Outcome outcome = classify({"--data",       root,      "--encoder-en",  model,     "--encoder-it", model,
                                      "--prefix-en",  "query: ", "--prefix-it",   "query: ", "--anchors-en", "en.txt",
                                      "--anchors-it", "it.txt",  "--train-limit", "200",     "--test-limit", "60",
                                      "--max-tokens", "28",      "--seeds",       "1",       "--sweep",      "none",
                                      "--out",        "run"});
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    CHECK(mentions(outcome.out, "the same weights"));
    const OrderedJson metrics = json_of("run/metrics.json");
    for (const std::string& kind : kKinds) {  // measured: from 0.52 to 0.68
        for (const std::string& direction : kDirections) {
            INFO(kind << " " << direction);
            CHECK(double(metrics[kind][direction]["accuracy"]) > 0.4);
        }
    }
#endif
}
