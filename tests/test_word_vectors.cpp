// Word vectors: rows W1 to W14 (binary) and V1 to V11 (text) of the catalogue of bad inputs, the generic sweep, and
// real files where KOINE_DATA has them.
#include "data/word_vectors.h"

#include <omp.h>

#include <clocale>
#include <cmath>
#include <cstring>
#include <limits>

#include "data/word_vectors_reader.h"
#include "tests/catalogue.h"
#include "tests/data_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

/// A file of its own below a scratch folder, read at once.
WordVectors load(const Bytes& file, const WordVectorOptions& options = {}) {
    const ScratchFolder scratch;
    return load_word_vectors(scratch.write("sample", file), options);
}
WordVectors load(const std::string& file, const WordVectorOptions& options = {}) {
    return load(bytes_of(file), options);
}

template <class File>
ErrorKind kind_of_loading(const File& file, const WordVectorOptions& options = {}) {
    return kind_of([&] { load(file, options); });
}

struct Entry {
    std::string word;
    std::vector<float> vector;
};

Bytes record(const Entry& entry) {
    Bytes out = bytes_of(entry.word + " ");
    for (float value : entry.vector) {
        uint8_t bytes[4];
        std::memcpy(bytes, &value, 4);
        out.insert(out.end(), bytes, bytes + 4);
    }
    return out;
}

/// A word2vec binary, with a line end behind each record as the original tool writes it, or none as gensim does.
Bytes binary(const std::string& header, const std::vector<Entry>& entries, const std::string& separator = "\n") {
    Bytes out = bytes_of(header);
    for (const Entry& entry : entries) out = out + record(entry) + bytes_of(separator);
    return out;
}

const std::vector<Entry> kThree = {
    {"the", {0.5f, -1.25f}}, {"of", {3, 1e-5f}}, {"\xd0\xba\xd0\xbe\xd1\x82", {-0.f, 7}}};
const std::string kThreeText = "the 0.5 -1.25\nof 3 1e-05\n\xd0\xba\xd0\xbe\xd1\x82 -0 7\n";

bool has_warning(const WordVectors& vectors, const std::string& part) {
    return std::any_of(vectors.warnings.begin(), vectors.warnings.end(),
                       [&](const std::string& warning) { return warning.find(part) != std::string::npos; });
}

void check_three(const WordVectors& vectors) {
    REQUIRE(vectors.words == std::vector<std::string_view>{"the", "of", "\xd0\xba\xd0\xbe\xd1\x82"});
    CHECK(vectors.vectors.shape == Shape{3, 2});
    CHECK(vectors.vectors.to_vector() == std::vector<real>{0.5f, -1.25f, 3, 1e-5f, -0.f, 7});
    CHECK(vectors.find("of") == 1);
    CHECK(vectors.find("on") == -1);
}

WordVectorOptions strict() {
    WordVectorOptions options;
    options.is_strict = true;
    return options;
}

/// Words "w0", "w1", ... with `dim` numbers each.
std::string many_as_text(int n, int dim) {
    std::string out;
    for (int i = 0; i < n; i++) {
        out += "w" + std::to_string(i);
        for (int d = 0; d < dim; d++) {
            char number[32];
            std::snprintf(number, sizeof number, " %.5f", std::sin(double(i * dim + d)));
            out += number;
        }
        out += "\n";
    }
    return out;
}

std::string path_of_data(const std::string& name) {
    const char* root = std::getenv("KOINE_DATA");
    const std::string path = root ? std::string(root) + "/vectors/" + name : "";
    return !path.empty() && std::filesystem::exists(path) ? path : "";
}

}  // namespace

// ---- what is read --------------------------------------------------------------------------------------------------

TEST_CASE("word vectors: each format, plain and gzip, under any name", "[data][vectors][W13][W14][V3]") {
    const ScratchFolder scratch;
    const std::vector<std::pair<std::string, Bytes>> files = {
        {"word2vec binary", binary("3 2\n", kThree)},
        {"word2vec binary", binary("3 2\n", kThree, "")},
        {"word2vec binary", binary("3 2\r\n", kThree)},
        {"text with a header", bytes_of("3 2\n" + kThreeText)},
        {"text with a header", bytes_of("3 2\r\n" + kThreeText)},
        {"text", bytes_of(kThreeText)},
    };
    for (const auto& [format, file] : files) {
        // W14: text or gzip named .bin, binary named .vec.
        for (const std::string name : {"a.bin", "b.vec", "c.txt"}) {
            for (const Bytes& contents :
                 {file, gzipped(file),
                  gzipped(Bytes(file.begin(), file.begin() + 9)) + gzipped(Bytes(file.begin() + 9, file.end()))}) {
                const WordVectors vectors = load_word_vectors(scratch.write(name, contents));
                check_three(vectors);
                for (const char* id : {"W13", "W14", "V3"}) {
                    const CatalogueRow row(id);
                    CHECK_OK(vectors.format == format);
                }
                CHECK(vectors.source == scratch / name + ": " + format + ", 3 words of 3, 2 numbers each");
                CHECK(vectors.warnings.empty());
            }
        }
    }
}

