// What tests see and set of the fake CUDA runtime (README.md). Not thread-safe against a running test of another
// thread.
#pragma once
#include <cstddef>
#include <cstdint>

namespace fake_cuda {

/// Calls since the program began. `synchronisations` are those that made the host wait: for unfinished work, for a copy
/// from or to pageable memory, or in cudaFree.
struct Counts {
    int64_t launches = 0, copies_in = 0, copies_out = 0, copies_on = 0, memsets = 0, gemms = 0;
    int64_t mallocs = 0, frees = 0, host_mallocs = 0, synchronisations = 0;
};
Counts counts();

/// What cudaMalloc may hand out in all, in bytes; 0: as much as there is (16 GB of addresses).
void limit_memory(size_t bytes);
/// In device buffers that were not freed.
int64_t bytes_in_use();

/// Forgets an error that would otherwise stay until the program ends, and the work that still waits. Orders of lanes
/// and blocks begin anew: from here on, the same calls give the same numbers even where a kernel is wrong.
void reset();

}  // namespace fake_cuda
