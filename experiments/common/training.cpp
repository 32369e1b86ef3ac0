#include "experiments/common/training.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "experiments/common/run_main.h"

namespace koine {

Training::Training(Run& run_, const std::string& name_, Module& model_, Optimizer& optimizer_,
                   std::vector<std::string> measured_, std::map<std::string, std::string> metadata_)
    : name(name_),
      n_put_off(optimizer_.parameters.values.device() == Device::cuda ? 32 : 0),
      run(run_),
      model(model_),
      optimizer(optimizer_),
      measured(std::move(measured_)),
      metadata(std::move(metadata_)),
      sums(Tensor::zeros({int64_t(measured.size())})),
      best_score(Tensor::scalar(std::numeric_limits<real>::max())) {
    if (!std::filesystem::exists(path())) return;
    const Checkpoint c = load_checkpoint(path());
    c.restore("model", model);
    c.restore("optimizer", optimizer);
    c.restore("training", *this);
}

void Training::visit(Visitor& v) {
    v("epoch", epoch);
    v("batch", batch);
    v("n_samples", n_samples);
    v("sums", sums);
    v("best_score", best_score);
}

void Training::count(int64_t n, std::function<Measured()> measure) {
    waiting.push_back({n, batch, std::move(measure)});
    if (waiting.size() > n_put_off) measure_all();
    n_samples += uint64_t(n);
    batch++;
}

void Training::measure_all() {
    while (!waiting.empty()) {
        const Batch b = std::move(waiting.front());
        waiting.pop_front();
        const Measured values = b.measure();
        for (size_t i = 0; i < measured.size(); i++) {
            const double value = values.at(i);
            if (!std::isfinite(value)) {
                throw NonFiniteError(
                    name + ": " + measured[i] + " is " + (std::isnan(value) ? "nan" : "infinite") + " at epoch " +
                    std::to_string(epoch + 1) + ", batch " + std::to_string(b.number + 1) +
                    "; the last good checkpoint is kept");
            }
            sums.data()[i] += real(value * double(b.n));
        }
    }
}

Values Training::means() {
    measure_all();
    Values row;
    for (size_t i = 0; i < measured.size(); i++)
        row.emplace_back(measured[i], double(sums.data()[i]) / double(n_samples));
    return row;
}

Values Training::end_epoch(const Values& scores) {
    Values row = means();
    row.insert(row.end(), scores.begin(), scores.end());
    epoch++;
    batch = n_samples = 0;
    sums.fill(0);
    run.log(name, int64_t(epoch), row);
    for (const auto& [score, value] : scores) {
        if (score != "validation_mse" || real(value) >= best_score.item()) continue;
        best_score.fill(real(value));
        Checkpoint c;
        c.metadata = metadata;
        c.set("epoch", epoch);
        c.add("model", model);
        save_checkpoint(path("-best"), c);
    }
    save();
    return row;
}

void Training::save() {
    measure_all();
    Checkpoint c;
    c.metadata = metadata;
    c.add("model", model);
    c.add("optimizer", optimizer);
    c.add("training", *this);
    save_checkpoint(path(), c);
}

void Training::save_and_stop() {
    save();
    throw Interrupted(run.folder());
}

std::filesystem::path Training::result() const {
    return std::filesystem::exists(path("-best")) ? path("-best") : path();
}

std::filesystem::path Training::path(const std::string& suffix) const {
    return run.checkpoint(name + suffix + ".safetensors");
}

}  // namespace koine
