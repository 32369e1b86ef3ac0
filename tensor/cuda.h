// The GPU, as far as this project knows it: which one there is, its one stream, and the way up to it and back.
//
// Everything runs on one stream, in the order in which the host asked for it. So a buffer may go back to the pool while
// the kernel that reads it still waits: whoever gets it next is behind that kernel. The host waits in three places
// only: when it reads a result (copy_to_host), when the pool gives memory back, and when more uploads wait than fit
// into the pinned memory below; with KOINE_PROFILE also at the end of every op. Without it, a training step that reads
// nothing does not wait (tests/test_training.cpp counts).
//
// What stands outside of namespace cuda is in builds without CUDA, too, and says so there.
#pragma once
#include <cstddef>
#include <string>

#include "tensor/device.h"

namespace koine {

/// What a GPU is called, or why there is none to be used.
struct CudaReport {
    bool is_usable = false;
    std::string text;  ///< "NVIDIA H200 (sm_90, 139.8 GB; driver 13.0, runtime 13.0)"; else what is missing
};
/// Asks the driver. Never throws.
CudaReport cuda_report();

/// How often the host has waited for the GPU so far, for whatever reason; 0 in builds without CUDA.
int64_t cuda_waits();

/// False where nvcc compiled the kernels: emulated_team.h cannot run those.
bool kernels_can_be_emulated();

/// Throws DeviceError with what is missing unless `device` can be used in this build on this machine.
void require_device(Device device);

#ifdef KOINE_CUDA
namespace cuda {

/// Throws DeviceError, "what: the runtime's words", unless status is cudaSuccess.
void check(cudaError_t status, const char* what);

/// The stream on which everything runs, on device 0 (CUDA_VISIBLE_DEVICES says which that is). Throws DeviceError.
cudaStream_t stream();

/// Device memory. Throws DeviceError; an exhausted device is std::bad_alloc, so that the pool can give back what nobody
/// uses and ask again.
void* allocate(size_t bytes);
void release(void* p) noexcept;
/// "18.1 of 23.6 GB are in use": for the message when memory is exhausted for good.
std::string memory_in_use();

/// Queues a copy from the host. `from` may be changed or freed at once: the bytes are in pinned memory.
void copy_to_device(void* to, const void* from, size_t bytes);
/// Copies to the host, after all that was queued before; complete when it returns: the host waits.
void copy_to_host(void* to, const void* from, size_t bytes);
/// Queues a copy within the device.
void copy_on_device(void* to, const void* from, size_t bytes);
/// Queues NaN for every number in p.
void poison(void* p, size_t bytes) noexcept;

}  // namespace cuda
#endif

}  // namespace koine
