// Reading fastText models: rows F1 to F14 of the catalogue of bad inputs, the generic sweep over a sample of every
// generation, and, where there is data, the official tool's own answers.
#include "data/fasttext.h"

#include <omp.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "tests/data_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

const std::string kCafe = "caf\xc3\xa9", kNotUtf8 = "z\xff";

/// A small model and how it is written; tests change what they want to be wrong.
struct Sample {
    int version = 12;  // 0: without magic
    int32_t dim = 3, bucket = 7, minn = 1, maxn = 3, kind = 2;
    std::vector<std::string> words = {"the", "</s>", kCafe, kNotUtf8}, labels;
    bool is_pruned = false;
    std::vector<std::pair<int32_t, int32_t>> kept = {{5, 1}, {0, 0}};  // if pruned: (bucket, row)
    bool is_quantised = false, has_norms = false;                      // parts of 2 numbers and of 1

    int64_t rows() const { return int64_t(words.size()) + (is_pruned ? int64_t(kept.size()) : bucket); }
    float value(int64_t row, int64_t i) const { return float((row * dim + i) * 37 % 101) / 16 - 3; }
    int code(int64_t row, int64_t part) const { return int((row * 29 + part * 131 + 7) % 256); }
    // The centroids of the first part, of two numbers each, then those of the second, of one.
    float centroid(int64_t i) const { return float(i * 53 % 211) / 32 - 3; }
    float norm(int64_t code_) const { return float(code_) / 64 + 0.5f; }

    /// Row `row` of the input matrix as a reader should see it.
    std::vector<double> row(int64_t r) const {
        if (!is_quantised) return {value(r, 0), value(r, 1), value(r, 2)};
        const double scale = has_norms ? norm(r % 256) : 1;
        return {scale * centroid(2 * code(r, 0)), scale * centroid(2 * code(r, 0) + 1),
                scale * centroid(2 * 256 + code(r, 1))};
    }

    std::map<std::string, size_t> at;  // where each field was written

    template <class T>
    void put(Bytes& out, const std::string& field, T number) {
        at.emplace(field, out.size());
        uint8_t bytes[sizeof(T)];
        std::memcpy(bytes, &number, sizeof(T));
        out.insert(out.end(), bytes, bytes + sizeof(T));
    }

    void put_matrix(Bytes& out, const std::string& name, int64_t n_rows) {
        if (is_quantised) put(out, name + " has norms", uint8_t(has_norms));
        put(out, name + " rows", n_rows);
        put(out, name + " cols", int64_t(dim));
        if (!is_quantised) {
            for (int64_t i = 0; i < n_rows * dim; i++) put(out, name + " values", value(i / dim, i % dim));
            return;
        }
        put(out, name + " codes", int32_t(2 * n_rows));
        for (int64_t i = 0; i < 2 * n_rows; i++) put(out, "", uint8_t(code(i / 2, i % 2)));
        put(out, name + " pq dim", dim);
        put(out, name + " pq parts", int32_t(2));
        put(out, name + " pq part", int32_t(2));
        put(out, name + " pq last", int32_t(1));
        for (int64_t i = 0; i < 256 * dim; i++) put(out, name + " centroids", centroid(i));
        if (!has_norms) return;
        for (int64_t i = 0; i < n_rows; i++) put(out, "", uint8_t(i % 256));
        for (const char* field : {" norm dim", " norm parts", " norm part", " norm last"}) {
            put(out, name + field, int32_t(1));
        }
        for (int64_t i = 0; i < 256; i++) put(out, name + " norms", norm(i));
    }

    Bytes bytes() {
        at.clear();
        Bytes out;
        if (version > 0) {
            put(out, "magic", int32_t(793712314));
            put(out, "version", int32_t(version));
        }
        put(out, "dim", dim);
        for (int32_t setting : {5, 1, 1, 5, 1, 2}) put(out, "settings", setting);
        put(out, "kind", kind);
        put(out, "bucket", bucket);
        put(out, "minn", minn);
        put(out, "maxn", maxn);
        put(out, "rate", int32_t(100));
        put(out, "t", 1e-4);
        put(out, "size", int32_t(words.size() + labels.size()));
        put(out, "n words", int32_t(words.size()));
        put(out, "n labels", int32_t(labels.size()));
        put(out, "n tokens", int64_t(404));
        if (version > 0) put(out, "n kept", is_pruned ? int64_t(kept.size()) : int64_t(-1));
        at["first word"] = out.size();
        for (const auto* entries : {&words, &labels}) {
            for (const std::string& word : *entries) {
                out.insert(out.end(), word.begin(), word.end());
                out.push_back(0);
                put(out, "count", int64_t(12));
                put(out, "type", uint8_t(entries == &labels));
            }
        }
        if (is_pruned) {
            for (const auto& [b, r] : kept) {
                put(out, "kept bucket", b);
                put(out, "kept row", r);
            }
        }
        if (version > 0) put(out, "is quantised", uint8_t(is_quantised));
        put_matrix(out, "input", rows());
        if (version > 0) put(out, "output is quantised", uint8_t(is_quantised));
        put_matrix(out, "output", int64_t(words.size()));
        return out;
    }
};

