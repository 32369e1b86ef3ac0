// Device memory: addresses that the host cannot touch but while queued work runs, and that say who touched them.
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>

#include "tests/fake_cuda/fake_state.h"

namespace fake_cuda {
namespace {

constexpr size_t kArena = size_t(16) << 30;
constexpr size_t kHugePage = 2 << 20;  // of which the arena is made: protecting 1 GB is 512 entries to change
// Between two buffers, never to be read or written.
constexpr size_t kGap = 256;
// What was freed rests: as long as it is not handed out again, whoever still reads it reads NaN.
constexpr size_t kResting = size_t(256) << 20;

size_t round_up(size_t n, size_t step) { return (n + step - 1) / step * step; }
size_t room_for(size_t bytes) { return round_up(bytes, kGap) + kGap; }

struct Arena {
    char *base = nullptr, *top = nullptr;  // handed out once: [base, top)
    bool is_open = false;
    Buffers free;  // may be handed out again
    std::deque<std::pair<uintptr_t, size_t>> resting;
    size_t resting_bytes = 0;

    // An address at which small integers, with what is left of a pointer in their upper half, are no address of ours.
    Arena() {
        void* p = mmap(reinterpret_cast<void*>(0x6a0a40000000), kArena + kHugePage, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED) {
            complain("no room for 16 GB of addresses");
            abort();
        }
        base = top = reinterpret_cast<char*>(round_up(reinterpret_cast<uintptr_t>(p), kHugePage));
        madvise(base, kArena, MADV_HUGEPAGE);
    }

    void protect(int protection) {
        if (top != base) mprotect(base, round_up(size_t(top - base), kHugePage), protection);
    }

    // An address, or 0.
    uintptr_t take(size_t room) {
        for (auto it = free.begin(); it != free.end(); ++it) {
            const auto [at, bytes] = *it;
            if (bytes < room) continue;
            free.erase(it);
            if (bytes > room) free.emplace(at + room, bytes - room);
            return at;
        }
        if (size_t(base + kArena - top) < room) {
            if (resting.empty()) return 0;
            wake(0);
            return take(room);
        }
        char* at = top;
        top += room;
        const DeviceAccess access;
        std::memset(at, 0xFF, room);
        return reinterpret_cast<uintptr_t>(at);
    }

    void give(uintptr_t at, size_t room) {
        const DeviceAccess access;
        std::memset(reinterpret_cast<void*>(at), 0xFF, room);
        resting.emplace_back(at, room);
        resting_bytes += room;
        wake(kResting);
    }

    // Moves the oldest of what rests to what is free, until no more than `bytes` rest.
    void wake(size_t bytes) {
        while (resting_bytes > bytes) {
            const auto [at, room] = resting.front();
            resting.pop_front();
            resting_bytes -= room;
            auto it = free.emplace(at, room).first;
            if (const auto next = std::next(it); next != free.end() && at + room == next->first) {
                it->second += next->second;
                free.erase(next);
            }
            if (it != free.begin() && std::prev(it)->first + std::prev(it)->second == at) {
                std::prev(it)->second += it->second;
                free.erase(it);
            }
        }
    }
};

Arena& arena() {
    static Arena* const instance = new Arena;
    return *instance;
}

// The buffer that p lies in, one past its end included; end() if none.
Buffers::const_iterator buffer_at(const Buffers& buffers, uintptr_t p) {
    auto it = buffers.upper_bound(p);
    if (it == buffers.begin()) return buffers.end();
    --it;
    return p <= it->first + it->second ? it : buffers.end();
}

// ---- who touched it ------------------------------------------------------------------------------------------------

struct sigaction handler_before;
std::atomic<bool> is_reported{false};

// Says what happened, and lets it happen: with the handler from before, the same access ends the process. The lock may
// be held by the thread that runs here, and the process is at its end: this reads without it.
void on_fault(int signal, siginfo_t* info, void*) {
    const bool is_access = info->si_code > 0, is_ours = is_access && is_device_address(info->si_addr);
    if (is_reported.exchange(is_ours)) handler_before.sa_handler = SIG_DFL, handler_before.sa_flags = 0;
    if (is_ours) {
        const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
        const auto it = buffer_at(state().device, address);
        const char* who = arena().is_open ? "a kernel or a copy" : "the host";
        char where[80] = "outside any buffer";
        if (it != state().device.end() && address < it->first + it->second)
            std::snprintf(where, sizeof where, "byte %zu of a buffer of %zu bytes", address - it->first, it->second);
        complain("%s touched device memory: %p, %s", who, info->si_addr, where);
    }
    sigaction(signal, &handler_before, nullptr);
    if (!is_access) raise(signal);
}

// ---- the host's tensors --------------------------------------------------------------------------------------------

struct HostTensors {
    std::mutex mutex;  // its own: queued work may allocate
    Buffers ranges;    // also those that were freed: no kernel wants the host's memory in their place either
};
HostTensors& host_tensors() {
    static HostTensors* const instance = new HostTensors;
    return *instance;
}

}  // namespace

// Takes the place of the C library's: what the pool hands out is asked for here, and by hardly anybody else.
extern "C" void* aligned_alloc(size_t alignment, size_t bytes) noexcept {
    void* p = nullptr;
    if (posix_memalign(&p, std::max(alignment, sizeof(void*)), bytes) != 0) return nullptr;
    HostTensors& tensors = host_tensors();
    const std::lock_guard lock(tensors.mutex);
    const auto begin = reinterpret_cast<uintptr_t>(p);
    const auto first = tensors.ranges.lower_bound(begin), last = tensors.ranges.lower_bound(begin + bytes);
    tensors.ranges.erase(first, last);
    tensors.ranges[begin] = bytes;
    return p;
}

bool is_host_tensor(const void* p) {
    HostTensors& tensors = host_tensors();
    const std::lock_guard lock(tensors.mutex);
    const auto address = reinterpret_cast<uintptr_t>(p);
    const auto it = buffer_at(tensors.ranges, address);
    return it != tensors.ranges.end() && address < it->first + it->second;
}

bool is_device_address(const void* p) {
    const char* at = static_cast<const char*>(p);
    return at >= arena().base && at < arena().base + kArena;
}

Memory memory_of(const void* p, size_t bytes) {
    const auto begin = reinterpret_cast<uintptr_t>(p);
    const bool is_device = is_device_address(p);
    const Buffers& buffers = is_device ? state().device : state().pinned;
    const auto it = buffer_at(buffers, begin);
    if (it != buffers.end() && begin + bytes <= it->first + it->second)
        return is_device ? Memory::device : Memory::pinned;
    const auto next = buffers.lower_bound(begin);
    const bool meets = (it != buffers.end() && begin < it->first + it->second) ||
                       (next != buffers.end() && next->first < begin + bytes);
    return is_device || meets || !p ? Memory::none : Memory::pageable;
}

DeviceAccess::DeviceAccess() {
    arena().is_open = true;
    arena().protect(PROT_READ | PROT_WRITE);
}
DeviceAccess::~DeviceAccess() {
    arena().protect(PROT_NONE);
    arena().is_open = false;
}

void watch() {
    struct sigaction now;
    sigaction(SIGSEGV, nullptr, &now);
    if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_fault) return;
    handler_before = now;
    struct sigaction ours = {};
    ours.sa_sigaction = on_fault;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &ours, nullptr);
    stack_t stack;
    static char memory[64 * 1024];  // the fault may be that of a full stack
    if (sigaltstack(nullptr, &stack) == 0 && (stack.ss_flags & SS_DISABLE)) {
        stack = {};
        stack.ss_sp = memory;
        stack.ss_size = sizeof memory;
        sigaltstack(&stack, nullptr);
    }
}

