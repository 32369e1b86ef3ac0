// The run folder: everything that one run of an experiment leaves behind.
//
//   config.json   every switch                      train.csv      one row per model and epoch
//   env.json      version, compiler, BLAS, device   metrics.json   the results
//   ckpt/         checkpoints (nn/checkpoint)       figures/       images and charts
//   report.html   all of it, for people
#pragma once
#include <chrono>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "experiments/common/environment.h"
#include "experiments/common/flags.h"
#include "experiments/common/report.h"
#include "experiments/common/table.h"
#include "experiments/common/train_log.h"

namespace koine {

/// A folder that this process alone writes to, for as long as this lives; however the process ends, the folder is free
/// again. Throws UsageError when another process holds it.
class FolderLock {
public:
    explicit FolderLock(const std::filesystem::path& folder);
    ~FolderLock();
    FolderLock(const FolderLock&) = delete;
    FolderLock& operator=(const FolderLock&) = delete;

private:
    int descriptor;
};

class Run {
public:
    /// Makes the folder, or with --resume opens one, points runs/NAME/latest to it and prints the first lines. Sets
    /// flags.run_folder. Throws UsageError when the folder cannot be made, holds a run already, was begun with other
    /// settings, or is in use by another process.
    Run(Flags& flags, const RunInfo& info);

    const std::filesystem::path& folder() const { return where; }
    bool is_resumed() const { return resumed; }
    /// ckpt/NAME and figures/NAME in the folder.
    std::filesystem::path checkpoint(const std::string& name) const { return where / "ckpt" / name; }
    std::filesystem::path figure(const std::string& name) const { return where / "figures" / name; }

    /// Appends a row to train.csv; call it before that epoch's checkpoint is written. See TrainLog::add.
    void log(const std::string& model, int64_t epoch, const Values& values) { train_log.add(model, epoch, values); }
    /// A column of train.csv as learning curves, one per model, the epochs before an interruption included.
    std::vector<Series> curves(const std::string& column) const { return train_log.curves(column); }

    /// Writes one of the folder's JSON files, such as anchors.json. Throws DataError(IO).
    void write_json(const std::string& name, const OrderedJson& json) const;
    /// Seconds since this process began the run.
    double seconds() const;

    /// Writes metrics.json and report.html, the report completed with settings and environment, and prints the tables
    /// on stdout, or with --json the metrics.
    void finish(const OrderedJson& metrics, const std::vector<Table>& tables, Report report) const;

private:
    using Pairs = std::vector<std::pair<std::string, std::string>>;

    std::filesystem::path where;
    FolderLock lock;
    TrainLog train_log;
    bool resumed, is_json, is_quiet;
    Pairs config, env;
    std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
};

}  // namespace koine
