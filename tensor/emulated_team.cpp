#include <ucontext.h>

#include <memory>
#include <vector>

#include "tensor/random.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace koine {
namespace {

constexpr size_t kStackBytes = 64 * 1024;

// One fiber per lane and the scheduler that switches between them. AddressSanitizer must be told of every switch.
struct Fiber {
    ucontext_t context;
    std::vector<char> stack = std::vector<char>(kStackBytes);
    int n_barriers = 0;
    bool is_done = false;
    void* fake_stack = nullptr;
};

struct Block {
    std::vector<std::unique_ptr<Fiber>> fibers;
    std::vector<real> scratch;
    const std::function<void()>* program = nullptr;
    ucontext_t scheduler;
    const void* scheduler_stack = nullptr;
    size_t scheduler_stack_bytes = 0;
    void* scheduler_fake_stack = nullptr;
    int running = 0;
    uint64_t n_shuffles = 0;
};

thread_local int lanes_wanted = 0;
thread_local Random shuffle;
thread_local Block block;

void switch_to_lane(int lane) {
    block.running = lane;
    Fiber& fiber = *block.fibers[lane];
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&block.scheduler_fake_stack, fiber.stack.data(), kStackBytes);
#endif
    swapcontext(&block.scheduler, &fiber.context);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(block.scheduler_fake_stack, nullptr, nullptr);
#endif
}

void switch_to_scheduler() {
    Fiber& fiber = *block.fibers[block.running];
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(fiber.is_done ? nullptr : &fiber.fake_stack, block.scheduler_stack,
                                   block.scheduler_stack_bytes);
#endif
    swapcontext(&fiber.context, &block.scheduler);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(fiber.fake_stack, nullptr, nullptr);
#endif
}

void lane_main() {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &block.scheduler_stack, &block.scheduler_stack_bytes);
#endif
    (*block.program)();
    block.fibers[block.running]->is_done = true;
    switch_to_scheduler();
}

}  // namespace

int emulated_lanes() { return lanes_wanted; }

EmulateBlocks::EmulateBlocks(int lanes, uint64_t seed) {
    if (lanes < 1 || (lanes & (lanes - 1)) != 0)
        throw ValueError("an emulated block has a power of two lanes, not " + std::to_string(lanes));
    lanes_wanted = lanes;
    shuffle = Random{seed, 0};
}
EmulateBlocks::~EmulateBlocks() { lanes_wanted = 0; }

int EmulatedBlock::lane() const { return block.running; }
int EmulatedBlock::lanes() const { return lanes_wanted; }
real* EmulatedBlock::scratch() const { return block.scratch.data(); }
void EmulatedBlock::barrier() const {
    block.fibers[block.running]->n_barriers++;
    switch_to_scheduler();
}

void run_emulated_block(const std::function<void()>& lane_program) {
    const int lanes = lanes_wanted;
    block.program = &lane_program;
    block.scratch.assign(lanes, std::numeric_limits<real>::quiet_NaN());
    while (int(block.fibers.size()) < lanes) block.fibers.push_back(std::make_unique<Fiber>());
    for (int lane = 0; lane < lanes; lane++) {
        Fiber& fiber = *block.fibers[lane];
        fiber.n_barriers = 0;
        fiber.is_done = false;
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.data();
        fiber.context.uc_stack.ss_size = kStackBytes;
        fiber.context.uc_link = nullptr;
        makecontext(&fiber.context, lane_main, 0);
    }
    std::vector<int> order(lanes);
    for (int lane = 0; lane < lanes; lane++) order[lane] = lane;
    for (int n_running = lanes; n_running > 0;) {
        // Every lane runs to its next barrier, in a fresh random order.
        for (int i = lanes - 1; i > 0; i--)
            std::swap(order[i], order[shuffle.below(block.n_shuffles++, uint32_t(i + 1))]);
        for (int lane : order) switch_to_lane(lane);
        n_running = 0;
        for (int lane = 0; lane < lanes; lane++) n_running += !block.fibers[lane]->is_done;
        if (n_running != 0 && n_running != lanes) {
            throw Error("emulated block: " + std::to_string(lanes - n_running) + " of " + std::to_string(lanes) +
                        " lanes ended while the others wait at a barrier");
        }
    }
}

}  // namespace koine
