#include "tensor/cuda.h"

#include <atomic>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <new>

namespace koine {

#ifndef KOINE_CUDA

CudaReport cuda_report() { return {false, "this program was built without CUDA: make CUDA=1 builds it with"}; }
int64_t cuda_waits() { return 0; }

#else

namespace {

// 13000 is 13.0.
std::string version(int number) { return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10); }

std::string gigabytes(size_t bytes) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", double(bytes) / (1 << 30));
    return text;
}

struct Probe {
    HD void operator()(int64_t) const {}
};

std::atomic<int64_t> n_waits{0};

}  // namespace

CudaReport cuda_report() {
    int driver = 0, runtime = 0, n_devices = 0;
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    const cudaError_t status = cudaGetDeviceCount(&n_devices);
    if (status != cudaSuccess) cudaGetLastError();  // the next call shall not see this error
    if (driver == 0) return {false, "no NVIDIA driver (this program needs one for CUDA " + version(runtime) + ")"};
    if (status == cudaErrorInsufficientDriver) {
        return {false, "the NVIDIA driver is for CUDA " + version(driver) + ", this program for CUDA " +
                           version(runtime) + ": update the driver, or build with an older CUDA Toolkit"};
    }
    if (status == cudaErrorNoDevice || (status == cudaSuccess && n_devices == 0)) {
        return {false, "no GPU, or CUDA_VISIBLE_DEVICES hides it (driver for CUDA " + version(driver) + ")"};
    }
    cudaDeviceProp gpu = {};
    cudaFuncAttributes kernel = {};
    const char* step = "cudaGetDeviceCount";
    cudaError_t problem = status;
    if (problem == cudaSuccess) step = "cudaGetDeviceProperties", problem = cudaGetDeviceProperties(&gpu, 0);
    const std::string arch = "sm_" + std::to_string(gpu.major) + std::to_string(gpu.minor);
    if (problem == cudaSuccess) {
        step = "cudaFuncGetAttributes";
        problem = cudaFuncGetAttributes(&kernel, each_kernel<Probe>);
        if (problem == cudaErrorNoKernelImageForDevice || problem == cudaErrorInvalidDeviceFunction) {
            cudaGetLastError();
            return {false, std::string(gpu.name) + " is " + arch + ", and this program has no kernels for it (" +
                               KOINE_CUDA_ARCH + "): make CUDA=1 CUDA_ARCH=" + arch};
        }
    }
    if (problem != cudaSuccess) {
        cudaGetLastError();
        return {false, std::string(step) + ": " + cudaGetErrorString(problem)};
    }
    return {true, std::string(gpu.name) + " (" + arch + ", " + gigabytes(gpu.totalGlobalMem) + " GB; driver " +
                      version(driver) + ", runtime " + version(runtime) + ")"};
}

int64_t cuda_waits() { return n_waits; }

namespace cuda {

void check(cudaError_t status, const char* what) {
    if (status == cudaSuccess) return;
    cudaGetLastError();
    throw DeviceError(std::string(what) + ": " + cudaGetErrorString(status));
}

cudaStream_t stream() {
    static const cudaStream_t the_stream = [] {
        require_device(Device::cuda);
        cudaStream_t s;
        check(cudaSetDevice(0), "cudaSetDevice");
        check(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
        return s;
    }();
    return the_stream;
}

void* allocate(size_t bytes) {
    stream();  // says what is missing when there is no device
    void* p = nullptr;
    const cudaError_t status = cudaMalloc(&p, bytes);
    if (status == cudaErrorMemoryAllocation) {
        cudaGetLastError();
        throw std::bad_alloc();
    }
    check(status, "cudaMalloc");
    return p;
}

void release(void* p) noexcept {
    n_waits++;  // until all work is done
    cudaFree(p);
}

std::string memory_in_use() {
    size_t n_free = 0, n_all = 0;
    check(cudaMemGetInfo(&n_free, &n_all), "cudaMemGetInfo");
    return gigabytes(n_all - n_free) + " of " + gigabytes(n_all) + " GB are in use";
}

// ---- the way up ----------------------------------------------------------------------------------------------------

namespace {

// Pinned memory that uploads pass through: the GPU fetches from it on its own, while the host goes on. It is filled
// segment by segment; before a segment is filled again, all copies from it must be over.
class Uploads {
public:
    void copy(void* to, const void* from, size_t bytes) {
        const std::lock_guard lock(mutex);
        for (size_t at = 0; at < bytes;) {
            if (used == kSegment) begin_next_segment();
            const size_t n = std::min(bytes - at, kSegment - used);
            char* room = static_cast<char*>(segments[current].memory) + used;
            std::memcpy(room, static_cast<const char*>(from) + at, n);
            check(cudaMemcpyAsync(static_cast<char*>(to) + at, room, n, cudaMemcpyHostToDevice, stream()),
                  "cudaMemcpyAsync");
            at += n;
            used = std::min((used + n + 63) / 64 * 64, kSegment);
        }
    }

private:
    // 4 MB is a batch of 340 colour images of 32 x 32; with 8 of them the host can be several steps ahead.
    static constexpr size_t kSegment = 4 << 20;
    static constexpr int kSegments = 8;

    struct Segment {
        void* memory = nullptr;
        cudaEvent_t is_read = nullptr;
    };

    void begin_next_segment() {
        Segment& full = segments[current];
        if (full.memory) check(cudaEventRecord(full.is_read, stream()), "cudaEventRecord");
        current = (current + 1) % kSegments;
        Segment& next = segments[current];
        if (next.memory) {
            if (cudaEventQuery(next.is_read) == cudaErrorNotReady) n_waits++;
            check(cudaEventSynchronize(next.is_read), "cudaEventSynchronize");
        } else {
            check(cudaMallocHost(&next.memory, kSegment), "cudaMallocHost");
            check(cudaEventCreateWithFlags(&next.is_read, cudaEventDisableTiming), "cudaEventCreateWithFlags");
        }
        used = 0;
    }

    std::mutex mutex;
    Segment segments[kSegments];
    int current = 0;
    size_t used = kSegment;  // of the current segment: the first upload begins a new one
};

}  // namespace

void copy_to_device(void* to, const void* from, size_t bytes) {
    static Uploads* const uploads = new Uploads;  // never destroyed: the runtime may be gone by then
    uploads->copy(to, from, bytes);
}

void copy_to_host(void* to, const void* from, size_t bytes) {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream()), "cudaMemcpyAsync");
    n_waits++;
    check(cudaStreamSynchronize(stream()), "the GPU");
}

void copy_on_device(void* to, const void* from, size_t bytes) {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream()), "cudaMemcpyAsync");
}

void poison(void* p, size_t bytes) noexcept { cudaMemsetAsync(p, 0xFF, bytes, stream()); }

}  // namespace cuda

#endif

bool kernels_can_be_emulated() {
#ifdef __CUDACC__
    return false;
#else
    return true;
#endif
}

void require_device(Device device) {
    if (device == Device::cpu) return;
    const CudaReport report = cuda_report();
    if (!report.is_usable) throw DeviceError("no usable GPU: " + report.text);
}

}  // namespace koine
