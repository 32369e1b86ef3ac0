// Two files of word vectors, brought to one list of words: row i of both matrices is the vector of the same word.
//
// Reading order: word_vectors.h, locate.h, this file.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "data/locate.h"
#include "data/word_vectors.h"

namespace koine {

/// The words that two files share and that pass the filters.
struct WordPair {
    std::string source_a, source_b;  ///< in plain words: which files, how much of them
    std::vector<std::string> words;  ///< N of them, in A's order: the most frequent first
    Tensor a, b;                     ///< [N, Da], [N, Db]
    /// What each filter left, in the order in which they were asked: "in A" 20000, "alphabetic" 19519, ...
    std::vector<std::pair<std::string, int64_t>> counts;
    std::vector<std::string> warnings;  ///< of both files

    int64_t size() const { return int64_t(words.size()); }
    /// The row of a word, or -1.
    int64_t find(std::string_view word) const;
};

/// Where the default pair of files is: fastText's wiki-news vectors (A) and GoogleNews' word2vec (B), or the pair of
/// vectors/trained_26M, in the first data root that has both; gensim-data folders ($GENSIM_DATA_DIR, ~/gensim-data) are
/// looked into, too. When there is none both are fetched (2.7 GB; their sizes are said first). Throws
/// DataError(MISSING).
std::pair<std::string, std::string> find_word_vectors(const DataOptions& options);

/// Reads both files. Kept are words of ASCII letters only, of four letters or more, that are no stop words
/// (is_stop_word) and are in both files; when 20000 or more are left, the 400 most frequent are dropped. Memory is
/// taken for what passes. Throws as load_word_vectors; DataError(VALUE) when no word is left.
WordPair load_word_pair(const std::string& file_a, const std::string& file_b);

/// n made-up words with a hidden meaning: points in clusters of a hidden space, seen by A and B through random maps of
/// their own, with noise. Results on them are no results on language. Throws ValueError unless 1 <= n <= 100000.
WordPair synthetic_words(int64_t n, uint64_t seed);

/// Words that say how others hang together, and little else: articles, pronouns, auxiliaries, prepositions,
/// conjunctions. English, lower case.
bool is_stop_word(std::string_view word);

}  // namespace koine