Sample quantised(bool is_pruned = false) {
    Sample s;
    s.is_quantised = s.has_norms = true;
    s.is_pruned = is_pruned;
    return s;
}

/// Writes the file and reads it.
FastText parse(const Bytes& file) {
    static const ScratchFolder scratch;
    return FastText(scratch.write("sample.bin", file));
}

/// The model of a sample after one field was overwritten.
template <class T>
FastText parse_with(Sample sample, const std::string& field, T number) {
    Bytes file = sample.bytes();
    std::memcpy(&file.at(sample.at.at(field)), &number, sizeof(T));
    return parse(file);
}

/// Throws a DataError of this kind, whose text mentions `part`.
#define CHECK_DATA_ERROR(expression, kind_, part)               \
    do {                                                        \
        CHECK(kind_of([&] { (void)(expression); }) == (kind_)); \
        CHECK_ERROR(expression, DataError, part);               \
    } while (false)

/// The mean over rows of a sample.
std::vector<double> mean_of(const Sample& sample, const std::vector<int64_t>& rows) {
    std::vector<double> mean(3);
    for (int64_t r : rows) {
        const std::vector<double> row = sample.row(r);
        for (size_t i = 0; i < 3; i++) mean[i] += row[i] / double(rows.size());
    }
    return mean;
}

void check_close(const Tensor& found, const std::vector<double>& expected) {
    const std::vector<real> values = found.to_vector();
    REQUIRE(values.size() == expected.size());
    for (size_t i = 0; i < values.size(); i++) CHECK(double(values[i]) == Approx(expected[i]).margin(1e-5));
}

/// Where the data is, or "".
std::string vectors_folder() {
    const char* root = std::getenv("KOINE_DATA");
    const std::string folder = std::string(root ? root : "") + "/vectors";
    return root && std::filesystem::is_directory(folder) ? folder : "";
}

}  // namespace

TEST_CASE("the hash is FNV-1a with bytes widened as signed chars", "[fasttext][F13]") {
    CHECK(fasttext_hash("") == 2166136261u);
    CHECK(fasttext_hash("a") == 0xe40c292cu);  // as every FNV-1a of 32 bits
    CHECK(fasttext_hash("foobar") == 0xbf9cf968u);
    // 0xff is -1, and so 0xffffffff: the usual hash would have 0x000000ff.
    CHECK(fasttext_hash("\xff") == (2166136261u ^ 0xffffffffu) * 16777619u);
    CHECK(fasttext_hash("\xff") != (2166136261u ^ 0x000000ffu) * 16777619u);
}

TEST_CASE("a word is its row and its character n-grams, in the order of the tool", "[fasttext]") {
    Sample sample;
    sample.minn = 2;
    const FastText model = parse(sample.bytes());
    CHECK(model.dim() == 3);
    CHECK(model.n_words() == 4);
    CHECK(model.word(2) == kCafe);
    CHECK(model.find(kCafe) == 2);
    CHECK(model.find("cafe") == -1);
    CHECK_ERROR(model.word(4), ValueError, "4 is outside the dictionary of 4 words");
    CHECK_ERROR(model.word(-1), ValueError, "-1 is outside");

    const std::string e = "\xc3\xa9";
    const std::vector<std::string> subwords = {kCafe, "<c",     "<ca",   "ca",          "caf",
                                               "af",  "af" + e, "f" + e, "f" + e + ">", e + ">"};
    CHECK(model.subwords_of(kCafe) == subwords);
    std::vector<int64_t> rows = {2};
    for (size_t i = 1; i < subwords.size(); i++) rows.push_back(4 + fasttext_hash(subwords[i]) % 7);
    CHECK(model.rows_of(kCafe) == rows);
    check_close(model.vector(kCafe), mean_of(sample, rows));

    // Out of the dictionary: subwords alone.
    CHECK(model.subwords_of("ab") == std::vector<std::string>{"<a", "<ab", "ab", "ab>", "b>"});
    CHECK(model.rows_of("ab").size() == 5);
    check_close(model.vector("ab"), mean_of(sample, model.rows_of("ab")));
    // The empty word has one subword: both markers.
    CHECK(model.subwords_of("") == std::vector<std::string>{"<>"});
}

TEST_CASE("n-grams of one character leave out the markers; a cut character counts as one", "[fasttext]") {
    const FastText model = parse(Sample().bytes());
    CHECK(model.subwords_of("xy") == std::vector<std::string>{"<x", "<xy", "x", "xy", "xy>", "y", "y>"});
    // Bytes that continue a character belong to what is before them, whatever that is; a word may end too early.
    CHECK(model.subwords_of("\x80") == std::vector<std::string>{"<\x80>"});
    CHECK(model.subwords_of("\xe4\xb8") ==
          std::vector<std::string>{"<\xe4\xb8", "<\xe4\xb8>", "\xe4\xb8", "\xe4\xb8>"});
    CHECK(model.subwords_of(kNotUtf8) ==
          std::vector<std::string>{kNotUtf8, "<z", "<z\xff", "z", "z\xff", "z\xff>", "\xff", "\xff>"});
}