TEST_CASE("word vectors: what was read lives on in a copy", "[data][vectors]") {
    WordVectors copy;
    {
        const WordVectors vectors = load(binary("3 2\n", kThree));
        copy = vectors;
    }
    check_three(copy);
    CHECK(WordVectors().find("x") == -1);
}

TEST_CASE("word vectors: limit and filter", "[data][vectors]") {
    const std::string text = many_as_text(3000, 5);
    const WordVectors all = load(text);
    Bytes bin = bytes_of("3000 5\n");
    const std::vector<real> values = all.vectors.to_vector();
    for (size_t i = 0; i < 3000; i++) {
        bin = bin + record({std::string(all.words[i]),
                            {values.begin() + int64_t(i) * 5, values.begin() + int64_t(i) * 5 + 5}});
    }
    for (const Bytes& file :
         {bytes_of(text), bytes_of("3000 5\n" + text), gzipped(bytes_of(text)), bin, gzipped(bin)}) {
        CHECK(load(file).vectors.to_vector() == values);
        WordVectorOptions options;
        std::vector<std::string> asked;
        options.filter = [&](std::string_view word) {
            asked.emplace_back(word);
            return word.ends_with('7');
        };
        const WordVectors sevens = load(file, options);
        REQUIRE(sevens.size() == 300);
        REQUIRE(asked.size() == 3000);  // each word once, in the order of the file
        CHECK(asked[2999] == "w2999");
        CHECK(sevens.words[2] == "w27");
        for (int64_t i = 0; i < 300; i++) {
            for (int64_t d = 0; d < 5; d++) REQUIRE(sevens.vectors.at({i, d}) == all.vectors.at({10 * i + 7, d}));
        }
        options.limit = 3;
        asked.clear();
        CHECK(load(file, options).words == std::vector<std::string_view>{"w7", "w17", "w27"});
        CHECK(asked.size() == 28);
        options.filter = [](std::string_view) { return false; };
        const WordVectors none = load(file, options);
        CHECK(none.size() == 0);
        CHECK(none.vectors.shape == Shape{0, 5});
        options.filter = {};
        const WordVectors three = load(file, options);
        CHECK(three.vectors.to_vector() == std::vector<real>(values.begin(), values.begin() + 15));
        options.limit = -1;
        CHECK_THROWS_AS(load(file, options), ValueError);
    }
}

TEST_CASE("word vectors: an error in the filter comes out, and what it refuses is not checked", "[data][vectors]") {
    WordVectorOptions options;
    options.filter = [](std::string_view) -> bool { throw ValueError("mine"); };
    CHECK_THROWS_AS(load(kThreeText, options), ValueError);
    options.filter = [](std::string_view word) { return word == "b"; };
    CHECK(load("b 1 2\na 0.1 oops\n\xff nan 0\n", options).size() == 1);
    CHECK(load(binary("2 1\n", {{"\xff", {NAN}}, {"b", {1}}}), options).size() == 1);
}

TEST_CASE("word vectors: numbers are those of strtof, in every locale", "[data][vectors][V4]") {
    const auto parsed = [](const std::string& text) {
        float value = 0;
        const char* const end = text.data() + text.size();
        REQUIRE(parse_float(text.data(), end, value) == end);
        return value;
    };
    const auto check = [&](const std::string& text) {
        const float ours = parsed(text), theirs = std::strtof(text.c_str(), nullptr);
        if (std::memcmp(&ours, &theirs, 4) != 0) FAIL_CHECK(text << " is " << ours << ", expected " << theirs);
    };
    for (const char* text : {"0", "-0", "1", "0.1", "-0.25", "5.", ".5", "16777217", "0.000000000000000001", "1e-05",
                             "-3.4e38", "9007199254740993", "123456789012345678", "1234567890123456789012", "1e-30",
                             // Half-way between two floats, a little above and a little below.
                             "16777217.0", "16777217.00000001", "16777216.99999999", "1.000000059604644775390625",
                             "1.00000005960464477", "1.00000005960464478",
                             // So near that their double is half-way: rounded once more it would go the wrong way.
                             "8.000001430511474", "8.000000476837159"}) {
        check(text);
    }
    const Random rng{3, 0};
    for (uint64_t i = 0; i < 200000; i++) {
        // Digits of any number with a point anywhere.
        std::string text = std::to_string(uint64_t(double(rng.uniform(2 * i)) * std::pow(10.0, double(i % 18))));
        const size_t n_fraction = i * 7 % (text.size() + 6);
        if (text.size() <= n_fraction) text = std::string(n_fraction + 1 - text.size(), '0') + text;
        text.insert(text.size() - n_fraction, ".");
        check((i % 2 ? "-" : "") + text);
        // Decimal forms of floats and of the half-way points between them.
        const float value = float(rng.uniform(2 * i + 1)) * 2 - 1;
        char digits[64];
        for (const double x : {double(value), (double(value) + std::nextafter(value, 2.f)) / 2}) {
            for (const char* form : {"%.5g", "%.9g", "%.17g", "%.8f", "%.15f"}) {
                std::snprintf(digits, sizeof digits, form, x);
                check(digits);
            }
        }
    }
    for (const char* text : {"", "-", ".", "-.", "+1", "1,5", "0x1p3", "1e400", "1e-400", "1.2.3", "1f", "--1", "e5"}) {
        float value = 0;
        if (parse_float(text, text + std::strlen(text), value) != nullptr) FAIL_CHECK(text << " was read");
    }
    const std::string before = std::setlocale(LC_ALL, nullptr);
    if (std::setlocale(LC_ALL, "de_DE.UTF-8") != nullptr) check_three(load(kThreeText));
    std::setlocale(LC_ALL, before.c_str());
}

