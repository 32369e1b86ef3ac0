#include "experiments/common/image_data.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "data/batches.h"
#include "data/fnv.h"
#include "data/json.h"
#include "nn/evaluate.h"
#include "nn/relative.h"

namespace koine {

RunInfo image_run_info(const Flags& flags, const ImageSet& data) {
    RunInfo info;
    info.data = data.name;
    info.n_train = data.train.size();
    info.n_test = data.test.size();
    // The preset line names what was left out of the data set in its official size; programs that do not train have no
    // preset.
    const bool has_preset = std::count(flags.unused.begin(), flags.unused.end(), "full") == 0;
    if (has_preset) info.n_available = data.n_official;
    choose_device(flags, info);
    return info;
}

const std::vector<std::string>& anchor_strategies() {
    static const std::vector<std::string> names{"per-class", "uniform", "farthest-point", "k-means"};
    return names;
}

Anchors choose_anchors(const std::string& strategy, int64_t count, uint64_t seed, const ImageSet& data) {
    std::vector<int32_t> rows;
    if (strategy == "per-class") {
        if (count % data.n_classes != 0) {
            throw UsageError("--anchors " + std::to_string(count) + " cannot be spread over " +
                             std::to_string(data.n_classes) +
                             " classes; want a multiple, or another --anchor-strategy");
        }
        rows = per_class_anchors(data.train.labels, count / data.n_classes, seed);
    } else if (strategy == "farthest-point") {
        rows = farthest_point_anchors(data.train.images, count, seed);
    } else if (strategy == "k-means") {
        rows = k_means_anchors(data.train.images, count, seed);
    } else {
        rows = uniform_anchors(data.train.size(), count, seed);
    }
    Anchors anchors{data.name, data.hash, strategy, seed, {}, gather_rows(data.train.images, rows)};
    for (int32_t row : rows) anchors.ids.push_back(data.train.ids[size_t(row)]);
    return anchors;
}

std::string Anchors::fingerprint() const {
    Fnv1a f;
    f.add(data_set + " " + hash + " train");
    for (int32_t id : ids) f.add(" " + std::to_string(id));
    return f.hex();
}

Anchors read_anchors(const std::filesystem::path& path) {
    if (!std::filesystem::exists(path)) throw DataError("MISSING", path.string(), "", "there is no such file");
    const Json json = read_json(path);
    const JsonObject object(json, path.string());
    const auto whole = [&](const Json& value, uint64_t max) {
        if (value.is_number_unsigned() && value.get<uint64_t>() <= max) return value.get<uint64_t>();
        throw DataError("VALUE", path.string(), "",
                        "expected a whole number up to " + std::to_string(max) + ", found " + value.dump());
    };
    Anchors anchors;
    try {
        json.at("data_set").get_to(anchors.data_set);
        json.at("hash").get_to(anchors.hash);
        json.at("strategy").get_to(anchors.strategy);
        anchors.seed = whole(json.at("seed"), UINT64_MAX);
        for (const Json& id : json.at("ids").get_ref<const Json::array_t&>())
            anchors.ids.push_back(int32_t(whole(id, INT32_MAX)));
    } catch (const Json::exception& error) {
        throw DataError("VALUE", path.string(), "", std::string("is no anchors.json of a run: ") + error.what());
    }
    if (anchors.ids.empty()) throw DataError("VALUE", path.string(), "ids", "is empty, expected at least one anchor");
    return anchors;
}

namespace {

// "3, 14, 15, ... (500)".
std::string listed(const std::vector<int32_t>& ids) {
    constexpr size_t kShown = 10;
    std::string text;
    for (size_t i = 0; i < std::min(ids.size(), kShown); i++) text += (i == 0 ? "" : ", ") + std::to_string(ids[i]);
    return ids.size() > kShown ? text + ", ... (" + std::to_string(ids.size()) + ")" : text;
}

// The ids of a that b lacks, in a's order.
std::vector<int32_t> missing_from(const std::vector<int32_t>& b, const std::vector<int32_t>& a) {
    const std::set<int32_t> there(b.begin(), b.end());
    std::vector<int32_t> ids;
    std::copy_if(a.begin(), a.end(), std::back_inserter(ids), [&](int32_t id) { return !there.contains(id); });
    return ids;
}

}  // namespace

std::string difference(const Anchors& a, const Anchors& b) {
    std::string text;
    const auto line = [&](const std::string& words) { text += "\n  " + words; };
    const auto compare = [&](const std::string& what, const std::string& x, const std::string& y) {
        if (x != y) line(what + ": " + x + " and " + y);
    };
    compare("data set", a.data_set, b.data_set);
    compare("hash of the data", a.hash, b.hash);
    compare("number", std::to_string(a.ids.size()), std::to_string(b.ids.size()));
    const std::vector<int32_t> only_a = missing_from(b.ids, a.ids), only_b = missing_from(a.ids, b.ids);
    if (!only_a.empty()) line("only in the first: " + listed(only_a));
    if (!only_b.empty()) line("only in the second: " + listed(only_b));
    if (text.empty() && a.ids != b.ids) {
        const auto at = std::mismatch(a.ids.begin(), a.ids.end(), b.ids.begin(), b.ids.end());
        line("the same images in another order: at position " + std::to_string(at.first - a.ids.begin()) + " image " +
             std::to_string(*at.first) + " and image " + std::to_string(*at.second));
    }
    return text;
}

void record_anchors(const Run& run, const ImageSet& data, const Anchors& anchors) {
    const auto file = run.folder() / "anchors.json";
    if (run.is_resumed() && std::filesystem::exists(file)) {
        const std::string different = difference(read_anchors(file), anchors);
        if (different.empty()) return;
        throw DataError("VALUE", file.string(), "",
                        "the run was begun with other anchors than its settings give here, so with other data (" +
                            data.source + "):" + different);
    }
    run.write_json("anchors.json", {{"data_set", anchors.data_set},
                                    {"source", data.source},
                                    {"hash", anchors.hash},
                                    {"split", "train"},
                                    {"seed", anchors.seed},
                                    {"strategy", anchors.strategy},
                                    {"fingerprint", anchors.fingerprint()},
                                    {"ids", anchors.ids}});
}

ImageData load_image_data(const Flags& flags, const std::string& anchor_strategy, int64_t n_anchors) {
    ImageData data{load_images(flags.data_set, data_options(flags)), {}, {}};
    if (flags.protocol == "paper") data.validation = split_off(data.train, data.train.size() / 10);
    data.anchors = choose_anchors(anchor_strategy, n_anchors, uint64_t(flags.seed), data);
    return data;
}

Values reconstruction_errors(const ImageData& data, const std::function<Var(const Var&)>& reconstruct, Device device) {
    const auto mse = [&](const ImageSplit& split) {
        return compare_images(apply_in_batches(split.images, reconstruct, device), split.images).mse;
    };
    Values errors;
    if (data.validation.size() > 0) errors.emplace_back("validation_mse", mse(data.validation));
    errors.emplace_back("test_mse", mse(data.test));
    return errors;
}

std::map<std::string, std::string> checkpoint_metadata(const AutoEncoderForm& form, const Anchors& anchors) {
    std::map<std::string, std::string> metadata = form.metadata();
    if (form.is_relative()) metadata["anchors"] = anchors.fingerprint();
    return metadata;
}

SavedModel open_model(const std::filesystem::path& file, const std::filesystem::path& anchors_file) {
    SavedModel model{load_checkpoint(file), {}, {}, anchors_file};
    model.form = AutoEncoderForm::of(model.checkpoint);
    if (model.anchors_file.empty()) {
        const auto folder = std::filesystem::absolute(file).parent_path();
        model.anchors_file = folder.parent_path() / "anchors.json";
        if (!std::filesystem::exists(model.anchors_file)) model.anchors_file = folder / "anchors.json";
    }
    model.anchors = read_anchors(model.anchors_file);
    if (!model.form.is_relative()) return model;
    const std::string trained_with = model.checkpoint.text("anchors"), given = model.anchors.fingerprint();
    if (trained_with != given || int64_t(model.anchors.ids.size()) != model.form.n_anchors) {
        throw DataError("VALUE", model.anchors_file.string(), "",
                        file.string() + " was trained with other anchors: with " +
                            std::to_string(model.form.n_anchors) + " of fingerprint " + trained_with + "; these are " +
                            std::to_string(model.anchors.ids.size()) + " of fingerprint " + given);
    }
    return model;
}

ImageSet load_data_of(SavedModel& model, const Flags& flags) {
    Anchors& anchors = model.anchors;
    DataOptions options{flags.data, flags.offline, 0, flags.test_limit};
    // Generated images have no end: as many as the anchors ask for, within reason.
    constexpr int32_t kMaxGenerated = 1 << 16;
    if (anchors.data_set == "synthetic") {
        options.train_limit =
            1 + std::clamp(*std::max_element(anchors.ids.begin(), anchors.ids.end()), 0, kMaxGenerated);
    }
    const std::string file = model.anchors_file.string();
    ImageSet data = load_images(anchors.data_set, options);
    if (anchors.hash != data.hash) {
        throw DataError("VALUE", file, "hash",
                        "the anchors were chosen from " + anchors.data_set + " with hash " + anchors.hash +
                            "; what is here is " + data.source + ", hash " + data.hash);
    }
    std::map<int32_t, int32_t> row_of;
    for (size_t row = 0; row < data.train.ids.size(); row++) row_of[data.train.ids[row]] = int32_t(row);
    std::vector<int32_t> rows;
    for (int32_t id : anchors.ids) {
        const auto found = row_of.find(id);
        if (found == row_of.end()) {
            throw DataError("VALUE", file, "ids", "image " + std::to_string(id) + " is not in the training split");
        }
        rows.push_back(found->second);
    }
    anchors.images = gather_rows(data.train.images, rows);
    return data;
}

}  // namespace koine
