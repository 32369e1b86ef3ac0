// Where work runs: the loops that every kernel of the project is run by, on the CPU and on the GPU.
//
// A kernel is a plain struct of pointers and sizes with a host/device operator(). Three loops run kernels:
//   for_each(device, n, f)            f(i) for every i < n: elementwise work
//   for_rows(device, rows, cols, f)   f(team, row) for every row: softmax, norms, reductions, patches
//   for_tasks(device, n, f)           f(i) for coarse host-side tasks that call the other two, or BLAS
// A Team is the set of lanes that share one row: a single CPU thread with SIMD lanes (CpuTeam), a block of GPU threads
// (CudaTeam), or a simulated block (EmulatedTeam, emulated_team.h), all with the same few verbs: each, sum, max, once.
// So there is one formula per op, not one per device, and the only kernel launches of the project are in this file.
//
// Determinism: work is cut by the shape of the problem, never by the number of threads, and every destination has one
// owner. The same input gives the same bytes with 1, 2 or 16 threads.
//
// Reading order: start here, then math.h, shape.h, tensor.h.
#pragma once
#include <algorithm>
#include <cstdint>
#include <exception>
#include <limits>
#include <string>

#include "tensor/error.h"

// KOINE_CUDA: a build with a GPU path (make CUDA=1, through nvcc), or with the path alone (make CUDA=fake, through g++:
// tests/fake_cuda has the headers and runs the kernels).
#ifdef KOINE_CUDA
#include <cuda_runtime.h>
#endif
#ifdef __CUDACC__
#define HD __host__ __device__
#else
#define HD
#endif
#ifndef REAL
#define REAL float
#endif
// Before a short loop of fixed length: the compiler writes it out, so that what it works on can stay in registers, and
// a loop around it becomes vector code.
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 36")
#endif
#ifdef __CUDACC__
#pragma nv_diag_suppress 1675  // nvcc does not know the pragma, but hands it on to g++
#endif

namespace koine {

/// The one floating-point type of a build: float, or double for the gradient checks (make REAL=double).
using real = REAL;

enum class Device { cpu, cuda };

inline const char* name_of(Device device) { return device == Device::cpu ? "cpu" : "cuda"; }

/// Below this much work (elements x cost) a loop stays on the calling thread: waking others costs more (measured:
/// 65 k additions take about 15 us, a parallel region 2 to 10 us on a quiet machine and ms on a busy one).
inline constexpr int64_t kSerialWork = 65536;

/// True inside a for_tasks task: whatever is called there runs on the calling thread.
inline thread_local bool in_task = false;

// ---- teams -------------------------------------------------------------------------------------------------------

/// One CPU thread: the lanes are SIMD lanes.
struct CpuTeam {
    /// f(i) for i < n, in any order; all lanes have finished when it returns.
    template <class F>
    HD void each(int64_t n, F f) const {
#pragma omp simd
        for (int64_t i = 0; i < n; i++) f(i);
    }
    /// The sum of f(i) over i < n; 0 for n = 0.
    template <class F>
    HD real sum(int64_t n, F f) const {
        real s = 0;
#pragma omp simd reduction(+ : s)
        for (int64_t i = 0; i < n; i++) s += f(i);
        return s;
    }
    /// The largest f(i) over i < n; -infinity for n = 0. A NaN may or may not be returned.
    template <class F>
    HD real max(int64_t n, F f) const {
        real m = -std::numeric_limits<real>::infinity();
#pragma omp simd reduction(max : m)
        for (int64_t i = 0; i < n; i++) {
            const real v = f(i);
            m = m > v ? m : v;
        }
        return m;
    }
    /// f() by one lane; the others wait.
    template <class F>
    HD void once(F f) const {
        f();
    }
};

/// A block of lanes that share `scratch` (one real per lane, their number a power of two) and meet at barriers.
/// Block supplies lane(), lanes(), scratch() and barrier(); the GPU and its emulation differ in nothing else.
template <class Block>
struct BlockTeam {
    Block block;

    template <class F>
    HD void each(int64_t n, F f) const {
        for (int64_t i = block.lane(); i < n; i += block.lanes()) f(i);
        block.barrier();
    }
    template <class F>
    HD real sum(int64_t n, F f) const {
        real s = 0;
        for (int64_t i = block.lane(); i < n; i += block.lanes()) s += f(i);
        return tree(s, [](real a, real b) { return a + b; });
    }
    template <class F>
    HD real max(int64_t n, F f) const {
        real m = -std::numeric_limits<real>::infinity();
        for (int64_t i = block.lane(); i < n; i += block.lanes()) {
            const real v = f(i);
            m = m > v ? m : v;
        }
        return tree(m, [](real a, real b) { return a > b ? a : b; });
    }
    template <class F>
    HD void once(F f) const {
        if (block.lane() == 0) f();
        block.barrier();
    }

private:
    // Halves the number of partial values until one is left: a fixed order, whatever the timing of the lanes.
    template <class Combine>
    HD real tree(real mine, Combine combine) const {
        real* s = block.scratch();
        s[block.lane()] = mine;
        block.barrier();
        for (int width = block.lanes() / 2; width > 0; width /= 2) {
            if (block.lane() < width) s[block.lane()] = combine(s[block.lane()], s[block.lane() + width]);
            block.barrier();
        }
        const real result = s[0];
        block.barrier();  // nobody overwrites s[0] before everybody has read it
        return result;
    }
};

}  // namespace koine