TEST_CASE("word vectors: a table of words", "[data][vectors]") {
    // So many that some share their hash of 32 bits.
    const int64_t n = 300000;
    WordTable table;
    CHECK(table.find("") == -1);
    int64_t n_added = 0, n_found = 0;
    for (int64_t i = 0; i < n; i++) n_added += table.add(std::to_string(i * i));
    for (int64_t i = 0; i < n; i++) n_found += table.find(std::to_string(i * i)) == i;
    CHECK(n_added == n);
    CHECK(n_found == n);
    CHECK_FALSE(table.add("16"));
    CHECK(table.size() == n);
    CHECK(table.find("2") == -1);
    CHECK(table.word(4) == "16");
    CHECK(table.words()[0] == "0");
}

TEST_CASE("word vectors: the result does not depend on where a block ends", "[data][vectors]") {
    // Records longer and shorter than others, over several blocks; the last line has no line end.
    const int dim = 40, n = 6000;
    const std::string text = many_as_text(n, dim);
    REQUIRE(text.size() > 3 * kBlockBytes);
    const WordVectors vectors = load(text.substr(0, text.size() - 1));
    REQUIRE(vectors.size() == n);
    for (int i = 0; i < n; i += 7) {
        for (int d = 0; d < dim; d++) {
            char number[32];
            std::snprintf(number, sizeof number, "%.5f", std::sin(double(i * dim + d)));
            REQUIRE(float(vectors.vectors.at({i, d})) == std::strtof(number, nullptr));
        }
        REQUIRE(vectors.find("w" + std::to_string(i)) == i);
    }
}

// ---- word2vec binary: W --------------------------------------------------------------------------------------------

TEST_CASE("word vectors: a header that is none", "[data][vectors][W1]") {
    CHECK_ERROR(load("abc 300"), DataError, "line 1: the header is \"abc 300\", expected two numbers");
    CHECK(kind_of_loading(std::string("abc 300")) == "SYNTAX");
    CHECK(kind_of_loading(std::string("abc 300\n") + kThreeText) == "SYNTAX");
    CHECK(kind_of_loading(std::string("300 abc\n")) == "SYNTAX");
    CHECK(kind_of_loading(std::string()) == "SYNTAX");
    CHECK_ERROR(load(""), DataError, "the file is empty, expected word vectors");
    CHECK(kind_of_loading(gzipped({})) == "SYNTAX");
    CHECK(kind_of_loading(std::string("300\n")) == "SYNTAX");
    CHECK(kind_of_loading(std::string("\n\n")) == "SYNTAX");
    CHECK(kind_of_loading(std::string("some words, and no vectors\n")) == "SYNTAX");
}

TEST_CASE("word vectors: a header with impossible numbers", "[data][vectors][W2]") {
    const Bytes body = record(kThree[0]);
    const auto kind = [&](const std::string& header) { return kind_of_loading(bytes_of(header + "\n") + body); };
    for (const char* header : {"0 2", "3 0", "-3 2", "3 -2", "1e9 300", "3 2.0", "1.5 2"})
        CHECK(kind(header) == "VALUE");
    const auto refused = [&](const std::string& header, const char* expected, const char* part) {
        check_refused([&] { load(bytes_of(header + "\n") + body); }, expected, part);
    };
    refused("1234567890123456789012345678901234567890 2", "OVERFLOW",
            "the number of words in the header is \"12345678");
    CHECK(kind("3 1234567890123456789012345678901234567890") == "OVERFLOW");
    refused("3 65537", "LIMIT", "in the header is \"65537\", at most 65536");
    CHECK(kind("2147483648 2") == "LIMIT");
    CHECK_ERROR(load("-3 2\n"), DataError, "the number of words in the header is \"-3\", expected at least 1");
    CHECK_ERROR(load("1e9 300\n"), DataError, "the number of words in the header is \"1e9\", expected a whole number");
}

