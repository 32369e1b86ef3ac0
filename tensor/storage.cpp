#include "tensor/storage.h"

#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>

#include "tensor/cuda.h"

namespace koine {
namespace {

// Bins are 256 bytes apart, and large ones a sixteenth of their size: tables of texts have another number of rows in
// every batch, and would otherwise hardly ever find a buffer again.
size_t bin_of(size_t bytes) {
    const size_t step = std::max<size_t>(256, std::bit_floor(bytes) / 16);
    return (std::max<size_t>(bytes, 1) + step - 1) / step * step;
}

void* allocate(Device device, size_t bytes) {
    if (device == Device::cpu) {
        void* p = std::aligned_alloc(64, bytes);
        if (!p) throw std::bad_alloc();
        return p;
    }
#ifdef KOINE_CUDA
    return cuda::allocate(bytes);
#else
    no_cuda();
#endif
}

void release(Device device, void* p) noexcept {
    if (device == Device::cpu) return std::free(p);
#ifdef KOINE_CUDA
    cuda::release(p);
#endif
}

// What std::bad_alloc means on a GPU, in words.
[[noreturn]] void exhausted(Device device, [[maybe_unused]] size_t bytes) {
    if (device == Device::cpu) throw std::bad_alloc();
#ifdef KOINE_CUDA
    throw DeviceError("the GPU has no room for " + std::to_string(bytes >> 20) + " MB more: " + cuda::memory_in_use() +
                      "; smaller batches need less");
#else
    no_cuda();
#endif
}

}  // namespace

Pool& pool() {
    // Never destroyed: tensors in static storage may outlive any order of destruction.
    static Pool* const instance = [] {
        Pool* p = new Pool;
#if defined(__SANITIZE_ADDRESS__) || defined(KOINE_FAKE_CUDA)
        p->poisons = true;
#endif
        return p;
    }();
    return *instance;
}

void* Pool::take(Device device, size_t bytes) {
    const size_t size = bin_of(bytes);
    void* p = nullptr;
    bool hoards = false;
    {
        const std::lock_guard lock(mutex);
        std::vector<void*>& bin = bins[{device, size}];
        if (!bin.empty()) {
            p = bin.back();
            bin.pop_back();
            bytes_free -= int64_t(size);
        } else {
            misses++;
            // Work of ever-changing sizes would fill bins that nobody asks for again.
            hoards = bytes_free > bytes_in_use + (int64_t(1) << 30);
        }
        bytes_in_use += int64_t(size);
        bytes_peak = std::max(bytes_peak, bytes_in_use);
    }
    if (hoards) trim();
    if (!p) {
        try {
            try {
                p = allocate(device, size);
            } catch (const std::bad_alloc&) {
                trim();  // what lies in other bins may be enough
                try {
                    p = allocate(device, size);
                } catch (const std::bad_alloc&) {
                    exhausted(device, size);
                }
            }
        } catch (...) {
            const std::lock_guard lock(mutex);
            bytes_in_use -= int64_t(size);
            throw;
        }
    }
    if (poisons && device == Device::cpu) {
        std::fill_n(static_cast<real*>(p), size / sizeof(real), std::numeric_limits<real>::quiet_NaN());
    }
    return p;
}

void Pool::give(Device device, size_t bytes, void* p) noexcept {
    const size_t size = bin_of(bytes);
#ifdef KOINE_CUDA
    // Here and not in take(): nobody may read it from now on, but for work that was queued before.
    if (poisons && device == Device::cuda) cuda::poison(p, size);
#endif
    const std::lock_guard lock(mutex);
    bytes_in_use -= int64_t(size);
    try {
        bins[{device, size}].push_back(p);
        bytes_free += int64_t(size);
    } catch (const std::bad_alloc&) {  // no room to remember it
        release(device, p);
    }
}

void Pool::trim() {
    const std::lock_guard lock(mutex);
    for (auto& [key, bin] : bins) {
        for (void* p : bin) release(key.first, p);
        bin.clear();
    }
    bytes_free = 0;
}

void copy_bytes(void* to, Device to_device, const void* from, Device from_device, size_t bytes) {
    if (bytes == 0) return;
    if (to_device == Device::cpu && from_device == Device::cpu) {
        std::memcpy(to, from, bytes);
        return;
    }
#ifdef KOINE_CUDA
    if (to_device == Device::cpu) return cuda::copy_to_host(to, from, bytes);
    if (from_device == Device::cpu) return cuda::copy_to_device(to, from, bytes);
    cuda::copy_on_device(to, from, bytes);
#else
    no_cuda();
#endif
}

}  // namespace koine
