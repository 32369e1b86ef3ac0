#include "experiments/common/word_data.h"

#include <algorithm>
#include <numeric>

#include "data/batches.h"
#include "nn/names.h"
#include "nn/relative.h"
#include "nn/retrieval.h"

namespace koine {

WordFlags::WordFlags() {
    data_sets = {"files", "synthetic"}, data_set = "files";
    unused = {"train-limit", "test-limit", "epochs", "batch-size", "lr", "protocol", "tf32", "resume"};
}

std::vector<Switch> WordFlags::switches() {
    std::vector<Switch> list = Flags::switches();
    list.push_back({"a",
                    &a,
                    "vectors of space A (.bin, .vec, text, fastText; .gz too); else those of the data folders",
                    {},
                    {},
                    "FILE"});
    list.push_back({"b", &b, "vectors of space B", {}, {}, "FILE"});
    list.push_back({"anchors", &n_anchors, "anchor words", {.min = 2}});
    list.push_back({"anchor-strategy", &anchor_strategy, "how they are chosen", {}, word_anchor_strategies()});
    list.push_back({"k", &k, "neighbours that are compared", {.min = 1}});
    return list;
}

WordPair load_words(const WordFlags& flags) {
    if (flags.a.empty() != flags.b.empty()) throw UsageError("--a and --b: expected both files, or neither");
    if (flags.data_set == "synthetic") return synthetic_words(4000, uint64_t(flags.seed));
    if (!flags.a.empty()) return load_word_pair(flags.a, flags.b);
    const auto [a, b] = find_word_vectors(data_options(flags));
    return load_word_pair(a, b);
}

RunInfo word_run_info(const WordFlags& flags, int64_t n_words, const WordPair& pair) {
    RunInfo info;
    choose_device(flags, info);
    info.data = flags.data_set == "synthetic" ? "synthetic words" : "words";
    info.unit = "words";
    info.n_train = n_words, info.n_test = pair.size();
    return info;
}

const std::vector<std::string>& word_anchor_strategies() {
    static const std::vector<std::string> names{"uniform", "top-frequency", "farthest-point", "k-means"};
    return names;
}

std::vector<int32_t> choose_word_anchors(const std::string& strategy, int64_t count, uint64_t seed,
                                         const WordPair& pair) {
    if (strategy == "farthest-point") return farthest_point_anchors(pair.a, count, seed);
    if (strategy == "k-means") return k_means_anchors(pair.a, count, seed);
    if (strategy == "uniform") return uniform_anchors(pair.size(), count, seed);
    if (count > pair.size())
        throw ValueError("top-frequency anchors: " + std::to_string(count) + " of " + std::to_string(pair.size()) +
                         " words");
    std::vector<int32_t> first(static_cast<size_t>(count));
    std::iota(first.begin(), first.end(), 0);
    return first;
}

Spaces select_rows(const Spaces& spaces, const std::vector<int32_t>& rows) {
    return {gather_rows(spaces.a, rows), gather_rows(spaces.b, rows)};
}

namespace {

Spaces cosines_with(const Spaces& anchors, const Spaces& words, Device device) {
    const NoGrad no_grad;
    const auto cosines = [&](const Tensor& x, const Tensor& a) {
        return relative(x.to(device), a.to(device)).value.to(Device::cpu);
    };
    return {cosines(words.a, anchors.a), cosines(words.b, anchors.b)};
}

}  // namespace

Spaces relative_codes(const Spaces& spaces, const std::vector<int32_t>& anchors, const std::vector<int32_t>& rows,
                      Device device) {
    return cosines_with(select_rows(spaces, anchors), select_rows(spaces, rows), device);
}

Spaces relative_codes(const Spaces& spaces, const std::vector<int32_t>& anchors, Device device) {
    return cosines_with(select_rows(spaces, anchors), spaces, device);
}

Tensor centred_directions(const Tensor& x) {
    const NoGrad no_grad;
    const Var unit = l2_normalize(Var(x));
    return (unit - mean(unit, {0}, true)).value;
}

Table neighbours_table(const WordPair& pair, const std::vector<int64_t>& rows, int64_t k) {
    Table table("Nearest words in each space, by cosine", {"word", "in A", "in B"});
    for (const int64_t row : rows) {
        const auto neighbours = [&](const Tensor& x) {
            std::vector<int32_t> found = nearest_rows(x.slice(0, row, row + 1), x, k + 1);
            std::erase(found, int32_t(row));
            return listed(pair, found);
        };
        table.add({pair.words[size_t(row)], neighbours(pair.a), neighbours(pair.b)});
    }
    return table;
}

std::string listed(const WordPair& pair, const std::vector<int32_t>& rows) {
    std::string text;
    for (const int32_t row : rows) text += (text.empty() ? "" : ", ") + pair.words[size_t(row)];
    return text;
}

int64_t find_or_replace(const WordPair& pair, const std::string& word, std::vector<std::string>& notes) {
    const int64_t row = pair.find(word);
    if (row >= 0) return row;
    int64_t nearest = 0;
    int best = edit_distance(word, pair.words[0]);
    for (int64_t i = 1; i < pair.size(); i++) {
        const int distance = edit_distance(word, pair.words[size_t(i)]);
        if (distance < best) best = distance, nearest = i;
    }
    notes.push_back("\"" + word + "\" is not among the common words; \"" + pair.words[size_t(nearest)] +
                    "\" stands in for it.");
    return nearest;
}

}  // namespace koine
