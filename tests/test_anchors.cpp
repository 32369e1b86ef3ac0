// data/anchors: the sentences that the project brings along, and that an encoder of many languages takes the pairs for
// translations.
#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "data/model_folder.h"
#include "data/parallel_texts.h"
#include "data/sentiment.h"
#include "data/unicode.h"
#include "experiments/common/text_encoder.h"
#include "tests/catch.h"

using namespace koine;
using namespace koine::testing;

namespace {

using Texts = std::vector<std::string>;

std::string file(const std::string& name) { return std::string(KOINE_SOURCE_DIR) + "/data/anchors/" + name; }

ParallelTexts shipped() { return read_parallel_texts(file("en.txt"), file("it.txt")); }

// The words that begin with '@' or '#', without what stands behind their letters, and emoji, in alphabetical order.
Texts marks_in(const std::string& text) {
    Texts found;
    std::istringstream words(text);
    for (std::string word; words >> word;) {
        if (word[0] != '@' && word[0] != '#') continue;
        const auto is_punctuation = [](unsigned char c) { return std::ispunct(c) != 0; };
        word.erase(std::find_if(word.begin() + 1, word.end(), is_punctuation), word.end());
        found.push_back(word);
    }
    for (size_t at = 0; at < text.size();) {
        const auto [c, n_bytes] = code_point_at(text, at);
        if (c >= 0x2600) found.push_back(text.substr(at, n_bytes));  // beyond letters and punctuation of both languages
        at += n_bytes;
    }
    std::sort(found.begin(), found.end());
    return found;
}

}  // namespace

TEST_CASE("the shipped anchors are whole, and those that were measured", "[data][anchors]") {
    const ParallelTexts anchors = shipped();
    CHECK(anchors.size() >= 400);
    CHECK(anchors.en.size() == anchors.it.size());
    // Who edits the files changes this, and what was measured with them: change it together with
    // data/anchors/README.md.
    CHECK(anchors.hash == "25452f8ec1089e13");
    for (const Texts& texts : {anchors.en, anchors.it}) {
        CHECK(std::set<std::string>(texts.begin(), texts.end()).size() == texts.size());
        for (const std::string& text : texts) {
            INFO(text);
            CHECK(text == repaired_text(text));  // nothing that would be repaired in the texts they are compared with
        }
    }
    size_t n_marked = 0;
    for (size_t i = 0; i < anchors.en.size(); i++) {
        INFO("line " << i + 1 << ": " << anchors.en[i] << " | " << anchors.it[i]);
        CHECK(marks_in(anchors.en[i]) == marks_in(anchors.it[i]));
        CHECK(anchors.en[i] != anchors.it[i]);
        n_marked += !marks_in(anchors.en[i]).empty();
    }
    CHECK(n_marked > 30);
}

TEST_CASE("the shipped anchors are balanced, and so are the first of them", "[data][anchors]") {
    const int64_t n = shipped().size();
    std::ifstream in(file("sentiment.txt"));
    std::vector<int> counts(sentiment_names().size());
    int64_t n_lines = 0;
    for (std::string word; std::getline(in, word);) {
        const auto& names = sentiment_names();
        const auto place = std::find(names.begin(), names.end(), word);
        INFO("line " << n_lines + 1 << ": '" << word << "'");
        REQUIRE(place != names.end());
        counts[size_t(place - names.begin())]++;
        if (++n_lines == 100) {
            for (const int count : counts) CHECK(std::abs(count - 100.0 / 3) < 10);
        }
    }
    CHECK(n_lines == n);
    for (const int count : counts) CHECK(std::abs(count - double(n) / 3) <= 1);
}

TEST_CASE("the nearest anchor in the other language is the translation", "[data][anchors][real]") {
#ifdef __SANITIZE_ADDRESS__
    SKIP_TEST("800 texts take minutes under AddressSanitizer");
#else
    const std::string root = environment_variable("KOINE_DATA"), model = root + "/encoders/e5-multilingual";
    if (root.empty() || !is_model_folder(model)) SKIP_TEST("no encoders/e5-multilingual below KOINE_DATA");
    const ParallelTexts anchors = shipped();
    TextEncoder encoder({.model = model, .prefix = "query: ", .uses_cache = false}, {});
    const NoGrad no_grad;
    const Var en = l2_normalize(Var(encoder.encode(anchors.en))), it = l2_normalize(Var(encoder.encode(anchors.it)));
    for (const auto& [from, to, name] : {std::tuple(en, it, "English to Italian"), {it, en, "Italian to English"}}) {
        const std::vector<real> cosines = linear(from, to, Var()).value.to_vector();
        const int64_t n = anchors.size();
        int64_t n_right = 0;
        for (int64_t i = 0; i < n; i++) {
            const auto row = cosines.begin() + i * n;
            n_right += std::max_element(row, row + n) - row == i;
        }
        INFO(name << ": " << n_right << " of " << n);
        CHECK(double(n_right) >= 0.95 * double(n));
    }
#endif
}
