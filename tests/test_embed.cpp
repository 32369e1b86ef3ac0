// The program embed, as a user calls it, on a tiny BERT: vectors in both formats, ids, the cache, what is refused.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "experiments/common/text_encoder.h"
#include "nn/encode_texts.h"
#include "tests/catch.h"
#include "tests/process.h"

using namespace koine;
using namespace koine::testing;
namespace fs = std::filesystem;

namespace {

const std::string kModel = std::string(KOINE_SOURCE_DIR) + "/tests/golden/pretrained/bert";

// A folder of its own whose cache nobody else sees, and three texts.
struct Place : TemporaryFolder {
    Place() {
        setenv("XDG_CACHE_HOME", (path + "/cache").c_str(), 1);
        write_text("lines.txt", "the cat\na dog, the cats!\r\n\n");
        write_text("lines.jsonl", "\"the cat\"\n\"a dog, the cats!\"\n\"\"\n");
    }
    ~Place() {
        if (before.empty()) {
            unsetenv("XDG_CACHE_HOME");
        } else {
            setenv("XDG_CACHE_HOME", before.c_str(), 1);
        }
    }
    std::string before = environment_variable("XDG_CACHE_HOME");
};

Outcome embed(std::vector<std::string> words, const std::string& input = "lines.txt") {
    words.insert(words.begin(), {"--model", kModel});
    return run("embed", words, input);
}

std::vector<std::vector<double>> table_of(const std::string& tsv) {
    std::vector<std::vector<double>> rows;
    std::istringstream lines(tsv);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream numbers(line);
        rows.emplace_back();
        for (std::string number; std::getline(numbers, number, '\t');) rows.back().push_back(std::stod(number));
    }
    return rows;
}

int n_cached_files() {
    int n = 0;
    for (const auto& entry : fs::recursive_directory_iterator("cache")) n += entry.is_regular_file();
    return n;
}

}  // namespace

TEST_CASE("embed gives one vector a line, of length 1, in both formats", "[programs][embed]") {
    const Place place;
    const Outcome tsv = embed({"--format", "tsv", "--raw"});
    INFO(tsv.err);
    REQUIRE(tsv.code == 0);
    CHECK(mentions(tsv.err, "3 texts, 0 of them from the cache"));
    CHECK(mentions(tsv.err, "bert, 2 layers of 12 features"));
    const auto rows = table_of(tsv.out);
    REQUIRE(rows.size() == 3);

    // What the library says of the same texts, without cache and program.
    const Tokenizer tokenizer = Tokenizer::load(kModel);
    const PretrainedEncoder encoder = load_encoder(kModel);
    const Tensor expected = encode_texts(
        *encoder.model,
        {tokenizer.encode("the cat").ids, tokenizer.encode("a dog, the cats!").ids, tokenizer.encode("").ids},
        Pooling::mean);
    for (int64_t i = 0; i < 3; i++) {
        REQUIRE(rows[size_t(i)].size() == 12);
        for (int64_t j = 0; j < 12; j++) CHECK(rows[size_t(i)][size_t(j)] == Approx(expected.at({i, j})).margin(1e-6));
    }

    const Outcome npy = embed({"--quiet"});  // stdout is a file: npy
    REQUIRE(npy.code == 0);
    CHECK(npy.err.empty());
    REQUIRE(npy.out.size() == 128 + 3 * 12 * sizeof(real));
    CHECK(mentions(npy.out.substr(0, 128), "'shape': (3, 12)"));
    std::vector<real> values(3 * 12);
    std::memcpy(values.data(), npy.out.data() + 128, values.size() * sizeof(real));
    for (size_t i = 0; i < 3; i++) {
        double length = 0, raw_length = 0;
        for (size_t j = 0; j < 12; j++) {
            length += double(values[i * 12 + j]) * double(values[i * 12 + j]);
            raw_length += rows[i][j] * rows[i][j];
        }
        CHECK(length == Approx(1));
        for (size_t j = 0; j < 12; j++)
            CHECK(double(values[i * 12 + j]) == Approx(rows[i][j] / std::sqrt(raw_length)).margin(1e-6));
    }
}

TEST_CASE("embed computes nothing twice, and says so", "[programs][embed]") {
    const Place place;
    const Outcome first = embed({"--format", "tsv"}), second = embed({"--format", "tsv"});
    CHECK(mentions(second.err, "3 of them from the cache; 0 tokens computed"));
    CHECK(first.out == second.out);
    CHECK(n_cached_files() == 1);
    // Other tokens, other vectors.
    CHECK(mentions(embed({"--format", "tsv", "--prefix", "a "}).err, "0 of them from the cache"));
    CHECK(mentions(embed({"--format", "tsv", "--pool", "cls"}).err, "0 of them from the cache"));
    CHECK(mentions(embed({"--format", "tsv", "--no-cache"}).err, "0 of them from the cache"));
    CHECK(n_cached_files() == 3);
    // A damaged cache is no reason to fail, and none for wrong vectors.
    for (const auto& entry : fs::recursive_directory_iterator("cache")) {
        if (entry.is_regular_file()) write_text(entry.path().string(), "damaged");
    }
    const Outcome third = embed({"--format", "tsv"});
    CHECK(third.code == 0);
    CHECK(mentions(third.err, "computed again"));
    CHECK(third.out == first.out);
    CHECK(mentions(embed({"--format", "tsv"}).err, "3 of them from the cache"));
}

