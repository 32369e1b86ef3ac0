// Where a training loop stands: saved with the model and the optimiser, so that a run goes on in the middle of an
// epoch.
#pragma once
#include <cmath>
#include <filesystem>

#include "nn/checkpoint.h"
#include "nn/optim.h"

namespace koine {

struct TrainState : Stateful {
    uint64_t epoch = 0;                   ///< epochs that are complete
    uint64_t batch = 0;                   ///< batches done in the one after them
    Tensor loss_sum = Tensor::zeros({});  ///< over the samples of that epoch so far
    void visit(Visitor& v) override {
        v("epoch", epoch);
        v("batch", batch);
        v("loss_sum", loss_sum);
    }

    /// Counts a batch of n samples. Throws NonFiniteError, naming model, epoch and batch, unless the loss is finite.
    void add(const std::string& model, double loss, int64_t n);
    /// Ends the epoch: the mean loss over its samples.
    double end_epoch(int64_t n_samples);

    /// Writes or reads all three. A file that is not there is no error for load: it returns false.
    void save(const std::filesystem::path& path, Module& model, Optimizer& optimizer);
    bool load(const std::filesystem::path& path, Module& model, Optimizer& optimizer);
};

}  // namespace koine