TEST_CASE("word vectors: more words promised than there are", "[data][vectors][W3]") {
    CHECK_ERROR(load(binary("4 2\n", kThree)), DataError, "the file ends after 3 of 4 words; is it cut");
    CHECK(kind_of_loading(binary("4 2\n", kThree)) == "TRUNC");
    CHECK(kind_of_loading(binary("2000000000 2\n", kThree, "")) == "TRUNC");
    CHECK(kind_of_loading(gzipped(binary("2000000000 2\n", kThree, ""))) == "TRUNC");
    CHECK_ERROR(load("5 2\n"), DataError, "the file ends behind its header: 0 of 5 words");
    CHECK(kind_of_loading(std::string("5 2")) == "TRUNC");
    // Words that are there can be had from a file that is cut.
    WordVectorOptions options;
    options.limit = 3;
    check_three(load(binary("4 2\n", kThree), options));
    CHECK_OK(load(binary("4 2\n", kThree), options).size() == 3);
#ifndef __SANITIZE_ADDRESS__
    for (const Bytes& file : {binary("2000000000 2\n", kThree), gzipped(binary("2000000000 65536\n", kThree))}) {
        CHECK(added_kb([&] { kind_of_loading(file); }) < 4096);
    }
#endif
}

TEST_CASE("word vectors: absurd promises", "[data][vectors][W4]") {
    const std::string file = "4611686018427387904 2147483648\n";
    CHECK(kind_of_loading(file) == "LIMIT");
    CHECK_ERROR(load(file), DataError, "line 1: the number of words in the header is \"4611686018427387904\", at most");
    CHECK(kind_of_loading(std::string("5 2147483648\n")) == "LIMIT");
    CHECK(kind_of_loading(gzipped(bytes_of(file))) == "LIMIT");
}

TEST_CASE("word vectors: fewer words promised than there are", "[data][vectors][W5]") {
    const Bytes file = binary("2 2\n", kThree);
    for (const Bytes& contents : {file, gzipped(file)}) {
        const WordVectors vectors = load(contents);
        CHECK_OK(vectors.words == std::vector<std::string_view>{"the", "of"});
        CHECK(vectors.warnings ==
              std::vector<std::string>{
                  "bytes behind the last word that the header promises, not read: 16 (first: byte 29)"});
        check_refused([&] { load(contents, strict()); }, "SYNTAX",
                      "bytes behind the last word that the header promises");
    }
    CHECK(load(binary("3 2\n", kThree), strict()).size() == 3);  // the last record's line end is no trailing byte
}

TEST_CASE("word vectors: a vector that is cut", "[data][vectors][W6]") {
    Bytes file = binary("3 2\n", kThree, "");
    file.resize(file.size() - 1);
    CHECK_ERROR(load(file), DataError,
                "the file ends after 2 of 3 words, inside the vector of \"\xd0\xba\xd0\xbe\xd1\x82\"");
    CHECK(kind_of_loading(file) == "TRUNC");
    CHECK(kind_of_loading(gzipped(file)) == "TRUNC");
    file.resize(file.size() - 9);
    CHECK_ERROR(load(file), DataError, "the file ends after 2 of 3 words, inside a word");
}

TEST_CASE("word vectors: a word without an end", "[data][vectors][W7]") {
    const std::string longest(65536, 'a');
    CHECK_OK(load(binary("1 2\n", {{longest, {1, 2}}})).words[0] == longest);
    CHECK(kind_of_loading(binary("1 2\n", {{longest + "a", {1, 2}}})) == "LIMIT");
    const Bytes endless = bytes_of("3 2\n") + record(kThree[0]) + Bytes(5000000, 'a');
    CHECK(kind_of_loading(endless) == "LIMIT");
    CHECK(kind_of_loading(gzipped(endless)) == "LIMIT");
    CHECK_ERROR(load(endless), DataError, "byte 16: a word longer than 65536 bytes: the file is damaged");
    CHECK(kind_of_loading(bytes_of("3 2\n") + record(kThree[0]) + Bytes(1000000, '\n')) == "LIMIT");
    CHECK(load("1 2\n" + longest + " 1 2\n").words[0] == longest);
    CHECK(kind_of_loading("1 2\n" + longest + "a 1 2\n") == "LIMIT");
}

TEST_CASE("word vectors: records without a word", "[data][vectors][W8]") {
    for (const std::string word : {"", "\n", "\n\n"}) {
        const Bytes file = binary("4 2\n", {kThree[0], {word, {1, 2}}, kThree[1], kThree[2]});
        const WordVectors vectors = load(file);
        check_three(vectors);
        CHECK_OK(has_warning(vectors, "records without a word, skipped: 1 (first: byte"));
        check_refused([&] { load(file, strict()); }, "VALUE", "records without a word");
    }
    const std::string text = "the 0.5 -1.25\n 8 9\nof 3 1e-05\n\t 8\t9\n\xd0\xba\xd0\xbe\xd1\x82 -0 7\n";
    for (const std::string& file : {text, "5 2\n" + text}) {
        check_three(load(file));
        CHECK(has_warning(load(file), "records without a word, skipped: 2 (first: line"));
        CHECK(kind_of_loading(file, strict()) == "VALUE");
    }
}

