// What the word experiments share: their switches, the pair of spaces, anchors, neighbours.
#pragma once
#include <string>
#include <vector>

#include "data/word_pair.h"
#include "experiments/common/run.h"
#include "experiments/common/table.h"

namespace koine {

struct WordFlags : Flags {
    std::string a, b, anchor_strategy = "uniform";
    int64_t n_anchors = 300, k = 10;

    WordFlags();
    std::vector<Switch> switches() override;
};

/// The pair of --a and --b, of the data folders, or made up. Throws UsageError when only one of --a and --b is given,
/// else as load_word_pair and find_word_vectors.
WordPair load_words(const WordFlags& flags);
/// What the first lines of a run say about it.
RunInfo word_run_info(const WordFlags& flags, int64_t n_words, const WordPair& pair);

/// Rows of the anchors: uniform, top-frequency (the first ones), farthest-point or k-means (in A). Throws as the
/// functions of nn/relative.h.
std::vector<int32_t> choose_word_anchors(const std::string& strategy, int64_t count, uint64_t seed,
                                         const WordPair& pair);
/// The strategies by name.
const std::vector<std::string>& word_anchor_strategies();

/// The vectors of the same words in both spaces, or codes of them.
struct Spaces {
    Tensor a, b;
};
/// Some of the words.
Spaces select_rows(const Spaces& spaces, const std::vector<int32_t>& rows);
/// Cosines [n, A] of some words with the anchors, in each space with its own: computed on `device`, from and to the
/// host, where everything else about words happens.
Spaces relative_codes(const Spaces& spaces, const std::vector<int32_t>& anchors, const std::vector<int32_t>& rows,
                      Device device = Device::cpu);
/// The same of all words.
Spaces relative_codes(const Spaces& spaces, const std::vector<int32_t>& anchors, Device device = Device::cpu);

/// x[N, D], its rows brought to length 1 and their mean subtracted: embeddings share a large common component, which
/// all cosines see.
Tensor centred_directions(const Tensor& x);
/// A line for each of some words: its k nearest words in each space.
Table neighbours_table(const WordPair& pair, const std::vector<int64_t>& rows, int64_t k);
/// Some words of the pair, "a, b, c".
std::string listed(const WordPair& pair, const std::vector<int32_t>& rows);
/// The row of a word; when there is no such word, of the one that is spelt most like it, with a line in `notes`.
int64_t find_or_replace(const WordPair& pair, const std::string& word, std::vector<std::string>& notes);

}  // namespace koine
