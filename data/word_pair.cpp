#include "data/word_pair.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <unordered_set>

#include "data/batches.h"
#include "data/made_up_word.h"
#include "tensor/linalg.h"

namespace koine {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kManyWords = 20000, kMostFrequent = 400;

// Below a root: fastText's file, word2vec's file. The first name is where fetch.sh puts it.
struct KnownPair {
    std::vector<const char*> fasttext, word2vec;
};
const KnownPair kPairs[] = {
    {{"fasttext-wiki-news-subwords-300/fasttext-wiki-news-subwords-300.gz", "vectors/wiki-news-300d-1M.vec",
      "vectors/wiki-news-300d-1M.vec.gz", "wiki-news-300d-1M.vec", "wiki-news-300d-1M.vec.gz"},
     {"word2vec-google-news-300/word2vec-google-news-300.gz", "vectors/GoogleNews-vectors-negative300.bin",
      "vectors/GoogleNews-vectors-negative300.bin.gz", "GoogleNews-vectors-negative300.bin",
      "GoogleNews-vectors-negative300.bin.gz"}},
    {{"vectors/trained_26M/fasttext.sg.300d.top20k.vec.gz"}, {"vectors/trained_26M/word2vec.sg.300d.top20k.bin.gz"}},
};

std::string find_below(const std::string& root, const std::vector<const char*>& names) {
    std::error_code ignored;
    for (const char* name : names) {
        if (fs::is_regular_file(fs::path(root) / name, ignored)) return root + "/" + name;
    }
    return "";
}

// Fills `files` with the first pair of which a root has both.
bool find_pair(const std::string& root, std::pair<std::string, std::string>& files) {
    for (const KnownPair& pair : kPairs) {
        files = {find_below(root, pair.fasttext), find_below(root, pair.word2vec)};
        if (!files.first.empty() && !files.second.empty()) return true;
    }
    return false;
}

// Where gensim's downloader keeps its files.
std::string gensim_folder() {
    if (const char* folder = std::getenv("GENSIM_DATA_DIR")) return folder;
    const char* home = std::getenv("HOME");
    return home ? std::string(home) + "/gensim-data" : "";
}

bool is_alphabetic(std::string_view word) {
    return !word.empty() && std::all_of(word.begin(), word.end(),
                                        [](char c) { return ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z'); });
}

}  // namespace

int64_t WordPair::find(std::string_view word) const {
    const auto at = std::find(words.begin(), words.end(), word);
    return at == words.end() ? -1 : int64_t(at - words.begin());
}

std::pair<std::string, std::string> find_word_vectors(const DataOptions& options) {
    std::pair<std::string, std::string> files;
    std::vector<std::string> roots = data_roots(options);
    roots.push_back(gensim_folder());
    for (const std::string& root : roots) {
        if (!root.empty() && find_pair(root, files)) return files;
    }
    const KnownPair& official = kPairs[0];
    const auto fetch = [&](const std::string& name, const std::vector<const char*>& names) {
        const std::string root =
            find_or_fetch(name, options, [&](const std::string& r) { return !find_below(r, names).empty(); });
        return find_below(root, names);
    };
    files.first = fetch("fasttext-wiki-news-subwords-300", official.fasttext);
    files.second = fetch("word2vec-google-news-300", official.word2vec);
    return files;
}

WordPair load_word_pair(const std::string& file_a, const std::string& file_b) {
    int64_t n_words = 0, n_alphabetic = 0, n_long = 0, n_content = 0;
    const auto is_wanted = [&](std::string_view word) {
        n_words++;
        if (!is_alphabetic(word)) return false;
        n_alphabetic++;
        if (word.size() < 4) return false;
        n_long++;
        if (is_stop_word(word)) return false;
        n_content++;
        return true;
    };
    const WordVectors a = load_word_vectors(file_a, {.filter = is_wanted, .keeps_bytes = true});
    const auto is_in_a = [&](std::string_view word) { return a.find(word) >= 0; };
    const WordVectors b = load_word_vectors(file_b, {.filter = is_in_a, .keeps_bytes = true});

    std::vector<int32_t> rows_a, rows_b;
    for (int64_t i = 0; i < a.size(); i++) {
        const int64_t j = b.find(a.words[size_t(i)]);
        if (j < 0) continue;
        rows_a.push_back(int32_t(i));
        rows_b.push_back(int32_t(j));
    }
    WordPair pair;
    pair.counts = {{"words in A", n_words},
                   {"of letters only", n_alphabetic},
                   {"four letters or more", n_long},
                   {"no stop words", n_content},
                   {"in B, too", int64_t(rows_a.size())}};
    if (int64_t(rows_a.size()) >= kManyWords) {
        rows_a.erase(rows_a.begin(), rows_a.begin() + kMostFrequent);
        rows_b.erase(rows_b.begin(), rows_b.begin() + kMostFrequent);
        pair.counts.emplace_back("without the " + std::to_string(kMostFrequent) + " most frequent",
                                 int64_t(rows_a.size()));
    }
    if (rows_a.empty())
        throw DataError("VALUE", file_b, "", "shares no word with " + file_a + " that passes the filters");
    pair.source_a = a.source, pair.source_b = b.source;
    for (int32_t row : rows_a) pair.words.emplace_back(a.words[size_t(row)]);
    pair.a = gather_rows(a.vectors, rows_a), pair.b = gather_rows(b.vectors, rows_b);
    for (const WordVectors* v : {&a, &b})
        pair.warnings.insert(pair.warnings.end(), v->warnings.begin(), v->warnings.end());
    return pair;
}

// ---- made-up words ------------------------------------------------------------------------------------------------

WordPair synthetic_words(int64_t n, uint64_t seed) {
    if (n < 1 || n > 100000) throw ValueError("synthetic_words: " + std::to_string(n) + " words; want 1 to 100000");
    constexpr int64_t kHidden = 50, kDim = 300, kClusters = 60;
    // A meaning: a cluster's centre and a deviation from it, half as large.
    const Tensor centers = Tensor::normal({kClusters, kHidden}, {seed, 1});
    const Tensor deviation = Tensor::normal({n, kHidden}, {seed, 3});
    const Random which{seed, 2};
    const auto meaning = [&](int64_t i, int64_t k) {
        const int64_t cluster = which.below(uint64_t(i), kClusters);
        return centers.data()[cluster * kHidden + k] + deviation.data()[i * kHidden + k] / 2;
    };
    // The first rows of an orthogonal map: it keeps all angles of the hidden space.
    const auto seen = [&](uint64_t stream) {
        const Tensor map = random_orthogonal(kDim, {seed, stream}), y = Tensor::normal({n, kDim}, {seed, stream + 1});
        for_tasks(Device::cpu, n, [&](int64_t i) {
            real* row = y.data() + i * kDim;
            for (int64_t d = 0; d < kDim; d++) row[d] /= 10;
            for (int64_t k = 0; k < kHidden; k++) {
                const real m = meaning(i, k);
                for (int64_t d = 0; d < kDim; d++) row[d] += m * map.data()[k * kDim + d];
            }
        });
        return y;
    };
    WordPair pair;
    pair.source_a = pair.source_b = "made-up words, a hidden space seen through a random map with noise; not language";
    for (int64_t i = 0; i < n; i++) pair.words.push_back(made_up_word(i, "bdfgklmnprstvz", "aeiou"));
    pair.a = seen(10), pair.b = seen(20);
    pair.counts = {{"made-up words", n}};
    return pair;
}

bool is_stop_word(std::string_view word) {
    static const std::unordered_set<std::string_view> words = {
        "able",       "about",      "above",      "according", "across",      "after",        "again",     "against",
        "ahead",      "almost",     "along",      "already",   "also",        "although",     "always",    "amid",
        "among",      "another",    "anybody",    "anyone",    "anything",    "anyway",       "around",    "aside",
        "away",       "because",    "been",       "before",    "behind",      "being",        "below",     "beneath",
        "beside",     "besides",    "between",    "beyond",    "both",        "cannot",       "could",     "despite",
        "does",       "doing",      "done",       "down",      "during",      "each",         "either",    "else",
        "elsewhere",  "enough",     "even",       "ever",      "every",       "everybody",    "everyone",  "everything",
        "everywhere", "except",     "from",       "further",   "furthermore", "have",         "having",    "hence",
        "here",       "hers",       "herself",    "himself",   "however",     "indeed",       "inside",    "instead",
        "into",       "itself",     "just",       "least",     "less",        "like",         "many",      "maybe",
        "meanwhile",  "might",      "mine",       "more",      "moreover",    "most",         "much",      "must",
        "myself",     "near",       "nearly",     "neither",   "never",       "nevertheless", "nobody",    "none",
        "nothing",    "nowhere",    "often",      "once",      "only",        "onto",         "other",     "others",
        "otherwise",  "ought",      "ours",       "ourselves", "outside",     "over",         "past",      "perhaps",
        "quite",      "rather",     "really",     "same",      "seem",        "seemed",       "seems",     "several",
        "shall",      "should",     "since",      "some",      "somebody",    "someone",      "something", "sometimes",
        "somewhere",  "soon",       "still",      "such",      "than",        "that",         "their",     "theirs",
        "them",       "themselves", "then",       "there",     "thereby",     "therefore",    "these",     "they",
        "this",       "those",      "though",     "through",   "throughout",  "thus",         "together",  "toward",
        "towards",    "under",      "underneath", "unless",    "unlike",      "until",        "unto",      "upon",
        "very",       "well",       "were",       "what",      "whatever",    "when",         "whenever",  "where",
        "whereas",    "wherever",   "whether",    "which",     "whichever",   "while",        "whoever",   "whole",
        "whom",       "whose",      "will",       "with",      "within",      "without",      "would",     "your",
        "yours",      "yourself",   "yourselves"};
    return words.contains(word);
}

}  // namespace koine