void limit_memory(size_t bytes) {
    const Lock lock;
    state().limit = bytes;
}

int64_t bytes_in_use() {
    const Lock lock;
    return state().in_use;
}

}  // namespace fake_cuda

using namespace fake_cuda;

cudaError_t cudaMalloc(void** p, size_t bytes) {
    const Lock lock;
    State& s = state();
    if (const cudaError_t error = usable()) return report(error);
    if (!p) return report(cudaErrorInvalidValue);
    *p = nullptr;
    if (bytes == 0) return cudaSuccess;
    const size_t limit = s.limit ? s.limit : kArena;
    const uintptr_t at = bytes > limit || size_t(s.in_use) > limit - bytes ? 0 : arena().take(room_for(bytes));
    if (!at) return report(cudaErrorMemoryAllocation);
    watch();
    s.counts.mallocs++;
    s.in_use += int64_t(bytes);
    s.device[at] = bytes;
    *p = reinterpret_cast<void*>(at);
    return cudaSuccess;
}

cudaError_t cudaFree(void* p) {
    const Lock lock;
    State& s = state();
    if (!p) return report(usable());
    const auto it = s.device.find(reinterpret_cast<uintptr_t>(p));
    if (it == s.device.end()) return report(cudaErrorInvalidValue);
    for (cudaStream_t stream : s.streams) run(stream, stream->end());
    s.counts.synchronisations++;
    s.counts.frees++;
    s.in_use -= int64_t(it->second);
    arena().give(it->first, room_for(it->second));
    s.device.erase(it);
    return report(s.error);
}

cudaError_t cudaMallocHost(void** p, size_t bytes) {
    const Lock lock;
    if (const cudaError_t error = usable()) return report(error);
    if (!p || bytes == 0) return report(cudaErrorInvalidValue);
    if (posix_memalign(p, 4096, bytes) != 0) return report(cudaErrorMemoryAllocation);
    std::memset(*p, 0xFF, bytes);
    state().counts.host_mallocs++;
    state().pinned[reinterpret_cast<uintptr_t>(*p)] = bytes;
    return cudaSuccess;
}

// Does not wait: that CUDA does, is nowhere promised.
cudaError_t cudaFreeHost(void* p) {
    const Lock lock;
    if (!p) return report(usable());
    const auto it = state().pinned.find(reinterpret_cast<uintptr_t>(p));
    if (it == state().pinned.end()) return report(cudaErrorInvalidValue);
    std::memset(p, 0xFF, it->second);
    state().pinned.erase(it);
    free(p);
    return report(state().error);
}

cudaError_t cudaMemGetInfo(size_t* n_free, size_t* total) {
    const Lock lock;
    if (const cudaError_t error = usable()) return report(error);
    if (!n_free || !total) return report(cudaErrorInvalidValue);
    *total = state().limit ? state().limit : kArena;
    *n_free = *total - std::min(*total, size_t(state().in_use));
    return cudaSuccess;
}