TEST_CASE("word vectors: words that are not UTF-8", "[data][vectors][W9][V10]") {
    for (const std::string word : {"caf\xe9", "\xe2\x82", "\xed\xa0\x80", "\xc0\xaf"}) {
        for (const auto& [id, file] :
             std::vector<std::pair<std::string, Bytes>>{{"W9", binary("2 2\n", {kThree[0], {word, {1, 2}}})},
                                                        {"V10", bytes_of("2 2\nthe 1 2\n" + word + " 1 2\n")},
                                                        {"V10", bytes_of("the 1 2\n" + word + " 1 2\n")}}) {
            const CatalogueRow row(id);
            check_refused([&] { load(file); }, "UTF8", "is not UTF-8");
            WordVectorOptions options;
            options.keeps_bytes = true;
            const WordVectors vectors = load(file, options);
            REQUIRE(vectors.size() == 2);
            CHECK_OK(vectors.words[1] == word);
            CHECK(has_warning(vectors, "words that are not UTF-8, kept as they are: 1"));
        }
    }
    const CatalogueRow row("V10");
    CHECK_ERROR(load("the 1 2\ncaf\xe9 1 2\n"), DataError, "line 2: the word \"caf\xef\xbf\xbd\" is not UTF-8");
}

TEST_CASE("word vectors: repeated words", "[data][vectors][W10][V11]") {
    // An accented letter as one code point and as two: other bytes, so another word.
    const std::vector<Entry> entries = {{"a", {1, 2}}, {"b", {3, 4}},        {"a", {5, 6}},
                                        {"b", {7, 8}}, {"\xc3\xa9", {9, 9}}, {"e\xcc\x81", {8, 8}}};
    const std::string text = "a 1 2\nb 3 4\na 5 6\nb 7 8\n\xc3\xa9 9 9\ne\xcc\x81 8 8\n";
    for (const auto& [id, file] : std::vector<std::pair<std::string, Bytes>>{{"W10", binary("6 2\n", entries)},
                                                                             {"V11", bytes_of("6 2\n" + text)},
                                                                             {"V11", bytes_of(text)},
                                                                             {"V11", gzipped(bytes_of(text))}}) {
        const CatalogueRow row(id);
        const WordVectors vectors = load(file);
        CHECK_OK(vectors.words == std::vector<std::string_view>{"a", "b", "\xc3\xa9", "e\xcc\x81"});
        CHECK(vectors.vectors.to_vector() == std::vector<real>{1, 2, 3, 4, 9, 9, 8, 8});
        REQUIRE(vectors.warnings.size() == 1);
        CHECK(has_warning(vectors, "repeated words, each kept with its first vector: 2 (first: "));
        CHECK(has_warning(vectors, ", \"a\")"));
        check_refused([&] { load(file, strict()); }, "DUP", "\"a\"");
    }
}

TEST_CASE("word vectors: numbers that are not finite", "[data][vectors][W11][V4]") {
    const float inf = std::numeric_limits<float>::infinity();
    for (float odd : {NAN, inf, -inf, 1e-40f, -1e-45f}) {
        const CatalogueRow row("W11");
        const Bytes file = binary("2 3\n", {{"a", {1, 2, 3}}, {"b", {1, odd, 3}}});
        CHECK(kind_of_loading(file) == "VALUE");
        CHECK_ERROR(load(file), DataError, "byte 19: number 2 of the vector of \"b\" is ");
        WordVectorOptions options;
        options.allows_non_finite = true;
        const WordVectors vectors = load(file, options);
        const real kept = vectors.vectors.at({1, 1});
        CHECK_OK((std::isnan(odd) ? std::isnan(kept) : kept == real(odd)));
        CHECK(has_warning(vectors, "vectors with NaN, infinite or denormal numbers, kept: 1"));
    }
    CHECK(
        load(binary("1 2\n", {{"a", {std::numeric_limits<float>::min(), std::numeric_limits<float>::max()}}})).size() ==
        1);
    const CatalogueRow row("V4");
    for (const char* odd :
         {"nan", "inf", "-inf", "NaN", "1e400", "1e-400", "1e-40", "0x1p3", "1,5", "1.5.2", "abc", "+1"}) {
        const std::string file = std::string("a 1 2 3\nb 1 ") + odd + " 3\n";
        if (kind_of_loading(file) != "VALUE") FAIL_CHECK(odd << " gives '" << kind_of_loading(file) << "'");
        CHECK_ERROR(load(file), DataError, "line 2: number 2 of the vector of \"b\" is ");
    }
    CHECK_ERROR(load("a 1 2\nb 1 1,5\n"), DataError, "is \"1,5\", expected a decimal number that fits in a float");
    CHECK_ERROR(load("a 1 2\nb nan 2\n"), DataError, "is nan, expected a finite number");
    WordVectorOptions options;
    options.allows_non_finite = true;
    CHECK_OK(std::isnan(load("a 1 2\nb nan inf\n", options).vectors.at({1, 0})));
}

