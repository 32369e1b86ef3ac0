#include <sys/mman.h>

#include <memory>
#include <new>
#include <numeric>
#include <utility>
#include <vector>

#include "tensor/device.h"

// From one stack to another in a few instructions: swapcontext also saves the mask of signals, two system calls that
// take fifty times as long. AddressSanitizer must be told of every switch, and other processors are rare: both have
// swapcontext.
#if (defined(__x86_64__) || defined(__aarch64__)) && !defined(__SANITIZE_ADDRESS__)
#define KOINE_SWITCHES_STACKS
#else
#include <ucontext.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace koine {

constinit thread_local int running_lane = 0;

namespace {

constexpr size_t kStackBytes = 1 << 16;
constexpr size_t kPage = 1 << 16;  // no machine has larger ones

void run_lanes() noexcept;

// ---- switching -----------------------------------------------------------------------------------------------------

#ifdef KOINE_SWITCHES_STACKS
// switch_stacks leaves the registers that a function must keep on the stack, and its pointer in *from; then it calls
// `start` on the empty stack `to`, or, without one, goes on where the stack was left (System V ABI for x86-64, section
// 3.2.1; AAPCS64, section 6.1). koine_resume is the second half: nothing of the stack before is kept. Processors
// predict where a function returns to from the calls that they saw: one place that calls, and none for the second half,
// keeps lanes that go the same way predictable (a sixth of the time, measured).
extern "C" void switch_stacks(void** from, void* to, void (*start)()) __asm__("koine_switch_stacks");
#ifdef __x86_64__
__asm__(R"(
.text
.p2align 4
koine_switch_stacks:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    testq %rdx, %rdx
    jnz koine_start
koine_resume:
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
koine_start:
    movq %rsi, %rsp
    pushq $0
    jmp *%rdx
)");
[[noreturn]] inline void resume(void* to) {
    __asm__ volatile("jmp koine_resume" : : "S"(to) : "memory");
    __builtin_unreachable();
}
#else
__asm__(R"(
.text
.p2align 4
koine_switch_stacks:
    sub sp, sp, #160
    stp x19, x20, [sp]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    cbnz x2, koine_start
koine_resume:
    mov sp, x1
    ldp x19, x20, [sp]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
koine_start:
    mov sp, x1
    mov x29, xzr
    mov x30, xzr
    br x2
)");
[[noreturn]] inline void resume(void* to) {
    __asm__ volatile("mov x1, %0\n b koine_resume" : : "r"(to) : "x1", "memory");
    __builtin_unreachable();
}
#endif

// A place to go on from: the top of a stack.
struct Context {
    void* top = nullptr;
    bool is_new = false;

    void start(char* stack, size_t bytes) {
        top = stack + bytes;
        is_new = true;
    }
    void switch_to(Context& to) { switch_stacks(&top, to.top, std::exchange(to.is_new, false) ? run_lanes : nullptr); }
    [[noreturn]] static void leave_to(Context& to) { resume(to.top); }
    static void arrive_first() {}
};
#else
struct Context {
    ucontext_t context;
    const void* stack = nullptr;  // for AddressSanitizer, as the next two
    size_t stack_bytes = 0;
    void* fake_stack = nullptr;

    void start(char* stack_, size_t bytes) {
        getcontext(&context);
        context.uc_stack.ss_sp = stack_;
        context.uc_stack.ss_size = bytes;
        context.uc_link = nullptr;
        makecontext(&context, run_lanes, 0);
        stack = stack_;
        stack_bytes = bytes;
    }
    void switch_to(Context& to) {
        came_from = this;
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_start_switch_fiber(&fake_stack, to.stack, to.stack_bytes);
#endif
        swapcontext(&context, &to.context);
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
    }
    [[noreturn]] static void leave_to(Context& to) {
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_start_switch_fiber(nullptr, to.stack, to.stack_bytes);
#endif
        setcontext(&to.context);
        __builtin_unreachable();
    }
    // How the sanitizer hears where the stack of the caller lies.
    static void arrive_first() {
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_finish_switch_fiber(nullptr, &came_from->stack, &came_from->stack_bytes);
#endif
    }
    static thread_local Context* came_from;
};
thread_local Context* Context::came_from = nullptr;
#endif

// ---- fibers --------------------------------------------------------------------------------------------------------

// A stack and where it goes on. Below the stack lies a page that nobody may touch: an overflow is a crash.
struct Fiber {
    Context context;
    char* memory = nullptr;
    size_t shift = 0;

    static constexpr size_t kBytes = kPage + kStackBytes + 4096;

    // All stacks are used at their ends, which would meet in the same few lines of the cache, were they at equal
    // places of their pages.
    explicit Fiber(size_t index) : shift(index * 192 % 4096) {
        void* p = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) throw std::bad_alloc();
        memory = static_cast<char*>(p);
        mprotect(memory, kPage, PROT_NONE);
    }
    ~Fiber() { munmap(memory, kBytes); }
    Fiber(const Fiber&) = delete;
    Fiber& operator=(const Fiber&) = delete;

