// Two files of word vectors brought to one list of words, and what the word programs do with them.
#include <sys/wait.h>

#include <nlohmann/json.hpp>

#include "data/word_pair.h"
#include "experiments/common/word_data.h"
#include "nn/retrieval.h"
#include "nn/relative.h"
#include "tests/catch.h"
#include "tests/experiments_common.h"
#include "tests/nn_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

const char* const kA =
    "9 2\nthere 1 0\nwater 0.5 1\nthe 9 9\nschool 1 2\nx2 1 1\nlake 0 1\nTiger -1 0.25\nna\xc3\xafve 1 1\nonlya 3 3\n";
const char* const kB = "school 7 1 0\nlake 0 0 2\nwater 1 1 1\nonlyb 1 2 3\nTiger 0 1 0\ntiger 5 5 5\n";

}  // namespace

TEST_CASE("a pair of files: common words in A's order, with what each filter left", "[data][words]") {
    const TemporaryFolder temporary;
    write_text("a.vec", kA);
    write_text("b.txt", kB);
    const WordPair pair = load_word_pair("a.vec", "b.txt");
    CHECK(pair.words == std::vector<std::string>{"water", "school", "lake", "Tiger"});
    CHECK(pair.a.to_vector() == std::vector<real>{real(0.5), 1, 1, 2, 0, 1, -1, real(0.25)});
    CHECK(pair.b.to_vector() == std::vector<real>{1, 1, 1, 7, 1, 0, 0, 0, 2, 0, 1, 0});
    const std::vector<std::pair<std::string, int64_t>> counts = {
        {"words in A", 9}, {"of letters only", 7}, {"four letters or more", 6}, {"no stop words", 5}, {"in B, too", 4}};
    CHECK(pair.counts == counts);
    CHECK(pair.find("lake") == 2);
    CHECK(pair.find("tiger") == -1);

    write_text("c.txt", "zebra 1 2\nhorse 1 2\n");
    CHECK_ERROR(load_word_pair("a.vec", "c.txt"), DataError,
                "c.txt: shares no word with a.vec that passes the filters");
    CHECK_ERROR(load_word_pair("a.vec", "nowhere.vec"), DataError, "nowhere.vec");
}

TEST_CASE("when many words are left, the most frequent ones are dropped", "[data][words]") {
    const TemporaryFolder temporary;
    std::string text;
    std::vector<std::string> kept;
    for (const std::string& word : synthetic_words(20500, 1).words) {
        text += word + " 1 2\n";
        if (!is_stop_word(word)) kept.push_back(word);  // "more" and a few others are made up, too
    }
    write_text("a.txt", text);
    const WordPair pair = load_word_pair("a.txt", "a.txt");
    CHECK(pair.words == std::vector<std::string>(kept.begin() + 400, kept.end()));
    CHECK(pair.counts.back().first == "without the 400 most frequent");
    CHECK(pair.counts.back().second == int64_t(kept.size()) - 400);
}

TEST_CASE("stop words", "[data][words]") {
    for (const char* word : {"there", "would", "because", "themselves"}) CHECK(is_stop_word(word));
    for (const char* word : {"school", "water", "There", ""}) CHECK_FALSE(is_stop_word(word));
}

TEST_CASE("made-up words: distinct, deterministic, one meaning seen twice", "[data][words]") {
    const WordPair pair = synthetic_words(600, 3), again = synthetic_words(600, 3), other = synthetic_words(600, 4);
    CHECK(pair.words == again.words);
    CHECK(is_same(pair.a, again.a));
    CHECK_FALSE(is_same(pair.a, other.a));
    std::vector<std::string> sorted = pair.words;
    std::sort(sorted.begin(), sorted.end());
    CHECK(std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end());
    // Absolute vectors know nothing of each other, relative codes do.
    const Spaces codes = relative_codes({pair.a, pair.b}, uniform_anchors(600, 100, 0));
    CHECK(compare_by_retrieval(pair.a, pair.b, 10).mrr < 0.05);
    CHECK(compare_by_retrieval(codes.a, codes.b, 10).mrr > 0.95);
    CHECK_ERROR(synthetic_words(0, 0), ValueError, "0 words");
    CHECK_ERROR(synthetic_words(100001, 0), ValueError, "100001 words");
}