TEST_CASE("word vectors: vectors of zeros", "[data][vectors][W12]") {
    for (const Bytes& file : {binary("2 2\n", {{"a", {1, 2}}, {"b", {0, -0.f}}}), bytes_of("a 1 2\nb 0 -0\n")}) {
        const WordVectors vectors = load(file);
        CHECK(vectors.size() == 2);
        REQUIRE(vectors.warnings.size() == 1);
        CHECK_OK(has_warning(vectors, "vectors of nothing but zeros: 1 (first: "));
        check_refused([&] { load(file, strict()); }, "VALUE", "vectors of nothing but zeros");
    }
}

TEST_CASE("word vectors: something else says what it is", "[data][vectors][W14]") {
    const auto check = [](const Bytes& file, const char* part) {
        CHECK_ERROR(load(file), DataError, part);
        CHECK(kind_of_loading(file) == "MAGIC");
    };
    check(bytes_of(std::string("PK\x03\x04\x14\0\0\0", 8) + std::string(100, 'x')), "a zip archive: unpack it first");
    check(bytes_of("BZh91AY&SY"), "bzip2: unpack it first");
    check(bytes_of(std::string("\x93NUMPY\x01\0", 8)), "a NumPy array, which has no words");
    check(bytes_of(std::string("\x80\x04\x95\0\0\0\n", 7)), "a Python pickle");
    check(bytes_of("<!DOCTYPE html>\n<html>"), "a web page: did the download fail?");
    check(bytes_of(std::string("\xff\xfet\0h\0e\0 \0", 10)), "UTF-16 text: convert it to UTF-8");
    check(Bytes(1000, 0), "some other binary format");
    check_refused([] { load_word_vectors("/nowhere/at/all"); }, "IO", "/nowhere/at/all: ");
    CHECK(kind_of([] { load_word_vectors("/"); }) == "IO");
}

// ---- text: V -------------------------------------------------------------------------------------------------------

TEST_CASE("word vectors: lines of the wrong length", "[data][vectors][V1]") {
    CHECK_ERROR(load("a 1 2 3\nb 1 2\n"), DataError,
                "line 2: found 2 numbers behind the word, expected 3 as in the first line");
    CHECK_ERROR(load("2 3\na 1 2 3\nb 1 2 3 4\n"), DataError,
                "line 3: found 4 numbers behind the word, expected 3 as the header says");
    for (const char* file : {"a 1 2 3\nb 1 2\n", "a 1 2 3\nb 1 2 3 4\n", "2 3\na 1 2\nb 1 2 3\n", "2 3\na 1 2 3\nb\n",
                             "2 3\na 1 2 3 4\nb 1 2 3\n", "a 1 2 3\nb 1  2\n"}) {
        CHECK(kind_of_loading(std::string(file)) == "SHAPE");
    }
    CHECK_OK(load("2 1\na 1\nb 2\n").vectors.to_vector() == std::vector<real>{1, 2});
}

TEST_CASE("word vectors: words with blanks of all kinds inside", "[data][vectors][V2]") {
    // GloVe 840B has ". . ." and "at name@domain.com"; fastText has no-break and thin spaces, which are not blanks.
    const std::vector<std::string> words = {"x",
                                            ". . .",
                                            "at name@domain.com",
                                            "1\xc2\xa0"
                                            "000",
                                            "a\xe2\x80\x89"
                                            "b",
                                            "3"};
    std::string text;
    for (const std::string& word : words) text += word + " 0.5 1 -2\n";
    for (const std::string& file : {text, "6 3\n" + text}) {
        const WordVectors vectors = load(file);
        REQUIRE(vectors.size() == 6);
        for (size_t i = 0; i < words.size(); i++) CHECK_OK(vectors.words[i] == words[i]);
        CHECK(vectors.vectors.at({1, 2}) == -2);
        CHECK(vectors.warnings.empty());
    }
    CHECK(load(". . . 1 2\n").words[0] == ". . .");
}

TEST_CASE("word vectors: byte order mark, CR LF, blanks behind, no last line end", "[data][vectors][V5]") {
    const std::string body = "the 0.5 -1.25 \nof 3 1e-05  \n\xd0\xba\xd0\xbe\xd1\x82 -0 7\t\n";
    check_three(load(body));
    CHECK(load(body, strict()).warnings.empty());  // word2vec and fastText write a blank behind each line
    const std::string crlf = "the 0.5 -1.25\r\nof 3 1e-05 \r\n\xd0\xba\xd0\xbe\xd1\x82 -0 7\r\n";
    const std::string open = kThreeText.substr(0, kThreeText.size() - 1);
    for (const std::string header : {"", "3 2\n", "3 2 \r\n"}) {
        const std::vector<std::pair<std::string, std::string>> odd = {
            {"\xef\xbb\xbf" + header + kThreeText, "a byte order mark, skipped: 1"},
            {header + crlf, "lines that end in CR LF: 3"},
            {header + open, "a last line without a line end (is the file cut?): 1"},
            {header + kThreeText.substr(0, 14) + "\n \n" + kThreeText.substr(14), "empty lines, skipped: 2"}};
        for (const auto& [file, warning] : odd) {
            const WordVectors vectors = load(file);
            check_three(vectors);
            CHECK(vectors.warnings.size() == 1);
            CHECK_OK(has_warning(vectors, warning));
            check_refused([&] { load(file, strict()); }, "SYNTAX", warning.substr(0, warning.find_first_of(",:(")));
        }
    }
}