TEST_CASE("</s> has no subwords, except in the oldest generation", "[fasttext]") {
    Sample sample;
    for (int version : {12, 11}) {
        sample.version = version;
        const FastText model = parse(sample.bytes());
        CHECK(model.rows_of("</s>") == std::vector<int64_t>{1});
        check_close(model.vector("</s>"), sample.row(1));
    }
    sample.version = 0;
    // Itself, then 1, 2 and 3 characters of <</s>>.
    CHECK(parse(sample.bytes()).rows_of("</s>").size() == 1 + 4 + 5 + 4);
    sample.version = 12;
    sample.words = {"the"};
    const FastText without = parse(sample.bytes());
    CHECK(without.rows_of("</s>").empty());
    check_close(without.vector("</s>"), {0, 0, 0});
}

TEST_CASE("a quantised matrix is rebuilt from its codes, with norms and without", "[fasttext]") {
    for (bool has_norms : {false, true}) {
        Sample sample = quantised();
        sample.has_norms = has_norms;
        const FastText model = parse(sample.bytes());
        for (const std::string word : {"the", "</s>", "unseen"}) {
            check_close(model.vector(word), mean_of(sample, model.rows_of(word)));
        }
        CHECK(model.rows_of("the").size() == 1 + 3 + 4 + 3);
        CHECK(model.words({.keeps_bytes = true}).source.find("quantised") != std::string::npos);
    }
}

TEST_CASE("a pruned dictionary: n-grams that were not kept do not count", "[fasttext]") {
    Sample sample = quantised(true);
    const FastText model = parse(sample.bytes());
    std::vector<std::string> subwords = {"the"};
    std::vector<int64_t> rows = {0};
    for (const std::string gram : {"<t", "<th", "t", "th", "the", "h", "he", "he>", "e", "e>"}) {
        const uint32_t b = fasttext_hash(gram) % 7;
        if (b != 5 && b != 0) continue;
        subwords.push_back(gram);
        rows.push_back(4 + (b == 5));
    }
    REQUIRE(rows.size() > 1);
    REQUIRE(rows.size() < 11);
    CHECK(model.rows_of("the") == rows);
    CHECK(model.subwords_of("the") == subwords);
    check_close(model.vector("the"), mean_of(sample, rows));

    sample.kept.clear();
    CHECK(parse(sample.bytes()).rows_of("the") == std::vector<int64_t>{0});
    CHECK(parse(sample.bytes()).rows_of("unseen").empty());
}

TEST_CASE("labels of an unsupervised model are not words", "[fasttext]") {
    Sample sample;
    sample.labels = {"__label__a", "__label__b"};
    const FastText model = parse(sample.bytes());
    CHECK(model.n_words() == 4);
    CHECK(model.find("__label__a") == -1);
}

TEST_CASE("words() takes what passes, in order, up to the limit", "[fasttext]") {
    const FastText model = parse(Sample().bytes());
    const WordVectors all = model.words({.keeps_bytes = true});
    CHECK(all.format == "fastText model");
    CHECK(all.source.find("sample.bin: fastText model (version 12), 4 of 4 words, 3 numbers each") !=
          std::string::npos);
    REQUIRE(all.size() == 4);
    CHECK(all.vectors.shape == Shape{4, 3});
    CHECK(all.warnings.empty());
    for (int64_t i = 0; i < 4; i++) {
        CHECK(all.words[size_t(i)] == model.word(i));
        CHECK(all.find(model.word(i)) == i);
        CHECK(all.vectors.slice(0, i, i + 1).to_vector() == model.vector(model.word(i)).to_vector());
    }

    int n_asked = 0;
    const auto is_no_marker = [&](std::string_view word) {
        n_asked++;
        return word != "</s>";
    };
    const WordVectors two = model.words({.limit = 2, .filter = is_no_marker});
    REQUIRE(two.size() == 2);
    CHECK(n_asked == 3);
    CHECK(two.words == std::vector<std::string_view>{"the", kCafe});
    CHECK(two.find(kCafe) == 1);
    CHECK(two.find("</s>") == -1);
    CHECK(two.vectors.slice(0, 1, 2).to_vector() == model.vector(kCafe).to_vector());

    const WordVectors none = model.words({.filter = [](std::string_view) { return false; }});
    CHECK(none.size() == 0);
    CHECK(none.vectors.shape == Shape{0, 3});
    CHECK_ERROR(model.words({.limit = -1}), ValueError, "limit is -1");
}

