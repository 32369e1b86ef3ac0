#include "experiments/common/image_data.h"

#include <nlohmann/json.hpp>

#include "data/batches.h"
#include "nn/relative.h"

namespace koine {

DataOptions data_options(const Flags& flags) {
    return {flags.data, flags.offline, flags.train_limit, flags.test_limit};
}

RunInfo image_run_info(const Flags& flags, const ImageSet& data) {
    RunInfo info;
    info.data = data.name;
    info.n_train = data.train.size();
    info.n_test = data.test.size();
    // The preset line names what was left out of the data set in its official size; generated digits have none.
    if (data.name != "synthetic") info.n_available = 60000;
    info.device = name_of(choose_device(flags));
    return info;
}

Device choose_device(const Flags& flags) {
    if (flags.device != "cuda") return Device::cpu;
    require_device(Device::cuda);
    throw DeviceError(
        "--device cuda: the kernels compile for the GPU, but the experiments do not run on it in this version; use "
        "--device cpu");
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
    Anchors anchors{strategy, seed, {}, gather_rows(data.train.images, rows)};
    for (int32_t row : rows) anchors.ids.push_back(data.train.ids[size_t(row)]);
    return anchors;
}

void record_anchors(const Run& run, const ImageSet& data, const Anchors& anchors) {
    run.write_json("anchors.json", {{"data_set", data.name},
                                    {"source", data.source},
                                    {"hash", data.hash},
                                    {"split", "train"},
                                    {"seed", anchors.seed},
                                    {"strategy", anchors.strategy},
                                    {"ids", anchors.ids}});
}

}  // namespace koine
