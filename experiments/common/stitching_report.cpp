#include "experiments/common/stitching_report.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "data/batches.h"
#include "experiments/common/codes_chart.h"
#include "experiments/common/image.h"

namespace koine {
namespace {

// ---- numbers ------------------------------------------------------------------------------------------------------

OrderedJson json_of(const MeanAndDeviation& m) { return {{"mean", m.mean}, {"deviation", m.deviation}}; }

OrderedJson metrics_of(const Stitching& s) {
    OrderedJson json = {{"mse", s.matrix(&ImageScores::mse)},
                        {"psnr", s.matrix(&ImageScores::psnr)},
                        {"ssim", s.matrix(&ImageScores::ssim)},
                        {"own", json_of(s.own())},
                        {"stitched", json_of(s.stitched())}};
    if (s.form.is_variational()) {
        json["mse_at_mean"] = s.mse_at_mean;
        json["kl"] = s.kl;
    }
    return json;
}

// Two models of a kind: a line for each pair, with all scores.
Table list_of_pairs(const std::vector<Stitching>& kinds) {
    const bool is_variational = kinds[0].form.is_variational();
    std::vector<std::string> columns = {"code", "encoder", "decoder", "", "MSE", "PSNR (dB)", "SSIM"};
    if (is_variational) columns.insert(columns.end(), {"MSE at mean", "KL (nats)"});
    Table table("Reconstruction of the test images: encoder i read by decoder j, nothing trained in between", columns);
    for (const Stitching& s : kinds) {
        for (size_t i = 0; i < s.names.size(); i++) {
            for (size_t j = 0; j < s.names.size(); j++) {
                const ImageScores& score = s.scores[i][j];
                std::vector<Cell> row = {s.kind,    s.names[i],      s.names[j],     i == j ? "own" : "stitched",
                                         score.mse, {score.psnr, 2}, {score.ssim, 3}};
                if (is_variational) row.push_back(s.mse_at_mean[i][j]);
                if (is_variational) row.push_back(i == j ? Cell(s.kl[i], 2) : Cell(""));
                table.add(row);
            }
        }
    }
    return table;
}

// Many models: a matrix, its cells shaded on the scale that all kinds share.
Table matrix_of(const Stitching& s, double low, double high) {
    std::vector<std::string> columns = {"encoder"};
    for (const std::string& name : s.names) columns.push_back("decoder " + name);
    Table table("Mean squared error, " + s.kind + " codes: encoder (row) read by decoder (column)", columns);
    for (size_t i = 0; i < s.names.size(); i++) {
        std::vector<Cell> row = {s.names[i]};
        for (const ImageScores& score : s.scores[i]) {
            row.push_back(score.mse);
            row.back().shade = high > low ? (score.mse - low) / (high - low) : 0;
        }
        table.add(row);
    }
    return table;
}

Table summary_of(const std::vector<Stitching>& kinds) {
    Table table("Mean squared error, mean and deviation over the models and over the pairs",
                {"code", "own", "stitched", "ratio"});
    for (const Stitching& s : kinds) {
        table.add({s.kind, cell_of(s.own(), 4), cell_of(s.stitched(), 4), {s.stitched().mean / s.own().mean, 2}});
    }
    return table;
}

std::vector<Table> tables_of(const std::vector<Stitching>& kinds, const std::string& setting) {
    std::vector<Table> tables;
    if (kinds[0].names.size() == 2) {
        tables.push_back(list_of_pairs(kinds));
    } else {
        double low = kinds[0].scores[0][0].mse, high = low;
        for (const Stitching& s : kinds) {
            for (const auto& row : s.scores) {
                for (const ImageScores& score : row) low = std::min(low, score.mse), high = std::max(high, score.mse);
            }
        }
        for (const Stitching& s : kinds) tables.push_back(matrix_of(s, low, high));
    }
    tables.push_back(summary_of(kinds));
    if (kinds.size() == 2) {
        tables.back().note("Stitched relative is " + fixed(kinds[1].stitched().mean / kinds[0].stitched().mean, 2) +
                           " of stitched absolute.");
    }
    if (kinds[0].form.is_variational()) {
        tables.back().note("A VAE's scores are means over " + std::to_string(kDraws) + " draws of z for each image.");
    }
    const AutoEncoderForm& form = kinds.back().form;
    if (form.is_relative() && form.draws_in_encoder()) {
        tables.back().note(
            "At the mean, z = mu for images and anchors alike, so their cosines are larger than any that a relative "
            "decoder "
            "was trained on.");
    }
    tables.back().note(setting);
    return tables;
}

// ---- figures ------------------------------------------------------------------------------------------------------

// The images of the paper's figure when they are in the test split, else the first image of each class.
std::vector<int32_t> shown_images(const ImageSet& data) {
    std::vector<int32_t> ids, rows;
    if (data.name == "mnist") ids = {8225, 7407, 4721, 8940, 2846, 5334, 598};
    if (data.name == "fashion-mnist") ids = {19, 8940, 2702, 2606, 6734, 382, 122};
    for (int32_t id : ids) {
        const auto at = std::find(data.test.ids.begin(), data.test.ids.end(), id);
        if (at != data.test.ids.end()) rows.push_back(int32_t(at - data.test.ids.begin()));
    }
    if (!rows.empty() && rows.size() == ids.size()) return rows;
    rows.clear();
    for (int32_t label = 0; label < data.n_classes; label++) {
        const auto at = std::find(data.test.labels.begin(), data.test.labels.end(), label);
        if (at != data.test.labels.end()) rows.push_back(int32_t(at - data.test.labels.begin()));
    }
    return rows;
}

std::filesystem::path draw_tiles(const Run& run, const std::string& name, const std::vector<TileRow>& rows,
                                 const Shape& image) {
    const auto path = run.figure(name);
    write_png(path, tile_grid(rows, int(image[1]), int(image[2]), int(image[3])));
    return path;
}

std::filesystem::path draw_reconstructions(const Run& run, const ImageSet& data, const std::vector<Stitching>& kinds) {
    const std::vector<int32_t> shown = shown_images(data);
    const auto pick = [&](const Tensor& images) { return gather_rows(images, shown).to_vector(); };
    std::vector<TileRow> rows = {{"source", pick(data.test.images)}};
    for (const Stitching& s : kinds) {
        const auto add = [&](const std::string& label, size_t i, size_t j) {
            rows.push_back({label, pick(s.images[i][j])});
        };
        if (kinds.size() > 1) {
            add("own (" + s.kind + ")", 0, 0);
            add("stitched (" + s.kind + ")", 0, 1);
            continue;
        }
        for (size_t i : {0, 1}) add(s.names[i] + ", own", i, i);
        for (size_t i : {0, 1}) add(s.names[i] + " read by " + s.names[1 - i], i, 1 - i);
    }
    return draw_tiles(run, "reconstructions.png", rows, data.test.images.shape);
}

std::filesystem::path draw_samples(const Run& run, const ImageSet& data, const std::vector<Stitching>& kinds) {
    std::vector<TileRow> rows;
    for (const Stitching& s : kinds) {
        for (size_t i : {0, 1}) rows.push_back({s.kind + " " + s.names[i], s.samples[i].to_vector()});
    }
    return draw_tiles(run, "samples.png", rows, data.test.images.shape);
}

std::filesystem::path draw_codes(const Run& run, const ImageSet& data, const std::vector<Stitching>& kinds) {
    std::vector<ShownCodes> spaces;
    for (const Stitching& s : kinds) {
        for (size_t i : {0, 1}) spaces.push_back({s.kind + ", encoder " + s.names[i], s.codes[i]});
    }
    return codes_chart(run.figure("codes.svg"), spaces, 2, data.test.labels, data.class_names);
}

std::filesystem::path draw_matrices(const Run& run, const std::vector<Stitching>& kinds) {
    std::vector<MatrixPanel> panels;
    for (const Stitching& s : kinds) {
        MatrixPanel panel{s.kind + ": MSE", {}, {}, s.matrix(&ImageScores::mse), 4};
        for (const std::string& name : s.names) {
            panel.rows.push_back("encoder " + name);
            panel.columns.push_back("decoder " + name);
        }
        panels.push_back(panel);
    }
    return matrix_chart(run.figure("mse.svg"), panels);
}

std::filesystem::path draw_curves(const Run& run, const std::vector<Curves>& curves) {
    if (curves.empty()) return {};
    std::vector<Panel> panels;
    for (const auto& [column, unit] : curves) {
        const std::vector<Series> series = run.curves(column);
        bool is_positive = true;  // else there is no logarithm
        for (const Series& one : series) is_positive = is_positive && *std::min_element(one.y.begin(), one.y.end()) > 0;
        panels.push_back({column, "epoch", unit, series, is_positive});
    }
    return line_chart(run.figure("curves.svg"), panels);
}

}  // namespace

void report_stitching(const Run& run, const std::string& about, const std::string& setting, const ImageSet& data,
                      const Anchors& anchors, const std::vector<Stitching>& kinds, const std::vector<Curves>& curves) {
    const std::vector<Table> tables = tables_of(kinds, setting);
    std::string intro = about + ". Data: " + data.source + ".";
    intro[0] = char(std::toupper(static_cast<unsigned char>(intro[0])));
    Report report("Stitching " + std::string(kinds[0].form.is_variational() ? "VAEs" : "auto-encoders"), intro);
    for (const Table& table : tables) report.add(table);
    report.add_figure(draw_reconstructions(run, data, kinds),
                      "Test images, and what an encoder with its own decoder and with another's makes of them.");
    if (kinds[0].form.is_variational()) {
        report.add_figure(draw_samples(run, data, kinds),
                          "Images that the VAEs invent: z drawn from the prior N(0, 1), the same z for every model.");
    }
    report
        .add_figure(
            draw_codes(run, data, kinds),
            "The codes of test images by class, on the two principal components of the first encoder's codes. Absolute "
            "codes of two encoders have nothing in common; relative ones nearly coincide.")
        .add_figure(draw_matrices(run, kinds), "Mean squared error of every encoder with every decoder.")
        .add_figure(draw_curves(run, curves), "Learning curves.");
    OrderedJson metrics = {
        {"dataset",
         {{"name", data.name}, {"train", data.train.size()}, {"test", data.test.size()}, {"hash", data.hash}}},
        {"anchors", {{"count", anchors.ids.size()}, {"strategy", anchors.strategy}}}};
    for (const Stitching& s : kinds) metrics[s.kind] = metrics_of(s);
    metrics["seconds"] = run.seconds();
    run.finish(metrics, tables, report);
}

}  // namespace koine
