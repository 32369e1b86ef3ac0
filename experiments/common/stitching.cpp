#include "experiments/common/stitching.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "data/batches.h"
#include "experiments/common/image.h"
#include "tensor/linalg.h"

namespace koine {
namespace {

// Mean of the MSE over the pairs for which is_wanted(i, j).
template <class F>
double mean_mse(const Stitching& s, F is_wanted) {
    double sum = 0;
    int n = 0;
    for (size_t i = 0; i < s.scores.size(); i++) {
        for (size_t j = 0; j < s.scores.size(); j++) {
            if (is_wanted(i, j)) sum += s.scores[i][j].mse, n++;
        }
    }
    return sum / n;
}

std::vector<std::vector<double>> matrix(const Stitching& s, double ImageScores::*score) {
    std::vector<std::vector<double>> values;
    for (const auto& row : s.scores) {
        values.emplace_back();
        for (const ImageScores& cell : row) values.back().push_back(cell.*score);
    }
    return values;
}

Json metrics_of(const Stitching& s) {
    return {{"mse", matrix(s, &ImageScores::mse)},
            {"psnr", matrix(s, &ImageScores::psnr)},
            {"ssim", matrix(s, &ImageScores::ssim)}};
}

// The paper's seven digits when they are in the test split, else the first image of each class.
std::vector<int32_t> shown_images(const ImageSplit& test) {
    std::vector<int32_t> rows;
    for (int32_t id : {8225, 7407, 4721, 8940, 2846, 5334, 598}) {
        const auto at = std::find(test.ids.begin(), test.ids.end(), id);
        if (at != test.ids.end()) rows.push_back(int32_t(at - test.ids.begin()));
    }
    if (rows.size() == 7) return rows;
    rows.clear();
    for (int32_t label = 0; label < 10; label++) {
        const auto at = std::find(test.labels.begin(), test.labels.end(), label);
        if (at != test.labels.end()) rows.push_back(int32_t(at - test.labels.begin()));
    }
    return rows;
}

std::filesystem::path draw_reconstructions(const Run& run, const ImageSet& data, const Stitching& absolute,
                                           const Stitching& relative) {
    const std::vector<int32_t> rows = shown_images(data.test);
    const auto pick = [&](const Tensor& images) { return gather_rows(images, rows).to_vector(); };
    const Shape& s = data.test.images.shape;
    const auto path = run.figure("reconstructions.png");
    write_png(path, tile_grid({{"source", pick(data.test.images)},
                               {"own (absolute)", pick(absolute.own_images)},
                               {"stitched (absolute)", pick(absolute.stitched_images)},
                               {"own (relative)", pick(relative.own_images)},
                               {"stitched (relative)", pick(relative.stitched_images)}},
                              int(s[1]), int(s[2]), int(s[3])));
    return path;
}

// Two principal components of each kind of code, fitted on model 0 and shown for models 0 and 1.
std::filesystem::path draw_codes(const Run& run, const ImageSet& data, const Stitching& absolute,
                                 const Stitching& relative) {
    std::vector<std::string> classes;
    for (int c = 0; c < data.n_classes; c++) classes.push_back(std::to_string(c));
    // Beyond a thousand points a scatter plot only gets heavier.
    const int64_t n = std::min<int64_t>(data.test.size(), 1000);
    const std::span<const int32_t> labels(data.test.labels.data(), size_t(n));
    std::vector<Panel> panels;
    for (const Stitching* s : {&absolute, &relative}) {
        const Pca axes = pca(s->codes[0], 2);
        for (size_t model : {0, 1}) {
            const Tensor points = axes.project(s->codes[model].slice(0, 0, n));
            panels.push_back({s->kind + ", encoder " + std::to_string(model), "", "",
                              by_class(points.to_vector(), labels, classes)});
        }
    }
    return scatter_chart(run.figure("codes.svg"), panels);
}

std::filesystem::path draw_matrices(const Run& run, const Stitching& absolute, const Stitching& relative) {
    std::vector<MatrixPanel> panels;
    for (const Stitching* s : {&absolute, &relative}) {
        MatrixPanel panel{s->kind + ": mean squared error", {}, {}, matrix(*s, &ImageScores::mse), 4};
        for (size_t i = 0; i < s->scores.size(); i++) {
            panel.rows.push_back("encoder " + std::to_string(i));
            panel.columns.push_back("decoder " + std::to_string(i));
        }
        panels.push_back(panel);
    }
    return matrix_chart(run.figure("mse.svg"), panels);
}

Table table_of(const Stitching& absolute, const Stitching& relative) {
    Table table("Reconstruction of the test images: encoder i read by decoder j, nothing trained in between",
                {"code", "encoder", "decoder", "", "MSE", "PSNR (dB)", "SSIM"});
    for (const Stitching* s : {&absolute, &relative}) {
        for (size_t i = 0; i < s->scores.size(); i++) {
            for (size_t j = 0; j < s->scores.size(); j++) {
                const ImageScores& score = s->scores[i][j];
                table.add({s->kind, i, j, i == j ? "own" : "stitched", score.mse, {score.psnr, 2}, {score.ssim, 3}});
            }
        }
    }
    const auto ratio = [](const Stitching& s) { return fixed(s.stitched() / s.own(), 1); };
    table.note("Stitching multiplies the error by " + ratio(absolute) + " with absolute codes and by " +
               ratio(relative) + " with relative ones; stitched relative is " +
               fixed(relative.stitched() / absolute.stitched(), 2) + " of stitched absolute.");
    return table;
}

}  // namespace

Stitching::Stitching(std::string kind_, int64_t n)
    : kind(std::move(kind_)), scores(size_t(n), std::vector<ImageScores>(size_t(n))) {}

void Stitching::add(size_t i, size_t j, const Tensor& y, const Tensor& target) {
    scores[i][j] = compare_images(y, target);
    if (i == 0 && j == 0) own_images = y;
    if (i == 0 && j == 1) stitched_images = y;
}

double Stitching::own() const {
    return mean_mse(*this, [](size_t i, size_t j) { return i == j; });
}
double Stitching::stitched() const {
    return mean_mse(*this, [](size_t i, size_t j) { return i != j; });
}

void report_stitching(const Run& run, const std::string& about, const ImageSet& data, const Anchors& anchors,
                      const Stitching& absolute, const Stitching& relative) {
    const Table table = table_of(absolute, relative);
    std::string intro = about + ". Data: " + data.source + ".";
    intro[0] = char(std::toupper(static_cast<unsigned char>(intro[0])));
    Report report("Stitching auto-encoders", intro);
    report.add(table)
        .add_figure(draw_reconstructions(run, data, absolute, relative),
                    "Test images, and what encoder 0 with its own decoder and with decoder 1 makes of them.")
        .add_figure(
            draw_codes(run, data, absolute, relative),
            "The codes of test images by class, on the two principal components of encoder 0's codes. Absolute codes "
            "of two encoders have nothing in common; relative ones nearly coincide.")
        .add_figure(draw_matrices(run, absolute, relative), "Every encoder with every decoder.")
        .add_figure(line_chart(run.figure("curves.svg"), {{"training", "epoch", "MSE", run.curves("train_mse"), true},
                                                          {"test", "epoch", "MSE", run.curves("test_mse"), true}}),
                    "Learning curves.");
    const Json metrics = {
        {"dataset",
         {{"name", data.name}, {"train", data.train.size()}, {"test", data.test.size()}, {"hash", data.hash}}},
        {"anchors", {{"count", anchors.ids.size()}, {"strategy", anchors.strategy}}},
        {"absolute", metrics_of(absolute)},
        {"relative", metrics_of(relative)},
        {"seconds", run.seconds()}};
    run.finish(metrics, {table}, report);
}

}  // namespace koine