    void start() { context.start(memory + kPage, kBytes - kPage - shift); }
};

// One block at a time on each thread. In the first round a fiber starts lanes, one after the other, until one of them
// waits at a barrier: a kernel without barriers needs one stack and one switch.
struct Block {
    std::vector<std::unique_ptr<Fiber>> fibers;  // kept from block to block
    std::vector<Context*> waiting;               // of each lane
    std::vector<int> permutation;                // of the lanes, the same for all blocks of this size
    std::vector<real> scratch;
    const std::function<void()>* program = nullptr;
    Context caller;
    Context* here = nullptr;
    uint64_t random = 0;
    int n_lanes = 0, n_left = 0, n_ended = 0;
    int at = 0, step = 0;  // how this round goes through the permutation
    size_t n_fibers = 0;
    bool is_first_round = false;

    // SplitMix64 (Steele, Lea and Flood 2014).
    uint64_t next_random() {
        uint64_t z = random += 0x9E3779B97F4A7C15u;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return z ^ (z >> 31);
    }
    int random_below(int n) { return int((next_random() >> 32) * uint64_t(n) >> 32); }

    void resize(int lanes) {
        if (n_lanes == lanes) return;
        n_lanes = lanes;
        waiting.resize(size_t(lanes));
        permutation.resize(size_t(lanes));
        std::iota(permutation.begin(), permutation.end(), 0);
        random = 0;
        for (int i = lanes; i > 1; i--) std::swap(permutation[i - 1], permutation[random_below(i)]);
    }

    // Every round begins at a place of its own and goes in steps of its own, which meet every lane once: one order in
    // n^2 / 2, for the price of two random numbers. To shuffle all lanes took a fifth of the time.
    void begin_round() {
        at = random_below(n_lanes);
        step = random_below(n_lanes) | 1;
        if ((n_lanes & (n_lanes - 1)) != 0)
            while (std::gcd(step, n_lanes) != 1) step += 2;
        step %= n_lanes;
        n_left = n_lanes;
    }
    int next_lane() {
        n_left--;
        const int lane = permutation[at];
        at += step;
        at -= at >= n_lanes ? n_lanes : 0;
        return lane;
    }

    // Who goes on when a lane waits or has ended: a lane of this round, the first of the next, or the caller.
    Context& successor() {
        if (n_left == 0) {
            if (n_ended > 0) return caller;  // all have, or the lanes disagree
            is_first_round = false;
            begin_round();
        }
        if (is_first_round) {
            if (n_fibers == fibers.size()) fibers.push_back(std::make_unique<Fiber>(n_fibers));
            Fiber& fiber = *fibers[n_fibers++];
            fiber.start();
            return fiber.context;
        }
        running_lane = next_lane();
        return *waiting[running_lane];
    }
};

thread_local Block blocks;
// The same, without a look at whether it was initialised.
constinit thread_local Block* block = nullptr;

constinit thread_local int lanes_wanted = 0;
constinit thread_local uint64_t shuffle_seed = 0;

// What a fiber does.
void run_lanes() noexcept {
    Context::arrive_first();
    Block& b = *block;
    do {
        running_lane = b.next_lane();
        (*b.program)();
        b.n_ended++;
    } while (b.is_first_round && b.n_left > 0);
    Context& to = b.successor();
    b.here = &to;
    Context::leave_to(to);
}

}  // namespace

int emulated_lanes() { return lanes_wanted; }

EmulateBlocks::EmulateBlocks(int lanes, uint64_t seed) {
    if (lanes < 1 || (lanes & (lanes - 1)) != 0)
        throw ValueError("an emulated block has a power of two lanes, not " + std::to_string(lanes));
    lanes_wanted = lanes;
    shuffle_seed = seed << 32;
}
EmulateBlocks::~EmulateBlocks() { lanes_wanted = 0; }

int EmulatedBlock::lanes() const { return block->n_lanes; }
real* EmulatedBlock::scratch() const { return block->scratch.data(); }

void meet_at_barrier() {
    Block& b = *block;
    Context& from = *b.here;
    b.waiting[running_lane] = &from;
    Context& to = b.successor();
    b.here = &to;
    if (&to != &from) from.switch_to(to);
}

void run_emulated_block(int lanes, uint64_t seed, const std::function<void()>& lane_program) {
    block = &blocks;
    Block& b = *block;
    b.resize(lanes);
    b.program = &lane_program;
    b.random = seed;
    b.n_ended = 0;
    b.n_fibers = 0;
    b.is_first_round = true;
    b.begin_round();
    b.here = &b.successor();
    b.caller.switch_to(*b.here);
    if (b.n_ended != lanes) {
        throw Error("emulated block: " + std::to_string(b.n_ended) + " of " + std::to_string(lanes) +
                    " lanes ended while the others wait at a barrier");
    }
}

void run_emulated_block(const std::function<void()>& lane_program) {
    blocks.scratch.assign(lanes_wanted, std::numeric_limits<real>::quiet_NaN());
    run_emulated_block(lanes_wanted, shuffle_seed++, lane_program);
}

}  // namespace koine
