// Batches that are made ahead of time, by threads of their own, while the model is busy with the one before.
//
//   Prefetch batches(0, n_batches, [&](int64_t i) { return Batch{augment(...), gather_rows(labels, rows[i])}; });
//   for (Batch batch; batches.next(batch); ) { ... }
//
// They come out in order, whichever thread was first. What is in them is the business of the function.
#pragma once
#include <condition_variable>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "tensor/tensor.h"

namespace koine {

/// Images and their labels.
struct Batch {
    Tensor images;   ///< [B, H, W, C]
    Indices labels;  ///< [B]
    int64_t size() const { return labels.numel(); }
};

class Prefetch {
public:
    /// Makes batches [first, last) with make(i), on n_workers threads, at most n_ahead of them before they are asked
    /// for. make() is called on several threads at once and may only read what it shares; loops that it calls stay on
    /// its thread. Throws ValueError unless n_workers and n_ahead are 1 or more, std::system_error when the machine has
    /// no threads left.
    Prefetch(int64_t first, int64_t last, std::function<Batch(int64_t)> make_, int n_workers = 2, int64_t n_ahead_ = 4);
    /// Waits for the threads: each finishes the batch that it is at.
    ~Prefetch();
    Prefetch(const Prefetch&) = delete;
    Prefetch& operator=(const Prefetch&) = delete;

    /// The next batch, in order; false when there is none left. Rethrows what make() threw for it.
    bool next(Batch& batch);

private:
    struct Made {
        Batch batch;
        std::exception_ptr error;
    };
    void work();
    void stop();

    const std::function<Batch(int64_t)> make;
    const int64_t end, n_ahead;
    std::mutex mutex;  // over all that follows
    std::condition_variable has_batch, has_room;
    int64_t next_to_make, next_to_give;
    bool is_over = false;
    std::map<int64_t, Made> made;
    std::vector<std::thread> workers;
};

}  // namespace koine