TEST_CASE("word files are looked for in every data root, and in gensim's", "[data][words]") {
    const TemporaryFolder temporary;
    const EnvironmentVariable data("KOINE_DATA", "root"), cache("XDG_CACHE_HOME", "cache"),
        gensim("GENSIM_DATA_DIR", "gensim");
    const DataOptions options{.dir = "", .is_offline = true};
    CHECK_ERROR(find_word_vectors(options), DataError, "fasttext-wiki-news-subwords-300: not found");
    const auto put = [](const std::string& path) {
        std::filesystem::create_directories(std::filesystem::path(path).parent_path());
        write_text(path, "x");
    };
    put("gensim/fasttext-wiki-news-subwords-300/fasttext-wiki-news-subwords-300.gz");
    CHECK_THROWS_AS(find_word_vectors(options), DataError);  // half a pair is none
    put("gensim/word2vec-google-news-300/word2vec-google-news-300.gz");
    CHECK(find_word_vectors(options).second == "gensim/word2vec-google-news-300/word2vec-google-news-300.gz");
    put("root/vectors/trained_26M/fasttext.sg.300d.top20k.vec.gz");
    put("root/vectors/trained_26M/word2vec.sg.300d.top20k.bin.gz");
    CHECK(find_word_vectors(options).first == "root/vectors/trained_26M/fasttext.sg.300d.top20k.vec.gz");
    put("root/wiki-news-300d-1M.vec");
    put("root/GoogleNews-vectors-negative300.bin.gz");
    CHECK(find_word_vectors(options).first == "root/wiki-news-300d-1M.vec");
}

TEST_CASE("replacements, lists, centring", "[experiments][words]") {
    const WordPair pair = synthetic_words(50, 0);
    std::vector<std::string> notes;
    CHECK(find_or_replace(pair, pair.words[7], notes) == 7);
    CHECK(notes.empty());
    CHECK(find_or_replace(pair, "x" + pair.words[7], notes) == 7);
    CHECK(notes.size() == 1);
    CHECK(mentions(notes[0], "\"x" + pair.words[7] + "\" is not among the common words; \"" + pair.words[7]));

    CHECK(split_list("a,b c,,d,") == std::vector<std::string>{"a", "b c", "d"});
    CHECK(split_list("").empty());

    const Tensor x = Tensor::from({1, 0, 2, 0, 1, 1, -1, 0}, {4, 2});
    const Tensor c = centred_directions(x);
    const real r =
        real(std::sqrt(0.5));  // rows of length 1: (1, 0), (1, 0), (r, r), (-1, 0), mean ((1 + r) / 4, r / 4)
    CHECK(std::abs(c.at({0, 0}) - (1 - (1 + r) / 4)) < 1e-6);
    CHECK(std::abs(c.at({2, 1}) - (r - r / 4)) < 1e-6);
}

TEST_CASE("anchors of words by every strategy", "[experiments][words]") {
    const WordPair pair = synthetic_words(60, 0);
    for (const std::string& strategy : word_anchor_strategies()) {
        std::vector<int32_t> rows = choose_word_anchors(strategy, 12, 5, pair);
        std::sort(rows.begin(), rows.end());
        CHECK(rows.size() == 12);
        CHECK(std::adjacent_find(rows.begin(), rows.end()) == rows.end());
        CHECK(rows.front() >= 0);
        CHECK(rows.back() < 60);
        CHECK_THROWS_AS(choose_word_anchors(strategy, 61, 5, pair), ValueError);
    }
    CHECK(choose_word_anchors("top-frequency", 3, 5, pair) == std::vector<int32_t>{0, 1, 2});
}

TEST_CASE("the reference numbers of two real spaces", "[experiments][words]") {
    const char* root = std::getenv("KOINE_DATA");
    const std::string folder = std::string(root ? root : "") + "/vectors/trained_26M/";
    if (!root || !std::filesystem::exists(folder)) SKIP_TEST("no vectors/trained_26M below KOINE_DATA");
    const WordPair pair =
        load_word_pair(folder + "fasttext.sg.300d.top20k.vec.gz", folder + "word2vec.sg.300d.top20k.bin.gz");
    CHECK(pair.size() > 18000);
    // From numpy, in double precision, other words and anchors; one seed here, so a little more room than a mean needs.
    const std::vector<int32_t> words = uniform_anchors(pair.size(), 5000, 1),
                               anchors = uniform_anchors(pair.size(), 300, 0);
    const Spaces plain{pair.a, pair.b}, without_mean{centred_directions(pair.a), centred_directions(pair.b)};
    const Spaces relative = relative_codes(plain, anchors, words),
                 centred = relative_codes(without_mean, anchors, words);
    const auto check = [](const RetrievalScores& s, double jaccard, double mrr, double cosine) {
        CHECK(std::abs(s.jaccard - jaccard) < 0.02);
        CHECK(std::abs(s.mrr - mrr) < 0.04);
        CHECK(std::abs(s.cosine - cosine) < 0.02);
    };
    check(compare_by_retrieval(relative.a, relative.b, 10), 0.043, 0.062, 0.943);
    check(compare_by_retrieval(relative.b, relative.a, 10), 0.07, 0.26, 0.943);
    check(compare_by_retrieval(centred.a, centred.b, 10), 0.19, 0.567, 0.64);
    check(compare_by_retrieval(centred.b, centred.a, 10), 0.15, 0.42, 0.64);
    const Spaces absolute = select_rows(plain, words);
    CHECK(compare_by_retrieval(absolute.a, absolute.b, 10).mrr < 0.01);
    const RetrievalScores self = compare_by_retrieval(relative.a, relative.a, 10);
    CHECK(self.jaccard == 1);
    CHECK(self.mrr == 1);
    CHECK(self.cosine == 1);
}
