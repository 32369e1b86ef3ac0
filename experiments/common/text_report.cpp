#include "experiments/common/text_report.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "autograd/ops.h"
#include "data/batches.h"
#include "nn/relative.h"
#include "nn/retrieval.h"
#include "tensor/linalg.h"

namespace koine {
namespace {

constexpr int64_t kPointsOfEach = 500;  // more only make a scatter plot heavier
constexpr int kExamples = 6, kNearest = 5;

using Score = double (*)(const Confusion&);
double accuracy(const Confusion& c) { return c.accuracy(); }
double weighted_f1(const Confusion& c) { return c.weighted_f1(); }
double mean_absolute_error(const Confusion& c) { return c.mean_absolute_error(); }

const std::map<std::string, std::string> kTitles = {
    {"absolute", "absolute"}, {"relative", "relative"}, {"relative_centered", "relative, centred"}};

// What a classifier was trained on and tested on, and the key of that.
struct Direction {
    const char *key, *from, *to;
};
const Direction kDirections[] = {{"en", "English", "English"},
                                 {"it_zero_shot", "English", "Italian, zero-shot"},
                                 {"it", "Italian", "Italian"},
                                 {"en_zero_shot", "Italian", "English, zero-shot"}};

MeanAndDeviation over_seeds(const std::vector<Confusion>& all, Score score) {
    std::vector<double> values;
    for (const Confusion& c : all) values.push_back(score(c));
    return mean_and_deviation(values);
}

Cell score_cell(const Results& results, const std::string& key, Score score) {
    const auto found = results.find(key);
    if (found == results.end()) return "-";
    const MeanAndDeviation m = over_seeds(found->second, score);
    return found->second.size() > 1 ? cell_of(m, 3) : Cell(m.mean, 3);
}

Table main_table(const TextData& data, const TextResults& results, int64_t n_anchors, const std::string& head) {
    const int64_t n_test = data.en.texts.test.size();
    Table table("Sentiment of " + std::to_string(n_test) + " texts, by " + std::to_string(n_anchors) +
                    " anchors; chance is 0.333",
                {"codes", "trained on", "tested on", "accuracy", "weighted F1", "mean abs. error"});
    for (const std::string& kind : kCodeKinds) {
        const Results& r = results.main.at(kind);
        for (const Direction& d : kDirections) {
            table.add({kTitles.at(kind), d.from, d.to, score_cell(r, d.key, accuracy),
                       score_cell(r, d.key, weighted_f1), score_cell(r, d.key, mean_absolute_error)});
        }
    }
    const size_t n_seeds = results.main.at("absolute").at("en").size();
    if (n_seeds > 1) table.note("Mean and standard deviation over " + std::to_string(n_seeds) + " seeds.");
    if (!results.main.at("absolute").contains("it_zero_shot")) {
        table.note("Absolute zero-shot: impossible, the encoders have " + std::to_string(data.en.test().shape[1]) +
                   " and " + std::to_string(data.it.test().shape[1]) + " features.");
    }
    if (head == "paper") {
        table.note(
            "--head paper: the classifier normalises over the test texts at hand, so a text's class depends on "
            "the texts beside it, and has a ReLU on its logits.");
    }
    for (const std::string& note : data.notes) table.note(note);
    return table;
}

Table sweep_table(const TextResults& results) {
    Table table("How many anchors does it take? Accuracy, trained on English",
                {"anchors", "relative: English", "Italian, zero-shot", "centred: English", "Italian, zero-shot"});
    for (const auto& [n, by_kind] : results.sweep) {
        std::vector<Cell> row = {n};
        for (const char* kind : {"relative", "relative_centered"}) {
            for (const char* key : {"en", "it_zero_shot"}) row.push_back(score_cell(by_kind.at(kind), key, accuracy));
        }
        table.add(row);
    }
    return table;
}

std::filesystem::path draw_sweep(const Run& run, const TextResults& results) {
    std::vector<Panel> panels;
    for (const auto& [key, title] :
         {std::pair("en", "tested on English"), {"it_zero_shot", "tested on Italian, zero-shot"}}) {
        Panel panel{title, "number of anchors", "accuracy", {}};
        for (const std::string& kind : kCodeKinds) {
            Series series{kTitles.at(kind), {}, {}};
            for (const auto& [n, by_kind] : results.sweep) {
                // Absolute codes know no anchors: the same value at every number.
                const Results& r = kind == "absolute" ? results.main.at(kind) : by_kind.at(kind);
                if (!r.contains(key)) continue;
                series.x.push_back(double(n));
                series.y.push_back(over_seeds(r.at(key), accuracy).mean);
            }
            panel.series.push_back(series);
        }
        panels.push_back(panel);
    }
    return line_chart(run.figure("anchors.svg"), panels);
}

// The share of each right class that was taken for each class, over all seeds.
std::vector<std::vector<double>> shares(const std::vector<Confusion>& all) {
    const int64_t k = all[0].n_classes;
    std::vector<std::vector<double>> rows;
    for (int64_t right = 0; right < k; right++) {
        std::vector<double> row(static_cast<size_t>(k));
        double n = 0;
        for (const Confusion& c : all) {
            for (int64_t predicted = 0; predicted < k; predicted++)
                row[size_t(predicted)] += double(c.at(right, predicted));
            n += double(c.n_of(right));
        }
        for (double& share : row) share /= n;
        rows.push_back(row);
    }
    return rows;
}

std::filesystem::path draw_confusion(const Run& run, const TextResults& results) {
    std::vector<MatrixPanel> panels;
    const auto add = [&](const std::string& title, const std::string& kind, const char* key) {
        const Results& r = results.main.at(kind);
        if (r.contains(key)) panels.push_back({title, sentiment_names(), sentiment_names(), shares(r.at(key)), 2});
    };
    for (const std::string& kind : kCodeKinds) add(kTitles.at(kind) + ": Italian, zero-shot", kind, "it_zero_shot");
    add("trained on Italian, absolute", "absolute", "it");
    return matrix_chart(run.figure("confusion.svg"), panels);
}

// Test texts of both languages in the plane of their two principal components, coloured by language.
std::filesystem::path draw_languages(const Run& run, const TextCodes& codes) {
    std::vector<Panel> panels;
    for (const std::string& kind : kCodeKinds) {
        const TextCodes::Pair& pair = codes.test.at(kind);
        if (pair.en.shape[1] != pair.it.shape[1] || pair.en.shape[1] < 2) continue;
        const auto first = [](const Tensor& x) { return x.slice(0, 0, std::min(x.shape[0], kPointsOfEach)); };
        const Tensor en = first(pair.en), it = first(pair.it);
        const NoGrad no_grad;
        const Tensor both = concat({en, it}, 0).value;
        std::vector<int32_t> language(static_cast<size_t>(both.shape[0]), 1);
        std::fill_n(language.begin(), en.shape[0], 0);
        const std::vector<real> points = pca(both, 2).project(both).to_vector();
        panels.push_back({kTitles.at(kind), "", "", by_class(points, language, {"English", "Italian"})});
    }
    return panels.empty() ? "" : scatter_chart(run.figure("languages.svg"), panels, int(panels.size()));
}

std::filesystem::path draw_curves(const Run& run) {
    std::vector<Panel> panels;
    for (const auto& [column, title, unit] :
         {std::tuple("train_loss", "training loss", "nats"),
          {"valid_accuracy", "validation texts of the same language", "accuracy"}}) {
        Panel panel{title, "epoch", unit, {}};
        for (const Series& series : run.curves(column)) {
            const bool is_main = series.name.ends_with("-en-0") || series.name.ends_with("-it-0");
            if (is_main) panel.series.push_back(series);
        }
        panels.push_back(panel);
    }
    return line_chart(run.figure("curves.svg"), panels);
}

int64_t largest(const std::vector<real>& row) { return std::max_element(row.begin(), row.end()) - row.begin(); }

// Italian test texts, two of each sentiment, beside the anchor with the largest number in their centred code.
Table example_table(const TextData& data, const TextCodes& codes) {
    Table table("What a code says: the largest of its numbers belongs to the anchor that is most like the text",
                {"Italian test text", "sentiment", "cosine", "anchor in Italian", "the same anchor in English"}, 2);
    const LabelledTexts& texts = data.it.texts.test;
    std::vector<int> n_shown(sentiment_names().size());
    int left = kExamples;
    for (int64_t i = 0; i < texts.size() && left > 0; i++) {
        const int32_t label = texts.labels[size_t(i)];
        if (n_shown[size_t(label)] >= kExamples / int(n_shown.size())) continue;
        n_shown[size_t(label)]++, left--;
        const std::vector<real> code = codes.test.at("relative_centered").it.slice(0, i, i + 1).to_vector();
        const int64_t column = largest(code);
        const size_t line = size_t(codes.lines[size_t(column)]);
        table.add({texts.texts[size_t(i)], sentiment_names()[size_t(label)], double(code[size_t(column)]),
                   data.anchors.it[line], data.anchors.en[line]});
    }
    return table;
}

// What the numbers say.
std::string conclusion(const TextResults& results) {
    const double chance = 1 / double(sentiment_names().size());
    const auto mean_of = [&](const std::string& kind, const char* key) {
        return over_seeds(results.main.at(kind).at(key), accuracy).mean;
    };
    const bool has_absolute = results.main.at("absolute").contains("it_zero_shot");
    const double absolute = has_absolute ? mean_of("absolute", "it_zero_shot") : chance;
    const double relative = mean_of("relative", "it_zero_shot"), centred = mean_of("relative_centered", "it_zero_shot");
    const double bound = mean_of("absolute", "it"), best = std::max(relative, centred);
    std::string text = "On Italian, a classifier of English texts has an accuracy of " + fixed(relative, 3) +
                       " with relative codes and " + fixed(centred, 3) + " with centred ones; with absolute vectors " +
                       (has_absolute ? "it has " + fixed(absolute, 3) : "there can be none, their sizes differ") +
                       ". Trained on Italian it has " + fixed(bound, 3) + ". ";
    if (best <= absolute + 0.02) return text + "Relative codes do not carry over more than absolute ones here.";
    if (bound <= chance) return text;
    return text + "Relative codes carry over " + fixed(100 * (best - chance) / (bound - chance), 0) +
           " % of what training on Italian adds to chance.";
}

OrderedJson json_of(const Results& results) {
    OrderedJson json;
    for (const Direction& d : kDirections) {
        if (!results.contains(d.key)) continue;
        const std::vector<Confusion>& all = results.at(d.key);
        OrderedJson& place = json[d.key];
        for (const auto& [name, score] :
             {std::pair<const char*, Score>("accuracy", accuracy), {"f1", weighted_f1}, {"mae", mean_absolute_error}}) {
            const MeanAndDeviation m = over_seeds(all, score);
            place[name] = m.mean;
            place[std::string(name) + "_deviation"] = m.deviation;
        }
        for (const Confusion& c : all) place["confusion"].push_back(c.counts);
    }
    return json;
}

OrderedJson metrics_of(const TextData& data, const TextResults& results, const TextCodes& codes) {
    OrderedJson json = {{"dataset",
                         {{"name", data.name},
                          {"train", data.en.texts.train.size()},
                          {"test", data.en.texts.test.size()},
                          {"classes", sentiment_names()}}},
                        {"anchors", {{"count", codes.lines.size()}, {"hash", data.anchors.hash}}},
                        {"encoders", {{"en", data.en.vectors.encoder}, {"it", data.it.vectors.encoder}}}};
    for (const std::string& kind : kCodeKinds) json[kind] = json_of(results.main.at(kind));
    for (const auto& [n, by_kind] : results.sweep) {
        json["sweep"].push_back({{"anchors", n},
                                 {"relative", json_of(by_kind.at("relative"))},
                                 {"relative_centered", json_of(by_kind.at("relative_centered"))}});
    }
    return json;
}

}  // namespace

void report_texts(const Run& run, const TextData& data, const TextResults& results, const TextCodes& codes,
                  const std::string& head) {
    std::vector<Table> tables = {main_table(data, results, int64_t(codes.lines.size()), head)};
    Report report("One classifier, two languages", "English: " + data.en.vectors.encoder + "; " + data.en.texts.source +
                                                       ". Italian: " + data.it.vectors.encoder + "; " +
                                                       data.it.texts.source + ". Anchors: " + data.anchors.source +
                                                       ".");
    report.add_text(conclusion(results))
        .add(tables[0])
        .add_figure(
            draw_languages(run, codes),
            "Test texts of both languages in the plane of their two principal components, each picture by itself. "
            "Absolute vectors have nothing to do with each other. Cosines have in common what all texts of an "
            "encoder have in common, which the mean of the anchors takes away as far as the anchors are texts "
            "like these. Where the languages overlap, one classifier fits both.");
    if (results.sweep.size() > 1) {
        tables.push_back(sweep_table(results));
        report.add(tables[1]).add_figure(draw_sweep(run, results),
                                         "Accuracy against the number of anchors; classifiers of English texts.");
    }
    report
        .add_figure(
            draw_confusion(run, results),
            "Italian test texts: the share of each sentiment (row) that was taken for each (column), all seeds.")
        .add(example_table(data, codes))
        .add_figure(draw_curves(run), "The classifiers of the first seed, by the language that they were trained on.");
    run.finish(metrics_of(data, results, codes), tables, report);
}

void explain(const TextFlags& flags, const std::string& text, bool is_centred) {
    const ExplainedText e = load_explained_text(flags, text);
    const int64_t n_anchors = flags.n_anchors > 0 ? flags.n_anchors : e.anchors.size();
    const std::vector<int32_t> lines = uniform_anchors(e.anchors.size(), n_anchors, uint64_t(flags.seed));
    const NoGrad no_grad;
    for (const auto& [name, vectors] : {std::pair("English", &e.en), {"Italian", &e.it}}) {
        const Var anchors = gather_rows(vectors->of[1], lines);
        const Var origin = is_centred ? mean(anchors, {0}) : Var(Tensor::scalar(0));
        const Var query = Var(vectors->of[0]) - origin, others = anchors - origin;
        const std::vector<real> code = relative(query, others).value.to_vector();
        Table table(std::string("The anchors nearest to the text, as the ") + name + " encoder sees it",
                    {"cosine", "in English", "in Italian"}, 3);
        for (const int32_t column : nearest_rows(query.value, others.value, kNearest)) {
            const size_t line = size_t(lines[size_t(column)]);
            table.add({double(code[size_t(column)]), e.anchors.en[line], e.anchors.it[line]});
        }
        std::printf("%s\n", table.text().c_str());
    }
}

}  // namespace koine