TEST_CASE("word vectors: runs of blanks and tabs between numbers", "[data][vectors][V6]") {
    for (const char* file : {"the\t0.5\t-1.25\nof\t3\t1e-05\n\xd0\xba\xd0\xbe\xd1\x82\t-0\t7\n",
                             "the  0.5   -1.25\nof \t 3 1e-05\n\xd0\xba\xd0\xbe\xd1\x82 -0\t\t7  \n"}) {
        check_three(load(file));
        check_three(load("3 2\n" + std::string(file)));
        CHECK_OK(load(file).warnings.empty());
    }
}

TEST_CASE("word vectors: NUL bytes in text", "[data][vectors][V7]") {
    const std::string nul(1, '\0');
    const std::vector<std::pair<std::string, std::string>> files = {
        {"the 0.5 1\no" + nul + "f 3 4\n", "line 2: a NUL byte, byte 11 of the file"},
        {"2 2\nthe 0.5 1\nof 3" + nul + " 4\n", "line 3: a NUL byte, byte 18 of the file"},
        {"2 2\nthe 0.5" + nul + " 1\nof 3 4\n", "line 2: a NUL byte, byte 11 of the file"},
        {"t" + nul + "he 0.5 1\nof 3 4\n", "line 1: a NUL byte, byte 1 of the file"}};
    for (const auto& [file, part] : files) {
        CHECK_ERROR(load(file), DataError, part);
        CHECK(kind_of_loading(file) == "SYNTAX");
    }
}

TEST_CASE("word vectors: text with more or fewer lines than its header says", "[data][vectors][V8]") {
    CHECK(kind_of_loading("4 2\n" + kThreeText) == "TRUNC");
    CHECK_ERROR(load("4 2\n" + kThreeText), DataError, "the file ends behind 3 of 4 words");
    CHECK(kind_of_loading(gzipped(bytes_of("2000000000 2\n" + kThreeText))) == "TRUNC");
    const WordVectors vectors = load("2 2\n" + kThreeText);
    CHECK(vectors.size() == 2);
    CHECK_OK(has_warning(vectors, "bytes behind the last word that the header promises, not read: 12"));
    check_refused([] { load("2 2\n" + kThreeText, strict()); }, "SYNTAX", "bytes behind the last word");
    CHECK(load("3 2\n" + kThreeText + "\n\n").warnings.empty());
}

TEST_CASE("word vectors: lines without an end", "[data][vectors][V9]") {
    CHECK(kind_of_loading(std::string(3000000, 'a')) == "LIMIT");
    CHECK(kind_of_loading(gzipped(Bytes(30000000, 'a'))) == "LIMIT");
    CHECK(kind_of_loading("3 2\n" + std::string(3000000, 'a')) == "LIMIT");
    CHECK_ERROR(load("the 1 2\n" + std::string(3000000, 'a')), DataError, "line 2: a line longer than 65664 bytes");
    // Blanks belong to the line, too.
    CHECK(kind_of_loading("the 1 2\nof 3 " + std::string(3000000, ' ') + "4\n") == "LIMIT");
#ifndef __SANITIZE_ADDRESS__
    const ScratchFolder scratch;
    // Of 50 MB; a few are buffers.
    const std::string path = scratch.write("endless", bytes_of("the 1 2\n") + Bytes(50000000, 'a'));
    CHECK(added_kb([&] { kind_of([&] { load_word_vectors(path); }); }) < 8192);
#endif
}

// ---- all of them ---------------------------------------------------------------------------------------------------

TEST_CASE("word vectors: any damage is refused or read", "[data][vectors][A11]") {
    const ScratchFolder scratch;
    const auto parse = [&](const Bytes& file) { load_word_vectors(scratch.write("sample", file)); };
    const Bytes with_ends = binary("3 2\n", kThree), without = binary("3 2\n", kThree, "");
    CHECK(sweep(without, 4, {}, true, parse) > int(without.size()));
    CHECK(sweep(with_ends, 4, {}, false, parse) > int(without.size()));
    CHECK(sweep(gzipped(without), 10, {}, true, parse) > 0);
    CHECK(sweep(bytes_of("3 2\n" + kThreeText), 30, {}, false, parse) > 0);
    CHECK(sweep(bytes_of(kThreeText), kThreeText.size(), {}, false, parse) > 0);
    CHECK(sweep(gzipped(bytes_of(kThreeText)), 10, {}, true, parse) > 0);
}