#include "tensor/emulated_team.h"

namespace koine {

// ---- the GPU ---------------------------------------------------------------------------------------------------------
#ifdef KOINE_CUDA
struct CudaBlock {
    real* shared;
    __device__ int lane() const { return int(threadIdx.x); }
    __device__ int lanes() const { return int(blockDim.x); }
    __device__ real* scratch() const { return shared; }
    __device__ void barrier() const { __syncthreads(); }
};
using CudaTeam = BlockTeam<CudaBlock>;
inline constexpr int kCudaLanes = 256, kWarp = 32;  // the most lanes of a block, and the fewest that make sense

template <class F>
__global__ void each_kernel(int64_t n, F f) {
    for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += int64_t(gridDim.x) * blockDim.x) f(i);
}
template <class F>
__global__ void rows_kernel(int64_t rows, F f) {
    __shared__ real scratch[kCudaLanes];
    for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) f(CudaTeam{{scratch}}, row);
}

namespace cuda {
void check(cudaError_t status, const char* what);  // both: tensor/cuda.h
cudaStream_t stream();

/// kernel<<<blocks, lanes>>>(n, f) on the one stream; the host goes on at once. Throws DeviceError.
template <class F>
void launch(const char* loop, void (*kernel)(int64_t, F), int64_t blocks, int64_t lanes, int64_t n, F f) {
    void* arguments[] = {&n, &f};
    blocks = std::min<int64_t>(blocks, 65535);  // a kernel goes round until all is done
    check(cudaLaunchKernel(kernel, dim3(unsigned(blocks)), dim3(unsigned(lanes)), arguments, 0, stream()), loop);
}

/// Lanes for a row: a power of two, about one for 32 units of its work. Chosen by reason, not yet by measurement.
inline int64_t lanes_for(int64_t cols) {
    int64_t lanes = kWarp;
    while (lanes < kCudaLanes && lanes * 32 < cols) lanes *= 2;
    return lanes;
}
}  // namespace cuda
#endif

[[noreturn]] inline void no_cuda() {
    throw DeviceError("this program was built without CUDA: build it with `make CUDA=1`, or use --device cpu");
}

// ---- the loops -----------------------------------------------------------------------------------------------------

// A CUDA build takes its files without kernels from the build without CUDA: what they have of these two templates, the
// linker must not mix up with the versions that can launch.
#ifdef KOINE_CUDA
inline namespace with_gpu {
#endif

/// f(i) for i < n, once each. `cost` is the work of one call in units of an addition.
template <class F>
void for_each(Device device, int64_t n, F f, int64_t cost = 1) {
    if (n == 0) return;
    if (device == Device::cuda) {
#ifdef KOINE_CUDA
        return cuda::launch("for_each", each_kernel<F>, (n + kCudaLanes - 1) / kCudaLanes, kCudaLanes, n, f);
#else
        no_cuda();
#endif
    }
    // Chunks of a fixed size: where the vectorised part of a loop ends must not depend on the number of threads.
    constexpr int64_t kChunk = 4096;
    const int64_t n_chunks = (n + kChunk - 1) / kChunk;
    const auto chunk = [&](int64_t c) {
        CpuTeam().each(std::min(kChunk, n - c * kChunk), [&](int64_t i) { f(c * kChunk + i); });
    };
    if (in_task || n * cost < kSerialWork) {
        for (int64_t c = 0; c < n_chunks; c++) chunk(c);
    } else {
#pragma omp parallel for schedule(static)
        for (int64_t c = 0; c < n_chunks; c++) chunk(c);
    }
}

/// f(team, row) for row < rows, once each. `cols` is the work of one row in units of an addition.
template <class F>
void for_rows(Device device, int64_t rows, int64_t cols, F f) {
    if (rows == 0) return;
    if (device == Device::cuda) {
#ifdef KOINE_CUDA
        return cuda::launch("for_rows", rows_kernel<F>, rows, cuda::lanes_for(cols), rows, f);
#else
        no_cuda();
#endif
    }
#ifndef __CUDACC__
    if (emulated_lanes() > 0) return emulate_rows(rows, f);
#endif
    if (in_task || rows * cols < kSerialWork) {
        for (int64_t row = 0; row < rows; row++) f(CpuTeam(), row);
    } else {
#pragma omp parallel for schedule(static)
        for (int64_t row = 0; row < rows; row++) f(CpuTeam(), row);
    }
}

#ifdef KOINE_CUDA
}  // namespace with_gpu
#endif

/// f(i) for i < n: coarse tasks of the host, spread over the threads on the CPU and run in order on a GPU, whose loops
/// they call. The first exception (by index) is rethrown after all tasks have ended.
template <class F>
void for_tasks(Device device, int64_t n, F f) {
    if (device == Device::cuda || in_task) {
        for (int64_t i = 0; i < n; i++) f(i);
        return;
    }
    std::exception_ptr error;
    int64_t error_index = n;
    const auto task = [&](int64_t i) {
        in_task = true;
        try {
            f(i);
        } catch (...) {
#pragma omp critical(koine_task_error)
            if (i < error_index) error = std::current_exception(), error_index = i;
        }
        in_task = false;
    };
    // Also for a single task: inside a parallel region BLAS stays on one thread, outside it would start its own.
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t i = 0; i < n; i++) task(i);
    if (error) std::rethrow_exception(error);
}

}  // namespace koine
