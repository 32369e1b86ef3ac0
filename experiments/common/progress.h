// What a training loop shows while it runs: a bar on a terminal, one plain line per epoch elsewhere. All on stderr.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "experiments/common/text.h"

namespace koine {

/// stderr, or another descriptor, is a terminal that can redraw a line.
bool is_terminal(int descriptor = 2);

/// stderr, or another descriptor, is a terminal, and the user has not set NO_COLOR (https://no-color.org).
bool has_colour(int descriptor = 2);

class Progress {
public:
    /// `n_epochs` counts over all models, each epoch of `n_samples` samples: the ETA spans them all.
    Progress(bool is_quiet, int64_t n_epochs, int64_t n_samples, std::string unit = "images");
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    /// n samples need no training: an earlier run has done it.
    void skip(int64_t n) { n_total -= n; }
    /// An epoch begins: epoch 3 of 10 of the model "relative-0".
    void start(const std::string& model, int64_t epoch, int64_t of);
    /// n more samples were trained on; `values` says how it goes. Redraws at most ten times a second, and asks for the
    /// values only then, so it may be called after every batch.
    void step(int64_t n, const std::function<Values()>& values);
    /// The epoch is over: prints its line, with these values.
    void done(const Values& values);

private:
    using Clock = std::chrono::steady_clock;

    std::string speed_and_eta() const;
    void draw(const Values& values);
    void clear();

    bool is_quiet, has_bar, is_drawn = false;
    int64_t n_total, n_samples;
    std::string unit, title;
    int64_t n_seen = 0, n_in_epoch = 0;
    Clock::time_point run_start = Clock::now(), epoch_start = run_start, last_drawn = run_start;
};

}  // namespace koine