#ifndef __SANITIZE_ADDRESS__
TEST_CASE("word vectors: memory follows what is kept", "[data][vectors]") {
    // The matrix is so large that malloc has it from the system and gives it back: nothing is found in the heap.
    const int n = 30000, dim = 300;
    const Entry entry = {"", std::vector<float>(size_t(dim), 0.25f)};
    const Bytes numbers = record(entry);
    std::string as_text;
    for (int d = 0; d < dim; d++) as_text += " 0.25";
    const std::string header = std::to_string(n) + " " + std::to_string(dim) + "\n";
    std::string text;
    Bytes bin = bytes_of(header);
    for (int i = 0; i < n; i++) {
        const std::string word = "w" + std::to_string(i);
        text += word + as_text + "\n";
        bin.insert(bin.end(), word.begin(), word.end());
        bin.insert(bin.end(), numbers.begin(), numbers.end());
    }
    const ScratchFolder scratch;
    const double matrix_kb = double(n) * dim * sizeof(real) / 1024, small_kb = 6000;
    for (const std::string& path :
         {scratch.write("text", bytes_of(text)), scratch.write("vec", bytes_of(header + text)),
          scratch.write("bin", bin), scratch.write("zipped", gzipped(bin, 1))}) {
        const double all_kb = double(added_kb([&] { load_word_vectors(path); }));
        CHECK(all_kb > matrix_kb);
        CHECK(all_kb < 1.2 * matrix_kb + small_kb);
        WordVectorOptions options;
        options.filter = [](std::string_view word) { return word.ends_with("77"); };
        CHECK(double(added_kb([&] { load_word_vectors(path, options); })) < 1.2 * matrix_kb / 100 + small_kb);
    }
}
#endif

// ---- real files ----------------------------------------------------------------------------------------------------

TEST_CASE("word vectors: GloVe's words agree bit for bit in three formats", "[data][vectors][real]") {
    const std::string folder = path_of_data("glove_6b_50d");
    if (folder.empty()) SKIP_TEST("no vectors/glove_6b_50d below KOINE_DATA");
    const WordVectors text = load_word_vectors(folder + "/glove.6B.50d.txt.gz");
    CHECK(text.format == "text");
    CHECK(text.vectors.shape == Shape{23342, 50});
    CHECK(text.find("koine") == -1);
    for (const char* name : {"/glove.6B.50d.top5k.bin", "/glove.6B.50d.top5k.vec.gz"}) {
        const WordVectors other = load_word_vectors(folder + name);
        CHECK(other.vectors.shape == Shape{5000, 50});
        CHECK(other.warnings.empty());
        for (int64_t i = 0; i < 5000; i++) REQUIRE(other.words[size_t(i)] == text.words[size_t(i)]);
        CHECK(std::memcmp(other.vectors.data(), text.vectors.data(), 5000 * 50 * sizeof(real)) == 0);
    }
}

TEST_CASE("word vectors: GoogleNews, and what was trained on 26 million words", "[data][vectors][real]") {
    const std::string google = path_of_data("googlenews_subset"), trained = path_of_data("trained_26M");
    if (google.empty() || trained.empty()) SKIP_TEST("no vectors/googlenews_subset or trained_26M below KOINE_DATA");
    const WordVectors binary_file = load_word_vectors(google + "/GoogleNews.subset.300d.bin");
    CHECK(binary_file.format == "word2vec binary");
    CHECK(binary_file.vectors.shape == Shape{594, 300});
    const WordVectors text = load_word_vectors(google + "/weat_w2v.original.txt");
    CHECK(text.vectors.shape == Shape{347, 300});
    for (int64_t i = 0; i < text.size(); i++) {
        const int64_t row = binary_file.find(text.words[size_t(i)]);
        REQUIRE(row >= 0);
        REQUIRE(std::memcmp(text.vectors.slice(0, i, i + 1).data(), binary_file.vectors.slice(0, row, row + 1).data(),
                            300 * sizeof(real)) == 0);
    }
    CHECK(load_word_vectors(trained + "/word2vec.sg.300d.top20k.bin.gz").vectors.shape == Shape{20000, 300});
    const WordVectors fasttext = load_word_vectors(trained + "/fasttext.sg.300d.top20k.vec.gz");
    CHECK(fasttext.vectors.shape == Shape{20000, 300});
    CHECK(fasttext.format == "text with a header");
    CHECK(fasttext.words[1] == "</s>");
}

TEST_CASE("word vectors: a fastText model is recognised", "[data][vectors][real]") {
    const std::string path = path_of_data("trained_26M/fasttext.small.50d.bin");
    if (path.empty()) SKIP_TEST("no vectors/trained_26M below KOINE_DATA");
    WordVectorOptions options;
    options.limit = 100;
    const WordVectors vectors = load_word_vectors(path, options);
    CHECK(vectors.format == "fastText model");
    CHECK(vectors.vectors.shape == Shape{100, 50});
}
