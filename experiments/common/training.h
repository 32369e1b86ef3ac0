// One model in training: where its loop stands, its checkpoints, its rows of train.csv. The loop itself stays in the
// experiment.
//
//   Training t(run, "relative-0", model, adam, {"train_mse"}, {});
//   while (t.epoch < n_epochs) {
//       for (...; t.batch < batches.size(); ) {
//           ... forward, backward, step ...
//           t.count(n, {loss.item()});
//           if (interrupted()) t.save_and_stop();
//       }
//       t.end_epoch({{"test_mse", test_mse}});
//   }
//
// A run that was interrupted goes on in the middle of an epoch, and ends with the same bytes.
#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "experiments/common/run.h"
#include "nn/checkpoint.h"
#include "nn/optim.h"

namespace koine {

class Training : private Stateful {
public:
    /// Goes on from ckpt/NAME.safetensors when it is there. `measured` names what count() will be told; `metadata`
    /// goes into the checkpoints. Throws as load_checkpoint and Checkpoint::restore.
    Training(Run& run_, const std::string& name_, Module& model_, Optimizer& optimizer_,
             std::vector<std::string> measured_, std::map<std::string, std::string> metadata_);

    /// Counts a batch of n samples with these mean values. Throws NonFiniteError, naming model, epoch and batch, unless
    /// all are finite.
    void count(int64_t n, const std::vector<double>& values);
    /// Ends an epoch: a row of train.csv with the means of what was measured and with `scores`, then the checkpoint.
    /// When `scores` has a "validation_mse" that is lower than all before, the model is also kept as the best one.
    /// Returns the row.
    Values end_epoch(const Values& scores);

    /// What count() was told in this epoch so far: the means over its samples.
    Values means() const;

    void save();
    /// Saves, and throws Interrupted.
    [[noreturn]] void save_and_stop();

    /// The checkpoint to use when training is over: of the best epoch by validation, if there was validation, else of
    /// the last one.
    std::filesystem::path result() const;

    /// Batch `batch_` of epoch `epoch_`, both from 0, is the next one.
    bool is_at(int64_t epoch_, int64_t batch_) const { return int64_t(epoch) == epoch_ && int64_t(batch) == batch_; }
    /// Samples that the model has been trained on.
    int64_t n_seen(int64_t n_per_epoch) const { return int64_t(epoch) * n_per_epoch + int64_t(n_samples); }

    uint64_t epoch = 0;  ///< epochs that are complete
    uint64_t batch = 0;  ///< batches done in the one after them
    std::string name;

private:
    void visit(Visitor& v) override;
    std::filesystem::path path(const std::string& suffix = "") const;

    Run& run;
    Module& model;
    Optimizer& optimizer;
    std::vector<std::string> measured;
    std::map<std::string, std::string> metadata;
    Tensor sums;             // of what is measured, over the samples of this epoch so far
    uint64_t n_samples = 0;  // that they are sums over
    Tensor best_score;       // the lowest validation error so far
};

}  // namespace koine
