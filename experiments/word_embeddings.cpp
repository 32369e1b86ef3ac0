// Two spaces of words that nobody trained together: section 4 of the report, section 4.1 of the paper (Moschella et
// al., ICLR 2023).
//
// fastText and word2vec give the same words vectors of their own: a word's vector in A says nothing about its vector in
// B. Its cosines with the vectors of 300 anchor words do: here each word's code of one space is looked up among the
// codes of the other. First a picture: four words and their neighbours in A, then the same words in B. Then numbers.
//
// Expect (vectors/trained_26M, 5000 words, 300 anchors, K = 10, about a minute on 2 cores): absolute MRR 0.002;
// relative A -> B MRR 0.06, B -> A 0.26; with each space's mean subtracted first 0.57 and 0.42.
//
// With --device cuda the relative codes are computed there. Most of the time goes into looking words up, on the host.
#include <cctype>
#include <map>
#include <nlohmann/json.hpp>

#include "data/batches.h"
#include "data/word_pair.h"
#include "experiments/common/codes_chart.h"
#include "experiments/common/run_main.h"
#include "experiments/common/word_data.h"
#include "nn/relative.h"
#include "nn/retrieval.h"

using namespace koine;

struct Config : WordFlags {
    int64_t n_words = 0, cluster_size = 40;
    std::string words, projection = "pca";
    bool center = false;

    Config() {
        name = "word_embeddings", about = "words of one embedding found in another through relative representations";
        seeds = 10;
    }
    void set_defaults() override { n_words = full ? 20000 : 5000; }
    /// Those that are compared.
    std::vector<std::string> strategies() const {
        return anchor_strategy == "all" ? word_anchor_strategies() : std::vector{anchor_strategy};
    }
    std::vector<Switch> switches() override {
        std::vector<Switch> list = WordFlags::switches();
        for (Switch& s : list) {
            if (s.name == "anchor-strategy") s.choices.push_back("all");  // compared, each with rows of its own
        }
        list.push_back(
            {"n-words", &n_words, "words that are looked up, and looked among: for each seed others", {.min = 2}});
        list.push_back(
            {"words", &words, "whose neighbours are drawn; else school,ferrari,water,martial", {}, {}, "WORD,..."});
        list.push_back({"cluster-size", &cluster_size, "neighbours of each", {.min = 1, .max = 1000}});
        list.push_back({"projection", &projection, "of the picture", {}, {"pca", "tsne", "first2"}});
        list.push_back({"center", &center, "draw the spaces with their mean subtracted"});
        return list;
    }
};

// ---- the picture --------------------------------------------------------------------------------------------------

/// A word, and the rows of those that are nearest to it in A, itself first.
struct Cluster {
    int64_t row;
    std::vector<int32_t> rows;
};

std::vector<Cluster> find_clusters(const WordPair& pair, const Config& config, std::vector<std::string>& notes) {
    std::vector<Cluster> clusters;
    std::vector<bool> is_taken(size_t(pair.size()));
    for (const std::string& wanted : split_list(config.words)) {
        const int64_t row = find_or_replace(pair, wanted, notes);
        Cluster cluster{row, {}};
        for (const int32_t other : nearest_rows(pair.a.slice(0, row, row + 1), pair.a, pair.size())) {
            if (is_taken[size_t(other)]) continue;
            is_taken[size_t(other)] = true;
            cluster.rows.push_back(other);
            if (int64_t(cluster.rows.size()) > config.cluster_size) break;
        }
        clusters.push_back(cluster);
    }
    return clusters;
}

std::filesystem::path draw_clusters(const std::filesystem::path& path, const WordPair& pair,
                                    const std::vector<Cluster>& clusters, const Spaces& absolute,
                                    const Spaces& relative, const std::string& projection) {
    std::vector<int32_t> rows, labels;
    std::vector<std::string> names;
    for (const Cluster& cluster : clusters) {
        rows.insert(rows.end(), cluster.rows.begin(), cluster.rows.end());
        labels.insert(labels.end(), cluster.rows.size(), int32_t(names.size()));
        names.push_back(pair.words[size_t(cluster.row)]);
    }
    const std::vector<ShownCodes> shown = {{"absolute, A", gather_rows(absolute.a, rows)},
                                           {"absolute, B", gather_rows(absolute.b, rows)},
                                           {"relative, A", gather_rows(relative.a, rows)},
                                           {"relative, B", gather_rows(relative.b, rows)}};
    return codes_chart(path, shown, 2, labels, names, projection);
}

// ---- the numbers --------------------------------------------------------------------------------------------------

/// What a seed stands for: the words that are looked up and looked among, and the anchors.
struct Draw {
    uint64_t seed;
    std::vector<int32_t> words;
};

const std::vector<std::string> kDirections = {"a_to_a", "a_to_b", "b_to_a", "b_to_b"};

/// The scores of every direction, one for each seed.
using Scores = std::map<std::string, std::vector<RetrievalScores>>;

void add_scores(Scores& scores, const Spaces& codes, int64_t k) {
    for (const std::string& direction : kDirections) {
        const Tensor& from = direction[0] == 'a' ? codes.a : codes.b;
        const Tensor& to = direction.back() == 'a' ? codes.a : codes.b;
        scores[direction].push_back(compare_by_retrieval(from, to, k));
    }
}

using Score = double RetrievalScores::*;

MeanAndDeviation over_seeds(const std::vector<RetrievalScores>& scores, Score score) {
    std::vector<double> values;
    for (const RetrievalScores& s : scores) values.push_back(s.*score);
    return mean_and_deviation(values);
}