TEST_CASE("words() says what is odd, and refuses it when strict", "[fasttext]") {
    Sample sample;
    sample.words = {"a", "b"};
    sample.maxn = 0;
    Bytes file = sample.bytes();
    std::memset(&file.at(sample.at.at("input values") + 12), 0, 12);  // the row of b
    const FastText zero = parse(file);
    REQUIRE(zero.words().warnings.size() == 1);
    CHECK(zero.words().warnings[0] == "1 words have a zero vector");
    CHECK_DATA_ERROR(zero.words({.is_strict = true}), "VALUE", "1 words have a zero vector");

    const FastText longer = parse(sample.bytes() + Bytes{1, 2, 3});
    REQUIRE(longer.words().warnings.size() == 1);
    CHECK(longer.words().warnings[0] == "3 or more trailing bytes behind the model");
    CHECK_DATA_ERROR(longer.words({.is_strict = true}), "SYNTAX", "3 or more trailing bytes");

    // Finite numbers whose sum is not.
    sample.words = {"a"};
    sample.maxn = 3;
    sample.bucket = 1;
    file = sample.bytes();
    const float huge = std::numeric_limits<float>::max();
    std::memcpy(&file.at(sample.at.at("input values")), &huge, 4);
    std::memcpy(&file.at(sample.at.at("input values") + 12), &huge, 4);
    CHECK_DATA_ERROR(parse(file).words(), "VALUE", "word 0: the mean over its subwords is too large");
    CHECK(std::isinf(parse(file).words({.allows_non_finite = true}).vectors.at({0, 0})));
}

TEST_CASE("the vectors do not depend on the number of threads", "[fasttext][threads]") {
    Sample sample;
    sample.words.clear();
    for (int i = 0; i < 2000; i++) sample.words.push_back("word" + std::to_string(i * 7919));
    const FastText model = parse(sample.bytes());
    const int n_threads = omp_get_max_threads();
    omp_set_num_threads(1);
    const std::vector<real> one = model.words().vectors.to_vector();
    omp_set_num_threads(3);
    const std::vector<real> three = model.words().vectors.to_vector();
    omp_set_num_threads(n_threads);
    CHECK(one == three);
    check_close(model.vector(sample.words[1999]), {one[1999 * 3], one[1999 * 3 + 1], one[1999 * 3 + 2]});
}

TEST_CASE("a gzip file is read like a plain one", "[fasttext]") {
    Sample sample;
    const Bytes packed = gzipped(sample.bytes());
    check_close(parse(packed).vector("unseen"), mean_of(sample, parse(packed).rows_of("unseen")));
    const Bytes file = sample.bytes();
    CHECK_DATA_ERROR(parse(gzipped(Bytes(file.begin(), file.end() - 1))), "TRUNC", "the output matrix");
    CHECK_DATA_ERROR(parse(gzipped({})), "TRUNC", "ends inside the magic number");
    CHECK_DATA_ERROR(parse(Bytes(packed.begin(), packed.end() - 4)), "TRUNC", "gzip");
}

TEST_CASE("F1: no magic, an unknown version", "[fasttext][F1]") {
    CHECK_DATA_ERROR(parse(bytes_of("3 2\nthe 1.0 2.0\nof 1.0 3.0\n" + std::string(100, ' '))), "MAGIC",
                     "byte 56: not a fastText model: the magic number 793712314 is not there");
    CHECK_DATA_ERROR(parse_with(Sample(), "magic", int32_t(793712315)), "MAGIC", "is not there");
    for (int version : {13, 10, -1}) {
        CHECK_DATA_ERROR(parse_with(Sample(), "version", int32_t(version)), "MAGIC",
                         "a fastText model of version " + std::to_string(version) + "; 11 to 12 can be read");
    }
    CHECK_DATA_ERROR(FastText("/nowhere/model.bin"), "IO", "/nowhere/model.bin");
    CHECK_DATA_ERROR(FastText("/"), "IO", "/");
    CHECK_DATA_ERROR(parse({}), "TRUNC", "byte 0: the file ends inside the magic number");
}

TEST_CASE("F1: what is taken for a fastText model", "[fasttext][F1]") {
    const auto text_of = [](const Bytes& bytes) { return std::string(bytes.begin(), bytes.end()); };
    for (int version : {12, 11, 0}) {
        Sample sample;
        sample.version = version;
        const std::string text = text_of(sample.bytes());
        CHECK_OK(looks_like_fasttext(std::string_view(text).substr(0, 64), text.size()));
        CHECK_FALSE(looks_like_fasttext(std::string_view(text).substr(0, 3), text.size()));
        CHECK(looks_like_fasttext(std::string_view(text).substr(0, 8), text.size()) == (version > 0));
    }
    Sample oldest;
    oldest.version = 0;
    const std::string good = text_of(oldest.bytes());
    CHECK_FALSE(looks_like_fasttext(good, 80));  // too short for a dictionary and two matrices
    for (const char* field : {"dim", "settings", "kind", "bucket", "minn", "maxn", "rate"}) {
        std::string bad = good;
        const int32_t negative = -1;
        std::memcpy(&bad.at(oldest.at.at(field)), &negative, 4);
        CHECK_FALSE(looks_like_fasttext(bad, bad.size()));
        CHECK_DATA_ERROR(parse(bytes_of(bad)), "MAGIC", "not the settings that the oldest models begin with");
    }
    CHECK_FALSE(looks_like_fasttext("3000000 300\n</s> " + std::string(100, '\1'), 1 << 20));
    CHECK_FALSE(looks_like_fasttext("the 0.418 0.24968 -0.41242 0.1217 0.34527 -0.044457 -0.49688 -0.17862", 1 << 20));
    CHECK_FALSE(looks_like_fasttext("", 0));
    CHECK_FALSE(looks_like_fasttext({}, 0));  // no bytes at all, not even an address (UBSan)
}

