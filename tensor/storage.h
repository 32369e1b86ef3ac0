// Memory: a Storage is one buffer on one device, taken from a pool and given back to it.
//
// A training loop asks for about the same sizes at every step. The pool keeps freed buffers in bins of one size (a
// request is rounded up to 256 bytes, a large one by at most a sixteenth), so that after the first step nothing is
// allocated any more; `pool().misses` counts, and a test holds it to 0. First touch of fresh pages costs ten times more
// than reuse (2.7 against 28 GB/s, measured).
#pragma once
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "tensor/device.h"

namespace koine {

class Pool {
public:
    /// At least `bytes` bytes, 64-byte aligned, contents undefined (NaN while `poisons`). Throws std::bad_alloc, or
    /// DeviceError when the device is missing or its memory is exhausted.
    void* take(Device device, size_t bytes);
    /// Returns what take() gave for the same device and number of bytes.
    void give(Device device, size_t bytes, void* p) noexcept;
    /// Frees every buffer that nobody uses.
    void trim();

    int64_t misses = 0;        ///< buffers that had to be allocated
    int64_t bytes_in_use = 0;  ///< held by live tensors
    int64_t bytes_peak = 0;    ///< the largest bytes_in_use so far
    int64_t bytes_free = 0;    ///< waiting for reuse
    /// Fill buffers with NaN: on the CPU before they are handed out, on a GPU when they come back. On in sanitizer
    /// builds and where the GPU is a fake.
    bool poisons = false;

private:
    std::mutex mutex;
    std::map<std::pair<Device, size_t>, std::vector<void*>> bins;
};

Pool& pool();

/// One buffer. Tensors share it through shared_ptr; the last one gives it back to the pool.
struct Storage {
    Storage(Device device_, size_t bytes_) : device(device_), bytes(bytes_), ptr(pool().take(device_, bytes_)) {}
    ~Storage() { pool().give(device, bytes, ptr); }
    Storage(const Storage&) = delete;
    Storage& operator=(const Storage&) = delete;

    Device device;
    size_t bytes;
    void* ptr;
};
using StoragePtr = std::shared_ptr<Storage>;

/// Copies bytes between buffers of any two devices. To the host: complete when it returns, the GPU's earlier work done.
/// To the GPU: in turn with its other work, and `from` may be changed at once.
void copy_bytes(void* to, Device to_device, const void* from, Device from_device, size_t bytes);

}  // namespace koine