struct Column {
    const char *title, *key;
    Score score;
};
const Column kColumns[] = {{"Jaccard", "jaccard", &RetrievalScores::jaccard},
                           {"MRR", "mrr", &RetrievalScores::mrr},
                           {"cosine", "cosine", &RetrievalScores::cosine},
                           {"top 1", "top1", &RetrievalScores::top1},
                           {"top K", "top_k", &RetrievalScores::top_k}};

void add_rows(Table& table, const std::string& codes, const Scores& scores) {
    for (const auto& [direction, all] : scores) {
        const std::string arrow{char(std::toupper(direction[0])),    ' ', '-', '>', ' ',
                                char(std::toupper(direction.back()))};
        std::vector<Cell> row = {codes, arrow};
        for (const Column& c : kColumns) {
            const MeanAndDeviation m = over_seeds(all, c.score);
            row.push_back(all.size() > 1 ? cell_of(m, 3) : Cell(m.mean, 3));
        }
        table.add(row);
    }
}

OrderedJson json_of(const Scores& scores) {
    OrderedJson json;
    for (const auto& [direction, all] : scores) {
        for (const Column& c : kColumns) {
            const MeanAndDeviation m = over_seeds(all, c.score);
            json[direction][c.key] = m.mean;
            json[direction][std::string(c.key) + "_deviation"] = m.deviation;
        }
    }
    return json;
}

/// All rows of the table, and their numbers in `metrics`.
Table compare_spaces(const WordPair& pair, const Spaces& plain, const Spaces& without_mean,
                     const std::vector<Draw>& draws, const Config& config, Device device, OrderedJson& metrics) {
    Table table("Each of " + std::to_string(draws[0].words.size()) +
                    " words of one space looked up in the other, by cosine, K = " + std::to_string(config.k),
                {"codes", "direction", "Jaccard", "MRR", "cosine", "top 1", "top K"});
    if (pair.a.shape == pair.b.shape) {
        Scores absolute;
        for (const Draw& draw : draws) add_scores(absolute, select_rows(plain, draw.words), config.k);
        add_rows(table, "absolute", absolute);
        metrics["absolute"] = json_of(absolute);
    } else {
        table.note("Vectors of " + std::to_string(pair.a.shape[1]) + " and of " + std::to_string(pair.b.shape[1]) +
                   " numbers cannot be compared as they are.");
    }
    for (const std::string& strategy : config.strategies()) {
        Scores relative, relative_centered;
        for (const Draw& draw : draws) {
            const auto anchors = choose_word_anchors(strategy, config.n_anchors, draw.seed, pair);
            add_scores(relative, relative_codes(plain, anchors, draw.words, device), config.k);
            add_scores(relative_centered, relative_codes(without_mean, anchors, draw.words, device), config.k);
        }
        const bool is_one_of_many = config.strategies().size() > 1;
        const std::string suffix = is_one_of_many ? ", " + strategy : "";
        add_rows(table, "relative" + suffix, relative);
        add_rows(table, "relative, centred" + suffix, relative_centered);
        OrderedJson& place = is_one_of_many ? metrics["strategies"][strategy] : metrics;
        place["relative"] = json_of(relative);
        place["relative_centered"] = json_of(relative_centered);
    }
    return table;
}

int main(int argc, char** argv) {
    Config config;
    return run_main(config, argc, argv, [&] {
        const Device device = choose_device(config);
        const WordPair pair = load_words(config);
        const int64_t n = std::min(config.n_words, pair.size());
        const bool is_made_up = config.data_set == "synthetic";
        if (config.words.empty()) config.words = is_made_up ? "baba,beba,biba,boba" : "school,ferrari,water,martial";
        const Run run(config, word_run_info(config, n, pair));

        const Spaces plain{pair.a, pair.b}, without_mean{centred_directions(pair.a), centred_directions(pair.b)};
        std::vector<Draw> draws;
        for (int64_t i = 0; i < config.seeds; i++) {
            const uint64_t seed = 2 * uint64_t(config.seed + i);  // even ones for anchors, odd ones for words
            draws.push_back({seed, uniform_anchors(pair.size(), n, seed + 1)});
        }
        OrderedJson metrics = {
            {"common_words", pair.size()}, {"words", n}, {"anchors", config.n_anchors}, {"k", config.k}};
        const Table numbers = compare_spaces(pair, plain, without_mean, draws, config, device, metrics);
        metrics["seconds"] = run.seconds();

        std::vector<std::string> notes = pair.warnings;
        const std::vector<Cluster> clusters = find_clusters(pair, config, notes);
        const Spaces& shown = config.center ? without_mean : plain;
        const auto anchors = choose_word_anchors(config.strategies()[0], config.n_anchors, draws[0].seed, pair);
        const auto picture = draw_clusters(run.figure("clusters.svg"), pair, clusters, shown,
                                           relative_codes(shown, anchors, device), config.projection);
        Table counts("Words", {"filter", "left"});
        for (const auto& [filter, left] : pair.counts) counts.add({filter, left});
        std::vector<int64_t> rows;
        for (const Cluster& cluster : clusters) rows.push_back(cluster.row);
        Table neighbours = neighbours_table(pair, rows, 5);
        for (const std::string& note : notes) neighbours.note(note);
        Report report("Words of one embedding in another", "A: " + pair.source_a + ". B: " + pair.source_b + ".");
        report
            .add_figure(picture,
                        "Words and their neighbours in A, the same words in B. Absolute vectors of the two spaces have "
                        "nothing to do with each other; relative codes have the same shape in both.")
            .add(numbers)
            .add(neighbours)
            .add(counts);
        run.finish(metrics, {counts, neighbours, numbers}, report);
    });
}