TEST_CASE("embed --ids needs the tokenizer alone", "[programs][embed]") {
    const Place place;
    fs::create_directory("only");
    fs::copy_file(kModel + "/vocab.txt", "only/vocab.txt");
    const Outcome ids = run("embed", {"--model", "only", "--ids"}, "lines.txt");
    INFO(ids.err);
    REQUIRE(ids.code == 0);
    const Tokenizer tokenizer = Tokenizer::load("only");
    const std::vector<int32_t> cat = tokenizer.encode("the cat").ids;
    CHECK(cat.size() == 4);  // [CLS] the cat [SEP]
    std::string line;
    for (const int32_t id : cat) line += (line.empty() ? "[" : ", ") + std::to_string(id);
    CHECK(ids.out.substr(0, ids.out.find('\n')) == line + "]");
    CHECK(std::count(ids.out.begin(), ids.out.end(), '\n') == 3);
    // Lines and JSON strings are the same texts.
    CHECK(run("embed", {"--model", "only", "--ids", "--jsonl"}, "lines.jsonl").out == ids.out);
    CHECK(run("embed", {"--model", "only", "--ids", "--max-tokens", "3"}, "lines.txt")
              .out.starts_with("[" + std::to_string(cat[0]) + ", " + std::to_string(cat[1]) + ", " +
                               std::to_string(cat[3]) + "]\n"));
}

TEST_CASE("embed cuts long texts and says so, or refuses them", "[programs][embed][J7]") {
    const Place place;
    write_text("long.txt", "the cat\na cat the cat a cat the cat a cat the cat a cat the cat a cat the cat\n");
    const Outcome cut = embed({"--format", "tsv"}, "long.txt");
    CHECK(cut.code == 0);
    CHECK_OK(mentions(cut.err, "1 texts were longer than the model takes"));
    const Outcome refused = embed({"--format", "tsv", "--no-cut"}, "long.txt");
    CHECK(refused.code == 3);
    CHECK(mentions(refused.err, "stdin: text 2: has 22 tokens, expected at most 15"));
    CHECK(embed({"--max-tokens", "16"}).code == 2);
    CHECK(mentions(embed({"--max-tokens", "16"}).err, "takes at most 15 tokens"));
}

TEST_CASE("embed names what is wrong with its input", "[programs][embed]") {
    const Place place;
    CHECK(run("embed", {}).code == 2);
    CHECK(mentions(run("embed", {}).err, "--model is missing"));
    CHECK(embed({"--pool", "max"}).code == 2);
    write_text("bad.jsonl", "\"one\"\n{\"text\": \"two\"}\n");
    const Outcome object = embed({"--jsonl"}, "bad.jsonl");
    CHECK(object.code == 3);
    CHECK(mentions(object.err, "stdin, line 2: expected a JSON string"));
    write_text("bad.jsonl", "\"one\n");
    CHECK(mentions(embed({"--jsonl"}, "bad.jsonl").err, "stdin, line 1: byte"));
    const Outcome nowhere = run("embed", {"--model", "/nowhere/at/all"}, "lines.txt");
    CHECK(nowhere.code == 3);
    CHECK(mentions(nowhere.err, "/nowhere/at/all"));
    fs::create_directory("folder");
    CHECK(
        mentions(run("embed", {"--model", "folder"}, "lines.txt").err, "folder: is neither a folder with config.json"));
    // An encoder whose tokenizer is another's.
    fs::create_directory("mixed");
    for (const char* name : {"config.json", "pytorch_model.bin"})
        fs::copy_file(kModel + "/" + name, std::string("mixed/") + name);
    CHECK(mentions(run("embed", {"--model", "mixed"}, "lines.txt").err, "no tokenizer"));
    write_text("mixed/vocab.txt", content_of(kModel + "/vocab.txt") + "one\nmore\n");
    const Outcome mixed = run("embed", {"--model", "mixed"}, "lines.txt");
    CHECK(mixed.code == 3);
    CHECK(mentions(mixed.err, "do not belong together"));
    // Nothing in, nothing out: an npy file without rows.
    const Outcome empty = embed({"--quiet"}, "/dev/null");
    CHECK(empty.code == 0);
    CHECK(mentions(empty.out, "'shape': (0, 12)"));
}
