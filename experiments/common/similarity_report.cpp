#include "experiments/common/similarity_report.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "autograd/ops.h"
#include "data/batches.h"
#include "nn/correlation.h"
#include "nn/similarity.h"

namespace koine {
namespace {

constexpr size_t kShownMatrices = 4;  // the first measures, whose matrices are shown

Tensor minus(const Tensor& x, const Tensor& row) {
    const NoGrad no_grad;
    return (Var(x) - Var(row)).value;
}

Tensor mean_row(const Tensor& x) {
    const NoGrad no_grad;
    return mean(Var(x), {0}).value;
}

// The same space with its test images in another order.
LatentSpace permuted(const LatentSpace& space, const std::vector<int32_t>& order) {
    LatentSpace other = space;
    other.codes = gather_rows(space.codes, order);
    other.centred_codes = gather_rows(space.centred_codes, order);
    return other;
}

// f(i, j) over the pairs of different spaces.
template <class F>
void for_pairs(size_t n, F f) {
    for (size_t i = 0; i < n; i++) {
        for (size_t j = i + 1; j < n; j++) f(i, j);
    }
}

double mean_of_pairs(const Similarities::Matrix& m) {
    double sum = 0;
    int n_pairs = 0;
    for_pairs(m.size(), [&](size_t i, size_t j) { sum += m[i][j], n_pairs++; });
    return sum / n_pairs;
}

// The measure of every pair, on and above the diagonal, and the same below it: all measures are symmetric.
template <class F>
Similarities::Matrix symmetric(size_t n, F of) {
    Similarities::Matrix m(n, std::vector<double>(n));
    for (size_t i = 0; i < n; i++) {
        for (size_t j = i; j < n; j++) m[i][j] = m[j][i] = of(i, j);
    }
    return m;
}

const Similarities& find(const std::vector<Similarities>& all, const std::string& key) {
    return *std::find_if(all.begin(), all.end(), [&](const Similarities& s) { return s.measure->key == key; });
}

}  // namespace

LatentSpace::LatentSpace(std::string name_, const Tensor& codes_, const Tensor& anchors_)
    : name(std::move(name_)),
      codes(codes_),
      anchors(anchors_),
      centred_codes(minus(codes, mean_row(anchors))),
      centred_anchors(minus(anchors, mean_row(anchors))) {}

const std::vector<Measure>& measures() {
    using Space = LatentSpace;
    static const std::vector<Measure> list = {
        {"absolute", "absolute cosine", "mean cosine of an image's two embeddings", false,
         [](const Space& a, const Space& b) { return mean_cosine(a.codes, b.codes); }},
        {"relative", "relative cosine", "mean cosine of an image's two relative codes (the paper's section 4.2)", false,
         [](const Space& a, const Space& b) { return relative_cosine(a.codes, a.anchors, b.codes, b.anchors); }},
        {"relative_centered", "relative cosine, centred", "the same, the mean of the anchors subtracted first", false,
         [](const Space& a, const Space& b) {
             return relative_cosine(a.centred_codes, a.centred_anchors, b.centred_codes, b.centred_anchors);
         }},
        {"cka", "linear CKA", "centred kernel alignment (Kornblith et al. 2019)", false,
         [](const Space& a, const Space& b) { return linear_cka(a.codes, b.codes); }},
        {"svcca", "SVCCA", "mean canonical correlation of the components with 99 % of the variance (Raghu et al. 2017)",
         false, [](const Space& a, const Space& b) { return svcca(a.codes, b.codes); }},
        {"neighbours", std::to_string(kNeighbours) + " neighbours, Jaccard",
         "shared neighbours among the test images, by cosine", false,
         [](const Space& a, const Space& b) { return neighbourhood_jaccard(a.codes, b.codes, kNeighbours); }},
        {"procrustes", "Procrustes distance",
         "what is left when one space is turned onto the other, 0 to 2 (Ding et "
         "al. 2021)",
         true, [](const Space& a, const Space& b) { return procrustes_distance(a.codes, b.codes); }},
    };
    return list;
}

double Similarities::mean() const { return mean_of_pairs(values); }
double Similarities::mean_permuted() const { return mean_of_pairs(permuted); }
double Similarities::mean_untrained() const {
    double sum = 0;
    for (const double value : untrained) sum += value;
    return sum / double(untrained.size());
}

Similarities::Count Similarities::pairs_above_nulls() const {
    const double sign = measure->is_distance ? -1 : 1;  // a distance is below its nulls
    double highest_permuted = -std::numeric_limits<double>::infinity(), highest_untrained = highest_permuted;
    for_pairs(values.size(),
              [&](size_t i, size_t j) { highest_permuted = std::max(highest_permuted, sign * permuted[i][j]); });
    for (const double value : untrained) highest_untrained = std::max(highest_untrained, sign * value);
    Count n;
    for_pairs(values.size(), [&](size_t i, size_t j) {
        n.pairs++;
        n.above_permuted += sign * values[i][j] > highest_permuted;
        n.above_untrained += sign * values[i][j] > highest_untrained;
    });
    return n;
}

std::vector<Similarities> compare_spaces(const std::vector<LatentSpace>& spaces, const LatentSpace& untrained,
                                         uint64_t seed) {
    const size_t n = spaces.size();
    if (n < 2) throw ValueError("compare_spaces: " + std::to_string(n) + " spaces; want 2 or more");
    const std::vector<int32_t> order = epoch_order(spaces[0].codes.shape[0], seed, 0);
    std::vector<LatentSpace> others;
    for (const LatentSpace& space : spaces) others.push_back(permuted(space, order));
    std::vector<Similarities> all;
    for (const Measure& m : measures()) {
        Similarities s{&m, {}, {}, {}};
        s.values = symmetric(n, [&](size_t i, size_t j) { return m.of(spaces[i], spaces[j]); });
        s.permuted = symmetric(n, [&](size_t i, size_t j) { return m.of(spaces[i], others[j]); });
        for (const LatentSpace& space : spaces) s.untrained.push_back(m.of(space, untrained));
        all.push_back(s);
    }
    return all;
}

Correlation correlate(const Similarities& s, const std::vector<double>& accuracies) {
    Correlation c;
    c.best = size_t(std::max_element(accuracies.begin(), accuracies.end()) - accuracies.begin());
    c.to_best = s.values[c.best];
    std::vector<double> similarity = c.to_best, accuracy = accuracies;
    similarity.erase(similarity.begin() + int64_t(c.best));
    accuracy.erase(accuracy.begin() + int64_t(c.best));
    const bool has_enough = accuracy.size() >= 2;
    c.pearson = has_enough ? pearson(similarity, accuracy) : std::numeric_limits<double>::quiet_NaN();
    c.spearman = has_enough ? spearman(similarity, accuracy) : std::numeric_limits<double>::quiet_NaN();
    return c;
}

// ---- for people ---------------------------------------------------------------------------------------------------

namespace {

Table similarity_table(const std::vector<Similarities>& all) {
    Table table("How alike are the embeddings of different networks? Means over pairs",
                {"measure", "networks", "null: permuted", "null: untrained", "beyond permuted", "beyond untrained"}, 3);
    for (const Similarities& s : all) {
        const auto n = s.pairs_above_nulls();
        const std::string of = " of " + std::to_string(n.pairs);
        table.add({s.measure->title, s.mean(), s.mean_permuted(), s.mean_untrained(),
                   std::to_string(n.above_permuted) + of, std::to_string(n.above_untrained) + of});
    }
    table.note(
        "Nulls: the other network's images in another order; an untrained network in its place. Beyond: pairs "
        "that are more alike than any pair of that null.");
    return table;
}

Table matrix_table(const Similarities& s, const std::vector<std::string>& names) {
    std::vector<std::string> columns = {""};
    columns.insert(columns.end(), names.begin(), names.end());
    columns.push_back("untrained");
    Table table(s.measure->title, columns, 3);
    for (size_t i = 0; i < names.size(); i++) {
        std::vector<Cell> row = {names[i]};
        for (const double value : s.values[i]) {
            row.push_back(value);
            row.back().shade = value;
        }
        row.push_back(s.untrained[i]);
        row.back().shade = s.untrained[i];
        table.add(row);
    }
    std::vector<Cell> null = {"permuted, mean"};
    for (size_t i = 0; i < names.size(); i++) {
        double sum = 0;
        for (size_t j = 0; j < names.size(); j++) sum += i == j ? 0 : s.permuted[i][j];
        null.push_back(sum / double(names.size() - 1));
    }
    null.push_back("");
    table.add(null);
    return table;
}

// What the numbers say.
std::vector<std::string> conclusions(const std::vector<Similarities>& all) {
    const Similarities& absolute = find(all, "absolute");
    const double excess = absolute.mean() - absolute.mean_permuted();
    std::string first = "Absolute: the mean cosine is " + fixed(absolute.mean(), 3) +
                        ", that of two different images " + fixed(absolute.mean_permuted(), 3) + ". ";
    first += std::abs(excess) < 0.05
                 ? "Without its null it is about 0 (" + fixed(excess, 3) +
                       "): the coordinates of the networks have nothing to do with each other, however good they "
                       "are. What is left is that a ReLU gives no negative numbers."
                 : "The difference, " + fixed(excess, 3) + ", is what the coordinates themselves have in common.";
    std::vector<std::string> sentences = {first};
    for (const char* key : {"relative", "relative_centered"}) {
        const Similarities& s = find(all, key);
        const auto n = s.pairs_above_nulls();
        const double above = s.mean() - std::max(s.mean_permuted(), s.mean_untrained());
        std::string text = (s.measure->key == "relative" ? "Relative: " : "Relative, centred: ") + fixed(s.mean(), 3) +
                           " between the networks, " + fixed(s.mean_permuted(), 3) + " for two different images, " +
                           fixed(s.mean_untrained(), 3) + " with an untrained network. ";
        if (n.above_permuted == n.pairs && n.above_untrained == n.pairs) {
            text += "Every pair lies above both nulls, by " + fixed(above, 3) +
                    " on average: seen from the anchors, the networks arrange the images alike.";
        } else if (n.above_permuted == n.pairs) {
            text +=
                "Every pair lies above the first null, not every pair above the second: what the networks share is "
                "there without training, too.";
        } else {
            text += "Not every pair lies above the first null: nothing in common can be seen for sure.";
        }
        sentences.push_back(text);
    }
    return sentences;
}

std::filesystem::path draw_similarities(const Run& run, const std::vector<Similarities>& all,
                                        const std::vector<std::string>& names) {
    std::vector<MatrixPanel> panels;
    for (size_t m = 0; m < kShownMatrices; m++)
        panels.push_back({all[m].measure->title, names, names, all[m].values, 3});
    return matrix_chart(run.figure("similarity.svg"), panels);
}

std::filesystem::path draw_correlation(const Run& run, const std::vector<Similarities>& all,
                                       const std::vector<std::string>& names, const std::vector<double>& accuracies) {
    std::vector<Panel> panels;
    for (const char* key : {"relative", "relative_centered"}) {
        const Similarities& s = find(all, key);
        const Correlation c = correlate(s, accuracies);
        Panel panel{s.measure->title, "similarity to the best network", "top-1 accuracy", {}};
        for (size_t i = 0; i < names.size(); i++) {
            panel.series.push_back({names[i] + (i == c.best ? " (the best)" : ""), {c.to_best[i]}, {accuracies[i]}});
        }
        panels.push_back(panel);
    }
    return scatter_chart(run.figure("accuracy.svg"), panels);
}

std::filesystem::path draw_curves(const Run& run) {
    const auto panel = [&](const char* title, const char* column, const char* unit) {
        return Panel{title, "epoch", unit, run.curves(column)};
    };
    return line_chart(
        run.figure("curves.svg"),
        {panel("training loss", "train_loss", "nats"), panel("test loss", "test_loss", "nats"),
         panel("test images, top 1", "test_top1", "share"), panel("test images, top 5", "test_top5", "share")});
}

Table network_table(const std::vector<Network>& networks, const ImageSet& data, bool are_snapshots) {
    Table table("The networks, on " + std::to_string(data.test.size()) + " test images",
                {"network", "epochs", "seed", "loss", "top 1", "top 5"}, 3);
    for (const Network& n : networks) {
        table.add({n.space.name, n.n_epochs, int64_t(n.seed), n.scores.loss, n.scores.top1, n.scores.top5});
    }
    table.note("By chance: top 1 " + fixed(1.0 / data.n_classes, 3) + ".");
    if (are_snapshots) {
        table.note(
            "A short cut (--snapshots): states of one network, which are more alike than networks from seeds of "
            "their own.");
    }
    return table;
}

Table correlation_table(const std::vector<Similarities>& all, const std::vector<std::string>& names,
                        const std::vector<double>& accuracies) {
    const size_t best = correlate(all[0], accuracies).best;
    const size_t n = names.size() - 1;
    Table table("Is a network that is more like the best one, " + names[best] + ", more accurate?",
                {"measure", "Pearson", "Spearman", "n"}, 2);
    for (const Similarities& s : all) {
        const Correlation c = correlate(s, accuracies);
        table.add({s.measure->title, c.pearson, c.spearman, n});
    }
    table.note("Over the other networks: n = " + std::to_string(n) + (n < 10 ? ": indicative only." : ".") +
               " A distance should fall where a similarity rises.");
    return table;
}

OrderedJson metrics_of(const std::vector<Network>& networks, const std::vector<Similarities>& all,
                       const std::vector<double>& accuracies) {
    OrderedJson json;
    for (const Network& n : networks) {
        json["models"].push_back({{"name", n.space.name},
                                  {"epochs", n.n_epochs},
                                  {"seed", n.seed},
                                  {"accuracy", n.scores.top1},
                                  {"top5", n.scores.top5},
                                  {"loss", n.scores.loss}});
    }
    for (const Similarities& s : all) json["similarity"][s.measure->key] = s.values;
    for (const Similarities& s : all) json["null"][s.measure->key] = s.permuted;
    for (const Similarities& s : all) json["null_untrained"][s.measure->key] = s.untrained;
    json["correlation"] = {{"best", networks[correlate(all[0], accuracies).best].space.name},
                           {"n", networks.size() - 1}};
    for (const Similarities& s : all) {
        const Correlation c = correlate(s, accuracies);
        json["correlation"][s.measure->key] = {{"pearson", c.pearson}, {"spearman", c.spearman}};
    }
    return json;
}

}  // namespace

void report_similarity(const Run& run, const ImageSet& data, const Anchors& anchors,
                       const std::vector<Network>& networks, const LatentSpace& untrained, uint64_t seed,
                       bool are_snapshots, const std::filesystem::path& examples) {
    std::vector<LatentSpace> spaces;
    std::vector<std::string> names;
    std::vector<double> accuracies;
    for (const Network& n : networks) {
        spaces.push_back(n.space);
        names.push_back(n.space.name);
        accuracies.push_back(n.scores.top1);
    }
    const std::vector<Similarities> all = compare_spaces(spaces, untrained, seed);

    std::vector<Table> tables = {network_table(networks, data, are_snapshots)};
    for (size_t m = 0; m < kShownMatrices; m++) tables.push_back(matrix_table(all[m], names));
    tables.push_back(correlation_table(all, names, accuracies));
    tables.push_back(similarity_table(all));
    for (const std::string& sentence : conclusions(all)) tables.back().note(sentence);

    Report report("Do networks that perform alike represent alike?",
                  std::to_string(networks.size()) + (are_snapshots ? " states of a classifier" : " classifiers") +
                      ", and the embeddings of the test images in their penultimate layer. Data: " + data.source +
                      ". " + std::to_string(anchors.ids.size()) + " anchors.");
    report.add(tables.front()).add(tables.back());
    report
        .add_figure(draw_similarities(run, all, names),
                    "Every network with every other: first as it is, then seen from the anchors, then by linear CKA.")
        .add_figure(
            draw_correlation(run, all, names, accuracies),
            "Accuracy against relative similarity to the best network, which is equal to itself and not counted.");
    for (size_t t = 1; t + 1 < tables.size(); t++) report.add(tables[t]);
    report
        .add_figure(draw_curves(run),
                    "Learning curves: loss in nats, and the share of images whose class is the "
                    "network's first guess, or among its first five.")
        .add_figure(examples, "Training images, and how the first epochs show them.");
    report.add_heading("The measures");
    for (const Measure& m : measures()) report.add_text(m.title + ": " + m.about + ".");
    OrderedJson metrics = {
        {"dataset",
         {{"name", data.name}, {"train", data.train.size()}, {"test", data.test.size()}, {"hash", data.hash}}},
        {"anchors", {{"count", anchors.ids.size()}, {"strategy", anchors.strategy}}},
        {"snapshots", are_snapshots}};
    metrics.update(metrics_of(networks, all, accuracies));
    metrics["seconds"] = run.seconds();
    run.finish(metrics, tables, report);
}

}  // namespace koine
