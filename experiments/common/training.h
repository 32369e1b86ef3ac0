// One model in training: where its loop stands, its checkpoints, its rows of train.csv. The loop itself stays in the
// experiment.
//
//   Training t(run, "relative-0", model, adam, {"train_mse"}, {});
//   while (t.epoch < n_epochs) {
//       for (...; t.batch < batches.size(); ) {
//           ... forward, backward, step ...
//           t.count(n, [=] { return Measured{double(loss.item())}; });
//           if (interrupted()) t.save_and_stop();
//       }
//       t.end_epoch({{"test_mse", test_mse}});
//   }
//
// A run that was interrupted goes on in the middle of an epoch, and ends with the same bytes.
//
// Reading a number waits for the GPU, and a step that waits leaves it idle while the next one is prepared. So what was
// measured there is read later, many steps at once.
#pragma once
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "experiments/common/run.h"
#include "nn/checkpoint.h"
#include "nn/optim.h"

namespace koine {

/// What was measured of a batch: means over its samples.
using Measured = std::vector<double>;

class Training : private Stateful {
public:
    /// Goes on from ckpt/NAME.safetensors when it is there. `measured` names what count() will be told; `metadata`
    /// goes into the checkpoints. Throws as load_checkpoint and Checkpoint::restore.
    Training(Run& run_, const std::string& name_, Module& model_, Optimizer& optimizer_,
             std::vector<std::string> measured_, std::map<std::string, std::string> metadata_);

    /// Counts a batch of n samples; `measure` reads what was measured of it. It is called at once on the CPU. On a GPU
    /// it is kept, so let it hold Tensors (not Vars, whose graph would live as long), and called in turn when n_put_off
    /// batches wait, or when means(), end_epoch() or save() need it. Throws NonFiniteError, naming model, epoch and
    /// batch, for a value that is not finite: on a GPU up to n_put_off steps later, and before anything is saved.
    void count(int64_t n, std::function<Measured()> measure);
    /// Ends an epoch: a row of train.csv with the means of what was measured and with `scores`, then the checkpoint.
    /// When `scores` has a "validation_mse" that is lower than all before, the model is also kept as the best one.
    /// Returns the row.
    Values end_epoch(const Values& scores);

    /// What was counted in this epoch so far: the means over its samples.
    Values means();

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
    size_t n_put_off;  ///< batches that may wait to be measured: 0 on the CPU, 32 on a GPU

private:
    void visit(Visitor& v) override;
    std::filesystem::path path(const std::string& suffix = "") const;
    void measure_all();

    struct Batch {
        int64_t n;
        uint64_t number;  // in its epoch
        std::function<Measured()> measure;
    };

    Run& run;
    Module& model;
    Optimizer& optimizer;
    std::vector<std::string> measured;
    std::map<std::string, std::string> metadata;
    std::deque<Batch> waiting;  // batches that are counted and not yet measured, all of this epoch
    Tensor sums;                // of what is measured, over the samples of this epoch so far
    uint64_t n_samples = 0;     // that they are sums over, when nothing waits
    Tensor best_score;          // the lowest validation error so far
};

}  // namespace koine
