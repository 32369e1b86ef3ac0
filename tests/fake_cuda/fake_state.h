// What the files of the fake share. All state is behind one lock, held by whoever calls what is below.
#pragma once
#include <cstdarg>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>

#include "tests/fake_cuda/cuda_runtime.h"
#include "tests/fake_cuda/fake_cuda.h"

/// Work that waits, in order. Number i of all that was ever queued is done when n_done > i.
struct CUstream_st {
    std::deque<std::function<cudaError_t()>> waiting;
    uint64_t n_done = 0;
    uint64_t end() const { return n_done + waiting.size(); }
};
struct CUevent_st {
    cudaStream_t stream = nullptr;
    uint64_t end = 0;  // of the work that it waits for
};

namespace fake_cuda {

using Buffers = std::map<uintptr_t, size_t>;  // address -> bytes

struct State {
    std::mutex mutex;
    cudaError_t error = cudaSuccess;  // of queued work: from then on all calls fail
    Counts counts;
    uint64_t orders = 0;  // how many launches have been given an order of their lanes
    size_t limit = 0;
    Buffers device, pinned;  // not freed
    int64_t in_use = 0;
    std::set<cudaStream_t> streams;
    std::set<cudaEvent_t> events;
};
State& state();  // never destroyed

struct Lock : std::lock_guard<std::mutex> {
    Lock() : std::lock_guard<std::mutex>(state().mutex) {}
};

// ---- fake_memory.cpp -----------------------------------------------------------------------------------------------

enum class Memory { pageable, pinned, device, none };
/// Whose bytes these are; none: partly or wholly outside of any buffer that lives.
Memory memory_of(const void* p, size_t bytes);
/// Whether some device buffer, whether it lives or not, may lie there.
bool is_device_address(const void* p);
/// Whether the host's aligned_alloc, which the pool asks, has handed it out.
bool is_host_tensor(const void* p);
/// Device memory can be touched while one of these lives.
struct DeviceAccess {
    DeviceAccess();
    ~DeviceAccess();
};
/// Sees to it that a fault in device memory is reported. Again and again: test frameworks set handlers of their own for
/// each test.
void watch();

// ---- fake_runtime.cpp ----------------------------------------------------------------------------------------------

/// Why no call can succeed: KOINE_FAKE_CUDA, or an error of queued work.
cudaError_t usable();
/// The status of a call, remembered for cudaGetLastError.
cudaError_t report(cudaError_t status);
/// Prints "fake CUDA: ..." to stderr.
__attribute__((format(printf, 1, 2))) void complain(const char* format, ...);
bool is_stream(cudaStream_t stream);
void enqueue(cudaStream_t stream, std::function<cudaError_t()> work);
/// Runs what was queued before `end`.
void run(cudaStream_t stream, uint64_t end);

}  // namespace fake_cuda
