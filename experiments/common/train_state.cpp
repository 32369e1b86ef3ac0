#include "experiments/common/train_state.h"

namespace koine {

void TrainState::add(const std::string& model, double loss, int64_t n) {
    if (!std::isfinite(loss)) {
        throw NonFiniteError(model + ": the loss is " + (std::isnan(loss) ? "nan" : "infinite") + " at epoch " +
                             std::to_string(epoch + 1) + ", batch " + std::to_string(batch + 1) +
                             "; the last good checkpoint is kept. KOINE_ANOMALY=1 names the first op that fails");
    }
    *loss_sum.data() += real(loss * double(n));
    batch++;
}

double TrainState::end_epoch(int64_t n_samples) {
    const double mean = double(loss_sum.item()) / double(n_samples);
    epoch++;
    batch = 0;
    loss_sum.fill(0);
    return mean;
}

void TrainState::save(const std::filesystem::path& path, Module& model, Optimizer& optimizer) {
    Checkpoint c;
    c.add("model", model);
    c.add("optimizer", optimizer);
    c.add("training", *this);
    save_checkpoint(path, c);
}

bool TrainState::load(const std::filesystem::path& path, Module& model, Optimizer& optimizer) {
    if (!std::filesystem::exists(path)) return false;
    const Checkpoint c = load_checkpoint(path);
    c.restore("model", model);
    c.restore("optimizer", optimizer);
    c.restore("training", *this);
    return true;
}

}  // namespace koine
