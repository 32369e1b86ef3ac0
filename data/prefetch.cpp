#include "data/prefetch.h"

#include <string>
#include <utility>

namespace koine {

Prefetch::Prefetch(int64_t first, int64_t last, std::function<Batch(int64_t)> make_, int n_workers, int64_t n_ahead_)
    : make(std::move(make_)), end(last), n_ahead(n_ahead_), next_to_make(first), next_to_give(first) {
    if (n_workers < 1 || n_ahead < 1) {
        throw ValueError("Prefetch: " + std::to_string(n_workers) + " threads, " + std::to_string(n_ahead) +
                         " batches ahead; want 1 or more of both");
    }
    try {
        for (int i = 0; i < n_workers; i++) workers.emplace_back([this] { work(); });
    } catch (...) {
        stop();
        throw;
    }
}

Prefetch::~Prefetch() { stop(); }

void Prefetch::stop() {
    {
        const std::lock_guard lock(mutex);
        is_over = true;
    }
    has_room.notify_all();
    for (std::thread& worker : workers) worker.join();
}

void Prefetch::work() {
    in_task = true;  // the threads of OpenMP belong to the model
    std::unique_lock lock(mutex);
    while (true) {
        has_room.wait(lock, [&] { return is_over || next_to_make >= end || next_to_make < next_to_give + n_ahead; });
        if (is_over || next_to_make >= end) return;
        const int64_t i = next_to_make++;
        lock.unlock();
        Made result;
        try {
            result.batch = make(i);
        } catch (...) {
            result.error = std::current_exception();
        }
        lock.lock();
        made.emplace(i, std::move(result));
        has_batch.notify_one();
    }
}

bool Prefetch::next(Batch& batch) {
    std::unique_lock lock(mutex);
    if (next_to_give >= end) return false;
    has_batch.wait(lock, [&] { return made.contains(next_to_give); });
    Made result = std::move(made.extract(next_to_give++).mapped());
    lock.unlock();
    has_room.notify_all();
    if (result.error) std::rethrow_exception(result.error);
    batch = std::move(result.batch);
    return true;
}

}  // namespace koine
