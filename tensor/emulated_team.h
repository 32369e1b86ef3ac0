// A GPU block without a GPU: every lane of a block is a fiber of its own, so that kernels can be tested for what goes
// wrong only on a device. Included by device.h; used by the tests alone: by EmulateBlocks, off by default, and by the
// GPU of tests/fake_cuda. The loops do without it where nvcc compiles them, since a kernel for a GPU cannot call it.
//
// What it shows: a missing barrier (between two barriers the lanes run one after the other in shuffled order, so a lane
// that reads too early reads an old value), a write that every lane repeats (dx += v outside `once` is added once per
// lane), and lanes that do not reach the same barriers (an error). What it does not show: speed, and races inside one
// warp's instruction.
#pragma once
#include <cstdint>
#include <functional>

namespace koine {

/// Lanes of the emulated block that for_rows uses instead of CpuTeam; 0 means off. A power of two.
int emulated_lanes();

/// Scope guard: for_rows emulates blocks of `lanes` lanes, shuffled by `seed`, while it lives. For tests.
struct EmulateBlocks {
    explicit EmulateBlocks(int lanes, uint64_t seed = 0);
    ~EmulateBlocks();
    EmulateBlocks(const EmulateBlocks&) = delete;
    EmulateBlocks& operator=(const EmulateBlocks&) = delete;
};

// The two that kernels ask for most, also declared by tests/fake_cuda.
extern constinit thread_local int running_lane;
void meet_at_barrier();

/// The lane that is running now, and its block.
struct EmulatedBlock {
    int lane() const { return running_lane; }
    int lanes() const;
    real* scratch() const;
    void barrier() const { meet_at_barrier(); }
};
using EmulatedTeam = BlockTeam<EmulatedBlock>;

/// Runs `lane_program` once per lane as one block of `lanes` lanes on the calling thread, interleaved at barriers, in
/// orders that only `seed` decides. A lane has a stack of 64 KB, and must not throw. Throws Error when the lanes
/// disagree about the number of barriers.
void run_emulated_block(int lanes, uint64_t seed, const std::function<void()>& lane_program);

/// The same for the block of EmulateBlocks, whose scratch is full of NaN at first.
void run_emulated_block(const std::function<void()>& lane_program);

template <class F>
void emulate_rows(int64_t rows, const F& f) {
    for (int64_t row = 0; row < rows; row++) run_emulated_block([&] { f(EmulatedTeam{}, row); });
}

}  // namespace koine