TEST_CASE("F2: the file ends inside a word", "[fasttext][F2]") {
    for (int version : {12, 11, 0}) {
        Sample sample;
        sample.version = version;
        sample.words = {std::string(3000, 'a'), "b"};
        const Bytes file = sample.bytes();
        const auto middle = file.begin() + std::ptrdiff_t(sample.at.at("first word")) + 100;
        CHECK_DATA_ERROR(parse(Bytes(file.begin(), middle)), "TRUNC",
                         "the file ends inside entry 0 of the dictionary, which has 2");
    }
    Sample sample;
    sample.words = {std::string(65537, 'a')};
    CHECK_DATA_ERROR(parse(sample.bytes()), "LIMIT", "entry 0 of the dictionary, which has 1 is longer than the 65536");
    sample.words = {std::string(65536, 'a')};
    CHECK(parse(sample.bytes()).find(sample.words[0]) == 0);
}

TEST_CASE("a model whose words take too long", "[fasttext][F3]") {
    Sample slow;  // every byte of a word begins a hundred n-grams of 2000 numbers
    slow.dim = 2000, slow.bucket = 1, slow.maxn = 100;
    slow.words.clear();
    for (char c = 'a'; c < 'i'; c++) slow.words.push_back(std::string(60'000, c));
    CHECK_DATA_ERROR(parse(slow.bytes()), "LIMIT",
                     "the n-grams of up to maxn = 100 characters of all words are up to 4800");
    slow.maxn = 1;
    CHECK(parse(slow.bytes()).n_words() == 8);
}

TEST_CASE("F3: settings outside their limits", "[fasttext][F3]") {
    const auto check = [](const char* field, int32_t value, const std::string& part) {
        CHECK_DATA_ERROR(parse_with(Sample(), field, value), "LIMIT", part);
    };
    check("dim", 0, "dim is 0, expected 1 to 10000");
    check("dim", -5, "dim is -5");
    check("dim", 10001, "dim is 10001");
    check("bucket", -1, "bucket is -1, expected 0 to 100000000");
    check("bucket", 100000001, "bucket is 100000001");
    check("minn", 4, "minn is 4, more than maxn, 3");
    check("minn", -1, "minn is -1");
    check("maxn", 101, "maxn is 101, expected 0 to 100");
    check("maxn", -1, "maxn is -1");
    // Subwords off, the way the tool's users do it: minn keeps its default.
    Sample off;
    off.minn = 3;
    off.maxn = 0;
    CHECK(parse(off.bytes()).rows_of("the") == std::vector<int64_t>{0});
    CHECK(parse(off.bytes()).rows_of("unseen").empty());
}

TEST_CASE("F4: the numbers of the dictionary contradict each other", "[fasttext][F4]") {
    CHECK_DATA_ERROR(parse_with(Sample(), "size", int32_t(5)), "VALUE", "4 words and 0 labels, but 5 entries");
    CHECK_DATA_ERROR(parse_with(Sample(), "size", int32_t(-1)), "VALUE", "but -1 entries");
    CHECK_DATA_ERROR(parse_with(Sample(), "n words", int32_t(5)), "VALUE", "5 words and 0 labels, but 4 entries");
    CHECK_DATA_ERROR(parse_with(Sample(), "n words", int32_t(-4)), "VALUE", "-4 words");
    CHECK_DATA_ERROR(parse_with(Sample(), "n labels", int32_t(-1)), "VALUE", "-1 labels");
    CHECK_DATA_ERROR(parse_with(Sample(), "n tokens", int64_t(-1)), "VALUE", "the number of tokens is -1");
    // As many entries as the file cannot hold: refused before the first is read.
    Sample sample;
    Bytes file = sample.bytes();
    const int32_t n = 2'000'000'000;
    std::memcpy(&file.at(sample.at.at("size")), &n, 4);
    std::memcpy(&file.at(sample.at.at("n words")), &n, 4);
    CHECK_DATA_ERROR(parse(file), "TRUNC", "2000000000 entries of the dictionary take 20000000000 bytes");
    sample.words = {"the", "a", "the"};
    CHECK_DATA_ERROR(parse(sample.bytes()), "DUP",
                     "entry 2 of the dictionary, which has 3: is the same word as entry 0");
}

TEST_CASE("F5: a matrix that cannot be counted, or is not there", "[fasttext][F5]") {
    for (const char* field : {"input rows", "output rows"}) {
        CHECK_DATA_ERROR(parse_with(Sample(), field, int64_t(1) << 62), "OVERFLOW", "4611686018427387904 x 3");
        CHECK_DATA_ERROR(parse_with(Sample(), field, int64_t(-1)), "OVERFLOW", "-1 x 3, more values than");
    }
    CHECK_DATA_ERROR(parse_with(quantised(), "input rows", INT64_MAX), "OVERFLOW", "9223372036854775807 x 3");
    CHECK_DATA_ERROR(parse_with(Sample(), "output rows", int64_t(1) << 40), "TRUNC", "the values of the output matrix");
    // Header and matrix agree on 4 TB: if they were asked for, the test would end here.
    Sample sample;
    Bytes file = sample.bytes();
    const int32_t dim = 10000, bucket = 100'000'000;
    const int64_t rows = bucket + 4, cols = dim;
    std::memcpy(&file.at(sample.at.at("dim")), &dim, 4);
    std::memcpy(&file.at(sample.at.at("bucket")), &bucket, 4);
    std::memcpy(&file.at(sample.at.at("input rows")), &rows, 8);
    std::memcpy(&file.at(sample.at.at("input cols")), &cols, 8);
    CHECK_DATA_ERROR(parse(file), "TRUNC", "1000000040000 values of the input matrix take 4000000160000 bytes");
    CHECK_DATA_ERROR(parse(gzipped(file)), "TRUNC", "at most");
    CHECK_DATA_ERROR(parse_with(quantised(), "input codes", INT32_MAX), "TRUNC", "2147483647 values of codes");
}

TEST_CASE("F6: the matrix does not fit the dictionary", "[fasttext][F6]") {
    CHECK_DATA_ERROR(parse_with(Sample(), "input rows", int64_t(10)), "SHAPE",
                     "the input matrix is 10 x 3; words and buckets make 11 x 3");
    CHECK_DATA_ERROR(parse_with(Sample(), "input cols", int64_t(4)), "SHAPE", "11 x 4");
    CHECK_DATA_ERROR(parse_with(Sample(), "bucket", int32_t(8)), "SHAPE", "make 12 x 3");
    CHECK_DATA_ERROR(parse_with(Sample(), "output cols", int64_t(2)), "SHAPE",
                     "the output matrix has 2 columns, expected 3");
    CHECK_DATA_ERROR(parse_with(quantised(true), "input rows", int64_t(11)), "SHAPE", "make 6 x 3");
}

TEST_CASE("F7: dense where quantised is announced, and the reverse", "[fasttext][F7]") {
    CHECK_DATA_ERROR(parse_with(Sample(), "is quantised", uint8_t(1)), "DTYPE",
                     "the input matrix is announced as quantised, but it is dense");
    CHECK_DATA_ERROR(parse_with(quantised(), "is quantised", uint8_t(0)), "DTYPE",
                     "the input matrix is announced as dense, but it is quantised");
    CHECK_DATA_ERROR(parse_with(quantised(true), "is quantised", uint8_t(0)), "DTYPE", "the dictionary is pruned, but");
    CHECK_DATA_ERROR(parse_with(Sample(), "is quantised", uint8_t(2)), "VALUE", "is 2, expected 0 or 1");
    CHECK_DATA_ERROR(parse_with(Sample(), "output is quantised", uint8_t(9)), "VALUE", "is 9, expected 0 or 1");
    CHECK_DATA_ERROR(parse_with(quantised(), "input has norms", uint8_t(3)), "VALUE", "is 3, expected 0 or 1");
    // The tool does not heed the flag of the output when the input is dense.
    CHECK_OK(parse_with(Sample(), "output is quantised", uint8_t(1)).n_words() == 4);
}

TEST_CASE("F8: a quantiser that does not fit", "[fasttext][F8]") {
    for (const char* matrix : {"input", "output"}) {
        for (const char* field : {" pq dim", " pq parts", " pq part", " pq last"}) {
            for (int32_t value : {0, -1, 4, INT32_MAX, INT32_MIN}) {
                CHECK_DATA_ERROR(parse_with(quantised(), matrix + std::string(field), value), "SHAPE",
                                 "the quantiser of the " + std::string(matrix) + " matrix cuts");
            }
        }
        for (const char* field : {" norm dim", " norm parts", " norm part", " norm last"}) {
            CHECK_DATA_ERROR(parse_with(quantised(), matrix + std::string(field), int32_t(2)), "SHAPE",
                             "the quantiser of the norms of the " + std::string(matrix));
        }
        CHECK_DATA_ERROR(parse_with(quantised(), matrix + std::string(" codes"), int32_t(-2)), "SHAPE", "-2 codes");
    }
    // Two codes fewer than rows: consistent in itself, but not with the rows.
    Sample sample = quantised();
    Bytes file = sample.bytes();
    const size_t codes = sample.at.at("input codes");
    file[codes] -= 2;
    file.erase(file.begin() + std::ptrdiff_t(codes) + 4, file.begin() + std::ptrdiff_t(codes) + 6);
    CHECK_DATA_ERROR(parse(file), "SHAPE", "20 codes, expected 11 rows of 2");
}

TEST_CASE("F9: the list of n-grams that pruning kept", "[fasttext][F9]") {
    const auto check = [](const char* field, auto value, const char* kind, const char* part) {
        CHECK_DATA_ERROR(parse_with(quantised(true), field, value), kind, part);
    };
    check("kept bucket", int32_t(7), "OFFSET", "n-gram 0 kept is bucket 7 of 7");
    check("kept bucket", int32_t(-1), "OFFSET", "bucket -1 of 7");
    check("kept bucket", int32_t(0), "DUP", "bucket 0 is kept twice");
    check("kept row", int32_t(2), "OFFSET", "n-gram 0 kept has row 2 of 2");
    check("kept row", int32_t(-1), "OFFSET", "row -1 of 2");
    check("n kept", int64_t(-2), "OFFSET", "pruning kept -2 of 7 buckets; -1 stands for no pruning");
    check("n kept", int64_t(8), "OFFSET", "pruning kept 8 of 7 buckets");
    check("n kept", INT64_MAX, "OFFSET", "pruning kept 9223372036854775807");
    Sample sample = quantised(true);
    Bytes file = sample.bytes();
    const int32_t bucket = 100'000'000;
    const int64_t n_kept = bucket;
    std::memcpy(&file.at(sample.at.at("bucket")), &bucket, 4);
    std::memcpy(&file.at(sample.at.at("n kept")), &n_kept, 8);
    CHECK_DATA_ERROR(parse(file), "TRUNC", "100000000 n-grams kept take 800000000 bytes");
}

TEST_CASE("F10: entries of no known type, or counted below zero", "[fasttext][F10]") {
    CHECK_DATA_ERROR(parse_with(Sample(), "type", uint8_t(2)), "VALUE",
                     "entry 0 of the dictionary, which has 4: its type is 2, expected 0 (word) or 1 (label)");
    CHECK_DATA_ERROR(parse_with(Sample(), "type", uint8_t(255)), "VALUE", "its type is 255");
    CHECK_DATA_ERROR(parse_with(Sample(), "type", uint8_t(1)), "VALUE", "is a label; words come first, then labels");
    CHECK_DATA_ERROR(parse_with(Sample(), "count", int64_t(-3)), "VALUE", "its count is -3");
    CHECK_OK(parse_with(Sample(), "count", int64_t(0)).n_words() == 4);
}

TEST_CASE("F11: subwords without buckets", "[fasttext][F11]") {
    Sample sample;
    sample.bucket = 0;
    CHECK_DATA_ERROR(parse(sample.bytes()), "VALUE", "bucket is 0, but subwords of up to maxn = 3 characters");
    sample.maxn = 0;
    CHECK_OK(parse(sample.bytes()).rows_of("the") == std::vector<int64_t>{0});
    CHECK(parse(sample.bytes()).rows_of("unseen").empty());
}

TEST_CASE("F12: a supervised model", "[fasttext][F12]") {
    for (int version : {12, 11, 0}) {
        Sample sample;
        sample.version = version;
        sample.kind = 3;
        sample.bucket = 0;  // as such models may have it
        CHECK_DATA_ERROR(parse(sample.bytes()), "DTYPE", "a supervised model, which classifies texts");
        sample.bucket = 7;
        sample.kind = 1;
        CHECK_OK(parse(sample.bytes()).n_words() == 4);
    }
    CHECK_DATA_ERROR(parse_with(Sample(), "kind", int32_t(0)), "VALUE", "the kind of model is 0");
    CHECK_DATA_ERROR(parse_with(Sample(), "kind", int32_t(4)), "VALUE", "the kind of model is 4");
}

TEST_CASE("F13: a word that is not UTF-8 keeps its bytes", "[fasttext][F13]") {
    const FastText model = parse(Sample().bytes());
    CHECK(model.word(3) == kNotUtf8);
    CHECK_OK(model.find(kNotUtf8) == 3);
    CHECK(model.rows_of(kNotUtf8).at(2) == 4 + fasttext_hash("<z\xff") % 7);
    CHECK_DATA_ERROR(model.words(), "UTF8", "word 3: is not UTF-8; keeps_bytes lets such words through");
    CHECK(model.words({.keeps_bytes = true}).words[3] == kNotUtf8);
    CHECK(model.words({.limit = 3}).size() == 3);  // not asked for, not refused
}

TEST_CASE("F14: numbers that are not", "[fasttext][F14]") {
    const float nan = std::nanf(""), infinity = std::numeric_limits<float>::infinity();
    Sample sample;
    Bytes file = sample.bytes();
    std::memcpy(&file.at(sample.at.at("input values") + 4 * (3 * 5 + 2)), &nan, 4);
    CHECK_DATA_ERROR(parse(file), "VALUE", "the input matrix holds nan in row 5, column 2; expected finite numbers");
    CHECK_DATA_ERROR(parse_with(Sample(), "input values", infinity), "VALUE", "holds inf in row 0, column 0");
    CHECK_DATA_ERROR(parse_with(quantised(), "input centroids", nan), "VALUE",
                     "centroids of the input matrix holds nan");
    CHECK_DATA_ERROR(parse_with(quantised(), "input norms", -infinity), "VALUE",
                     "centroids of the norms of the input matrix holds -inf");
}

TEST_CASE("every damage to a small model is refused or survived", "[fasttext][F2][sweep][A11]") {
    std::vector<Sample> samples(3);
    samples[1].version = 11;
    samples[1].labels = {"__label__a"};
    samples[2].version = 0;
    samples.push_back(quantised(true));
    for (Sample& sample : samples) {
        const Bytes file = sample.bytes();
        std::vector<LengthField> fields;
        for (const auto& [name, offset] : sample.at) {
            const bool is_long = name == "n kept" || name == "n tokens" || name == "count" ||
                                 name.find(" rows") != std::string::npos || name.find(" cols") != std::string::npos;
            const bool is_byte = name.find("quantised") != std::string::npos || name == "type" ||
                                 name.find("has norms") != std::string::npos;
            fields.push_back({offset, is_long ? 8 : is_byte ? 1 : 4, false});
        }
        const int n_refused = sweep(file, sample.at.at("input rows") + 16, fields, true, [](const Bytes& bytes) {
            const FastText model = parse(bytes);
            for (int64_t i = 0; i < model.n_words(); i++) model.vector(model.word(i));
            model.vector("unseen");
        });
        CHECK(n_refused > int(file.size()));
    }
}

TEST_CASE("the official tool's words, subwords and vectors", "[fasttext][golden]") {
    const std::string folder = vectors_folder() + "/trained_26M/";
    if (!std::filesystem::exists(folder + "fasttext.small.50d.bin")) SKIP_TEST("no vectors below KOINE_DATA");
    const FastText model(folder + "fasttext.small.50d.bin");
    CHECK(model.dim() == 50);
    CHECK(model.n_words() == 2692);
    std::ifstream lines(folder + "fasttext.small.50d.golden.jsonl");
    int n_queries = 0, n_unseen = 0;
    for (std::string line; std::getline(lines, line); n_queries++) {
        const auto query = nlohmann::json::parse(line);
        const std::string word = query["word"];
        CAPTURE(word);
        CHECK(model.find(word) == query["word_id"].get<int64_t>());
        n_unseen += model.find(word) < 0;
        CHECK(model.rows_of(word) == query["subword_ids"].get<std::vector<int64_t>>());
        CHECK(model.subwords_of(word) == query["subwords"].get<std::vector<std::string>>());
        check_close(model.vector(word), query["vector"].get<std::vector<double>>());
    }
    CHECK(n_queries == 15);
    CHECK(n_unseen == 9);
}

TEST_CASE("files of the official tool give the vectors that it printed beside them", "[fasttext][golden]") {
    const std::string folder = vectors_folder() + "/fasttext_fixtures/";
    if (!std::filesystem::is_directory(folder)) SKIP_TEST("no vectors below KOINE_DATA");
    for (const std::string name : {"crime-and-punishment", "lee_fasttext"}) {  // version 12, without magic
        const FastText model(folder + name + ".bin");
        const WordVectors vectors = model.words();
        CHECK(vectors.warnings.empty());
        std::ifstream text(folder + name + ".vec");
        int64_t n = 0, d = 0;
        text >> n >> d;
        REQUIRE(vectors.vectors.shape == Shape{n, d});
        double worst = 0;  // in units of the fifth digit
        for (int64_t i = 0; i < n; i++) {
            std::string word;
            text >> word;
            REQUIRE(word == vectors.words[size_t(i)]);
            for (int64_t j = 0; j < d; j++) {
                double printed = 0;
                text >> printed;
                const double unit = std::pow(10, std::floor(std::log10(std::abs(printed))) - 4);
                worst = std::max(worst, std::abs(double(vectors.vectors.at({i, j})) - printed) / unit);
            }
        }
        REQUIRE(text);
        CHECK(worst < 0.51);  // rounded to five digits, and no more
    }
}

TEST_CASE("a file of version 11", "[fasttext][golden]") {
    const std::string path = vectors_folder() + "/fasttext_fixtures/lee_fasttext_new.bin";
    if (!std::filesystem::exists(path)) SKIP_TEST("no vectors below KOINE_DATA");
    const FastText model(path);
    CHECK(model.n_words() == 1763);
    // get_word_vector of the official Python package, fasttext-wheel 0.9.2, printed with six digits.
    const std::map<std::string, std::vector<double>> expected = {
        {"the",
         {-0.330222, -0.31812, 0.100512, -1.04006, 0.0878058, -0.767041, 0.399688, -0.196088, -0.133977, 0.30554}},
        {"</s>",
         {-0.05794, -0.076554, 2.49253e-05, -0.505676, -0.299758, -0.399771, 0.26805, -0.0991678, -0.274524, 0.239882}},
        {"unseenword",
         {-0.298703, 0.0392945, 0.0650253, -0.975295, 0.0533702, -1.09481, 0.510074, 0.0167719, -0.226626, -0.0519488}},
        {"citt\u00e0",
         {-0.234498, 0.00310719, 0.0241655, -0.87771, 0.464007, -0.975374, 0.464119, 0.115401, -0.230374, -0.296626}}};
    for (const auto& [word, vector] : expected) check_close(model.vector(word), vector);
    CHECK(model.find("</s>") == 22);
    CHECK(model.rows_of("unseenword").at(0) == 2535);
}
