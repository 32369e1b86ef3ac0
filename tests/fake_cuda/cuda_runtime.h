// The part of CUDA's runtime that this project uses, without a GPU (make CUDA=fake; README.md). Names, values and
// arguments are those of CUDA 13.0; https://docs.nvidia.com/cuda/cuda-runtime-api describes them. What is not here,
// must not be used.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <tuple>
#include <type_traits>
#include <utility>

#define CUDART_VERSION 13000

// ---- kernels -------------------------------------------------------------------------------------------------------

#define __global__
#define __device__
#define __host__
// The lanes of a block run on one thread, which has one such array for all kernels: fake_kernels.cpp defines it, and
// fills it with NaN before every block. An array of another name does not link until it is defined there, too.
// (With thread_local, g++ 12 has templates call an initialiser that is not there.)
#define __shared__ extern __thread

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

namespace koine {
extern constinit thread_local int running_lane;  // these two: tensor/emulated_team.h
void meet_at_barrier();
}  // namespace koine

namespace fake_cuda {

// Only x: blocks and grids have one extent here.
struct LaneIndex {
    struct {
        operator unsigned() const { return unsigned(koine::running_lane); }
    } x;
};
struct Extent {
    unsigned x = 0;
};

}  // namespace fake_cuda

inline constexpr fake_cuda::LaneIndex threadIdx{};
inline constinit thread_local fake_cuda::Extent blockIdx{}, blockDim{}, gridDim{};
inline void __syncthreads() { koine::meet_at_barrier(); }

// ---- errors --------------------------------------------------------------------------------------------------------

enum cudaError_t {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInvalidConfiguration = 9,
    cudaErrorInvalidMemcpyDirection = 21,
    cudaErrorInsufficientDriver = 35,
    cudaErrorInvalidDeviceFunction = 98,
    cudaErrorNoDevice = 100,
    cudaErrorInvalidDevice = 101,
    cudaErrorNoKernelImageForDevice = 209,
    cudaErrorInvalidResourceHandle = 400,
    cudaErrorNotReady = 600,
    cudaErrorIllegalAddress = 700,
    cudaErrorLaunchFailure = 719,
};
const char* cudaGetErrorName(cudaError_t error);
const char* cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetLastError();

// ---- the device ----------------------------------------------------------------------------------------------------

struct cudaDeviceProp {
    char name[256];
    size_t totalGlobalMem;
    int major, minor;
    int multiProcessorCount;
};
struct cudaFuncAttributes {
    size_t sharedSizeBytes, constSizeBytes, localSizeBytes;
    int maxThreadsPerBlock, numRegs, ptxVersion, binaryVersion;
};
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaDriverGetVersion(int* version);
cudaError_t cudaRuntimeGetVersion(int* version);

// ---- memory --------------------------------------------------------------------------------------------------------

using cudaStream_t = struct CUstream_st*;
using cudaEvent_t = struct CUevent_st*;

enum cudaMemcpyKind {
    cudaMemcpyHostToHost = 0,
    cudaMemcpyHostToDevice = 1,
    cudaMemcpyDeviceToHost = 2,
    cudaMemcpyDeviceToDevice = 3,
    cudaMemcpyDefault = 4,
};
cudaError_t cudaMalloc(void** p, size_t bytes);
cudaError_t cudaFree(void* p);
cudaError_t cudaMallocHost(void** p, size_t bytes);
cudaError_t cudaFreeHost(void* p);
cudaError_t cudaMemGetInfo(size_t* free, size_t* total);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream = {});
cudaError_t cudaMemsetAsync(void* p, int value, size_t bytes, cudaStream_t stream = {});

// As in CUDA's own header: for pointers of any type.
template <class T>
cudaError_t cudaMalloc(T** p, size_t bytes) {
    return cudaMalloc(reinterpret_cast<void**>(p), bytes);
}
template <class T>
cudaError_t cudaMallocHost(T** p, size_t bytes) {
    return cudaMallocHost(reinterpret_cast<void**>(p), bytes);
}

// ---- streams and events --------------------------------------------------------------------------------------------

inline constexpr unsigned cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaDeviceSynchronize();
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream = {});
cudaError_t cudaEventQuery(cudaEvent_t event);
cudaError_t cudaEventSynchronize(cudaEvent_t event);

// ---- launches ------------------------------------------------------------------------------------------------------

namespace fake_cuda {

struct Argument {
    const void* bytes;
    size_t n_bytes;
};
cudaError_t launch(dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream, std::function<void()> lane,
                   std::initializer_list<Argument> arguments);
cudaError_t attributes(cudaFuncAttributes* to, bool is_null);

template <class... A, size_t... I>
cudaError_t launch(void (*kernel)(A...), dim3 grid, dim3 block, void** args, size_t shared_bytes, cudaStream_t stream,
                   std::index_sequence<I...>) {
    static_assert((std::is_trivially_copyable_v<A> && ...), "CUDA copies a kernel's arguments byte by byte");
    static_assert((sizeof(A) + ... + 0) <= 32764, "a kernel takes 32764 bytes of arguments");
    if (!kernel || (sizeof...(A) > 0 && !args)) return launch({}, {}, 0, stream, {}, {});
    std::tuple<A...> values(*static_cast<const A*>(args[I])...);
    // Or what was left of a pointer between the members would pass for one.
    (__builtin_clear_padding(&std::get<I>(values)), ...);
    const std::initializer_list<Argument> arguments = {{&std::get<I>(values), sizeof(A)}...};
    return launch(
        grid, block, shared_bytes, stream, [=] { std::apply(kernel, values); }, arguments);
}

}  // namespace fake_cuda

template <class... A>
cudaError_t cudaLaunchKernel(void (*kernel)(A...), dim3 grid, dim3 block, void** args, size_t shared_bytes = 0,
                             cudaStream_t stream = {}) {
    return fake_cuda::launch(kernel, grid, block, args, shared_bytes, stream, std::index_sequence_for<A...>());
}
template <class... A>
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* to, void (*kernel)(A...)) {
    return fake_cuda::attributes(to, !kernel);
}
