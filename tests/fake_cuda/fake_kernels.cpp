// Launches: what a kernel is given is looked at when it is launched; when its turn comes, its blocks run one by one,
// the lanes of each as fibers.
#include <cstring>
#include <numeric>

#include "tensor/device.h"
#include "tests/fake_cuda/fake_state.h"

namespace koine {
// The array of rows_kernel.
__thread real scratch[kCudaLanes];
}  // namespace koine

namespace fake_cuda {
namespace {

// Below this many lanes it takes longer to wake the other threads.
constexpr uint64_t kSerialLanes = 4096;

// Whether every word that may be a pointer is one that a kernel can use: an upload that was forgotten is a host tensor.
bool can_use(const Argument& argument, size_t index) {
    for (size_t at = 0; at + sizeof(void*) <= argument.n_bytes; at += sizeof(void*)) {
        void* p;
        std::memcpy(&p, static_cast<const char*>(argument.bytes) + at, sizeof p);
        if (is_device_address(p)) {
            if (memory_of(p, 0) == Memory::device) continue;
            complain("a kernel was given device memory that is nobody's (freed?): %p, byte %zu of argument %zu", p, at,
                     index);
            return false;
        }
        if (is_host_tensor(p)) {
            complain("a kernel was given host memory: %p, byte %zu of argument %zu", p, at, index);
            return false;
        }
    }
    return true;
}

cudaError_t run_blocks(unsigned blocks, unsigned lanes, uint64_t seed, const std::function<void()>& lane) {
    // An order of the blocks: steps of a length that meets each of them once.
    const auto step = [&] {
        uint64_t n = seed * 0x9E3779B97F4A7C15u % blocks + 1;
        while (std::gcd(n, uint64_t(blocks)) != 1) n++;
        return n;
    }();
    std::string problem;
#pragma omp parallel for schedule(dynamic, 16) if (uint64_t(blocks) * lanes > kSerialLanes)
    for (unsigned i = 0; i < blocks; i++) {
        const unsigned block = unsigned((seed + i * step) % blocks);
        blockIdx = {block}, blockDim = {lanes}, gridDim = {blocks};
        std::fill_n(koine::scratch, koine::kCudaLanes, std::numeric_limits<koine::real>::quiet_NaN());
        try {
            // Orders of lanes hang on the block, not on the thread that it runs on.
            koine::run_emulated_block(int(lanes), (seed << 32) + block, lane);
        } catch (const std::exception& e) {
#pragma omp critical(fake_cuda_problem)
            problem = e.what();
        }
    }
    if (problem.empty()) return cudaSuccess;
    complain("a kernel failed: %s", problem.c_str());
    return cudaErrorLaunchFailure;
}

}  // namespace

cudaError_t launch(dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream, std::function<void()> lane,
                   std::initializer_list<Argument> arguments) {
    cudaFuncAttributes kernel;
    if (const cudaError_t error = attributes(&kernel, !lane)) return error;
    const Lock lock;
    if (!is_stream(stream)) return report(cudaErrorInvalidResourceHandle);
    const bool is_flat = grid.y == 1 && grid.z == 1 && block.y == 1 && block.z == 1;  // all that is needed so far
    if (!is_flat || grid.x == 0 || grid.x > 0x7FFFFFFF || block.x == 0 || int(block.x) > kernel.maxThreadsPerBlock)
        return report(cudaErrorInvalidConfiguration);
    if (shared_bytes != 0) return report(cudaErrorInvalidValue);  // there are static arrays alone
    state().counts.launches++;
    const uint64_t seed = ++state().orders;
    size_t index = 0;
    for (const Argument& argument : arguments) {
        if (can_use(argument, index++)) continue;
        enqueue(stream, [] { return cudaErrorIllegalAddress; });
        return report(state().error);
    }
    enqueue(stream, [=, lane = std::move(lane)] { return run_blocks(grid.x, block.x, seed, lane); });
    return report(state().error);
}

}  // namespace fake_cuda
