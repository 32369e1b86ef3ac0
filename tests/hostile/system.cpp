// The functions that stand in front of the C library's; see system.h.
#include "tests/hostile/system.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <sys/uio.h>
#include <unistd.h>
#include <unwind.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <unordered_map>

#ifdef __SANITIZE_ADDRESS__
#error "AddressSanitizer replaces malloc, too: build with SAN=0"
#endif

extern "C" {
void* __libc_malloc(size_t) noexcept;
void* __libc_calloc(size_t, size_t) noexcept;
void* __libc_realloc(void*, size_t) noexcept;
void* __libc_memalign(size_t, size_t) noexcept;
void __libc_free(void*) noexcept;
}

namespace koine::testing {
namespace {

std::atomic<int64_t> live, peak, let_through;
std::array<std::atomic<int64_t>, kCalls> calls;

// In the program itself thread-local variables are there before the first allocation, and cost none.
struct ThreadState {
    bool is_armed;
    bool is_within;  // we ourselves allocate: nothing is counted
    Fault fault;
    int64_t n_seen, n_struck;
};
constinit thread_local ThreadState state{false, false, {Call::malloc}, 0, 0};

// ---- memory in use ------------------------------------------------------------------------------------------------

void account(int64_t bytes) {
    if (state.is_within) return;
    const int64_t now = live.fetch_add(bytes, std::memory_order_relaxed) + bytes;
    int64_t most = peak.load(std::memory_order_relaxed);
    while (now > most && !peak.compare_exchange_weak(most, now, std::memory_order_relaxed)) continue;
}

void* counted(void* p) {
    if (p) account(int64_t(malloc_usable_size(p)));
    return p;
}

// ---- whose turn it is ---------------------------------------------------------------------------------------------

// The code of libgomp in memory.
struct {
    uintptr_t begin = 0, end = 0;
} gomp;

int find_gomp(dl_phdr_info* info, size_t, void*) {
    if (!std::strstr(info->dlpi_name, "libgomp")) return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const auto& part = info->dlpi_phdr[i];
        if (part.p_type != PT_LOAD || !(part.p_flags & PF_X)) continue;
        gomp.begin = info->dlpi_addr + part.p_vaddr;
        gomp.end = gomp.begin + part.p_memsz;
    }
    return 1;
}

// ---- where a bad_alloc would end the program ----------------------------------------------------------------------

/// Reads numbers of an exception table ("LSDA": itanium-cxx-abi, "Exception Handling"; its encodings are DWARF's).
struct TableReader {
    const uint8_t* at;

    uint64_t uleb() {
        uint64_t value = 0;
        for (int shift = 0;; shift += 7) {
            const uint8_t byte = *at++;
            value |= uint64_t(byte & 0x7f) << shift;
            if (byte < 0x80) return value;
        }
    }
    uint64_t encoded(uint8_t encoding) {
        if ((encoding & 0x0f) == 0x01) return uleb();
        const size_t n = (encoding & 0x07) == 0x02 ? 2 : (encoding & 0x07) == 0x03 ? 4 : 8;
        uint64_t value = 0;
        std::memcpy(&value, at, n);
        at += n;
        return value;
    }
};

enum class Answer { passes, catches, terminates };

// What a function does with an exception that reaches it. One with a table has an entry in it for every call from which
// an exception may leave; a call without one lies within noexcept. The entry's last number is not 0 where there is a
// catch.
Answer answer_of(_Unwind_Context* frame) {
    const auto* table = static_cast<const uint8_t*>(_Unwind_GetLanguageSpecificData(frame));
    if (!table) return Answer::passes;
    const uint64_t place = _Unwind_GetIP(frame) - 1 - _Unwind_GetRegionStart(frame);
    TableReader in{table};
    constexpr uint8_t kOmitted = 0xff;
    if (const uint8_t encoding = *in.at++; encoding != kOmitted) in.encoded(encoding);
    if (const uint8_t encoding = *in.at++; encoding != kOmitted) in.uleb();
    const uint8_t encoding = *in.at++;
    const uint64_t n_bytes = in.uleb();
    for (const uint8_t* const end = in.at + n_bytes; in.at < end;) {
        const uint64_t begin = in.encoded(encoding), length = in.encoded(encoding);
        in.encoded(encoding);
        const uint64_t action = in.uleb();
        if (place >= begin && place < begin + length) return action == 0 ? Answer::passes : Answer::catches;
    }
    return Answer::terminates;
}

struct Search {
    uintptr_t caller;  // of malloc: before it, the functions are our own
    bool is_outside = false, has_end = false;
};

_Unwind_Reason_Code look_at(_Unwind_Context* frame, void* state_of_search) {
    auto& search = *static_cast<Search*>(state_of_search);
    search.is_outside |= _Unwind_GetIP(frame) == search.caller;
    if (!search.is_outside) return _URC_NO_REASON;
    const Answer answer = answer_of(frame);
    search.has_end = answer == Answer::terminates;
    return answer == Answer::passes ? _URC_NO_REASON : _URC_END_OF_STACK;
}

// operator new is what throws; whoever calls malloc itself gets a null pointer.
bool is_operator_new(uintptr_t code) {
    static std::unordered_map<uintptr_t, bool> known;
    const auto [place, is_unknown] = known.emplace(code, false);
    Dl_info info{};
    if (is_unknown && dladdr(reinterpret_cast<void*>(code), &info) != 0 && info.dli_sname) {
        place->second = std::strncmp(info.dli_sname, "_Znwm", 5) == 0 || std::strncmp(info.dli_sname, "_Znam", 5) == 0;
    }
    return place->second;
}

bool ends_the_program(uintptr_t caller) {
    state.is_within = true;
    Search search{caller};
    if (is_operator_new(caller)) _Unwind_Backtrace(look_at, &search);
    state.is_within = false;
    if (search.has_end) let_through++;
    return search.has_end;
}

// Counts a call, and says what is to happen to it, if anything.
const Fault* strike(Call call, const void* caller = nullptr) {
    if (state.is_within) return nullptr;
    calls[size_t(call)].fetch_add(1, std::memory_order_relaxed);
    if (!state.is_armed || state.fault.call != call) return nullptr;
    const auto code = reinterpret_cast<uintptr_t>(caller);
    if (code >= gomp.begin && code < gomp.end) return nullptr;
    if (state.n_seen + 1 < state.fault.nth || (state.n_struck > 0 && !state.fault.and_all_later)) {
        state.n_seen++;
        return nullptr;
    }
    if (call == Call::malloc && ends_the_program(code)) return nullptr;
    state.n_seen++;
    state.n_struck++;
    if (state.fault.harm == Harm::kills) raise(SIGKILL);
    errno = state.fault.error;
    return &state.fault;
}

bool malloc_fails(const void* caller) {
    const Fault* fault = strike(Call::malloc, caller);
    if (fault) errno = ENOMEM;
    return fault != nullptr;
}

// The function of this name that comes after ours.
template <class F>
F real(const char* name) {
    return reinterpret_cast<F>(dlsym(RTLD_NEXT, name));
}

size_t half(size_t n) { return n > 1 ? n / 2 : n; }

}  // namespace

const char* name_of(Call call) {
    constexpr std::array<const char*, kCalls> kNames = {"malloc", "open",  "read",   "pread",
                                                        "write",  "fsync", "rename", "close"};
    return kNames[size_t(call)];
}

Armed::Armed(const Fault& fault) {
    static const bool is_ready = dl_iterate_phdr(find_gomp, nullptr) >= 0;
    state.fault = fault;
    state.n_seen = state.n_struck = 0;
    state.is_armed = is_ready;
}
Armed::~Armed() { state.is_armed = false; }
bool Armed::has_struck() const { return state.n_struck > 0; }

int64_t n_let_through() { return let_through; }
int64_t n_calls(Call call) { return calls[size_t(call)]; }
int64_t live_bytes() { return live; }
int64_t peak_bytes() { return peak; }
void restart_peak() { peak = live.load(); }

}  // namespace koine::testing

// ---- the functions ------------------------------------------------------------------------------------------------

using namespace koine::testing;

extern "C" {

void* malloc(size_t size) noexcept {
    return malloc_fails(__builtin_return_address(0)) ? nullptr : counted(__libc_malloc(size));
}

void* calloc(size_t n, size_t size) noexcept {
    return malloc_fails(__builtin_return_address(0)) ? nullptr : counted(__libc_calloc(n, size));
}

void* realloc(void* p, size_t size) noexcept {
    if (malloc_fails(__builtin_return_address(0))) return nullptr;
    const int64_t before = p ? int64_t(malloc_usable_size(p)) : 0;
    void* larger = __libc_realloc(p, size);
    if (larger || size == 0) account((larger ? int64_t(malloc_usable_size(larger)) : 0) - before);
    return larger;
}

void free(void* p) noexcept {
    if (p) account(-int64_t(malloc_usable_size(p)));
    __libc_free(p);
}

void* memalign(size_t alignment, size_t size) noexcept {
    return malloc_fails(__builtin_return_address(0)) ? nullptr : counted(__libc_memalign(alignment, size));
}

void* aligned_alloc(size_t alignment, size_t size) noexcept {
    return malloc_fails(__builtin_return_address(0)) ? nullptr : counted(__libc_memalign(alignment, size));
}

int posix_memalign(void** p, size_t alignment, size_t size) noexcept {
    if (malloc_fails(__builtin_return_address(0))) return ENOMEM;
    void* found = counted(__libc_memalign(alignment, size));
    if (!found) return ENOMEM;
    *p = found;
    return 0;
}

int open(const char* path, int flags, ...) {
    static const auto next = real<int (*)(const char*, int, ...)>("open");
    va_list rest;
    va_start(rest, flags);
    const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return strike(Call::open) ? -1 : next(path, flags, mode);
}

int open64(const char* path, int flags, ...) {
    static const auto next = real<int (*)(const char*, int, ...)>("open64");
    va_list rest;
    va_start(rest, flags);
    const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return strike(Call::open) ? -1 : next(path, flags, mode);
}

FILE* fopen(const char* path, const char* mode) {
    static const auto next = real<FILE* (*)(const char*, const char*)>("fopen");
    return strike(Call::open) ? nullptr : next(path, mode);
}

FILE* fopen64(const char* path, const char* mode) {
    static const auto next = real<FILE* (*)(const char*, const char*)>("fopen64");
    return strike(Call::open) ? nullptr : next(path, mode);
}

ssize_t read(int descriptor, void* to, size_t n) {
    static const auto next = real<ssize_t (*)(int, void*, size_t)>("read");
    const Fault* fault = strike(Call::read);
    if (!fault) return next(descriptor, to, n);
    return fault->harm == Harm::is_short ? next(descriptor, to, half(n)) : -1;
}

ssize_t pread(int descriptor, void* to, size_t n, off_t at) {
    static const auto next = real<ssize_t (*)(int, void*, size_t, off_t)>("pread");
    const Fault* fault = strike(Call::pread);
    if (!fault) return next(descriptor, to, n, at);
    return fault->harm == Harm::is_short ? next(descriptor, to, half(n), at) : -1;
}

ssize_t pread64(int descriptor, void* to, size_t n, off64_t at) { return pread(descriptor, to, n, at); }

ssize_t write(int descriptor, const void* from, size_t n) {
    static const auto next = real<ssize_t (*)(int, const void*, size_t)>("write");
    const Fault* fault = strike(Call::write);
    if (!fault) return next(descriptor, from, n);
    if (fault->harm == Harm::fails) return -1;
    const ssize_t written = next(descriptor, from, half(n));
    if (fault->harm == Harm::kills_midway) raise(SIGKILL);
    return written;
}

ssize_t writev(int descriptor, const iovec* parts, int n) {
    static const auto next = real<ssize_t (*)(int, const iovec*, int)>("writev");
    const Fault* fault = strike(Call::write);
    if (!fault) return next(descriptor, parts, n);
    if (fault->harm == Harm::fails) return -1;
    const iovec first{parts[0].iov_base, half(parts[0].iov_len)};
    const ssize_t written = next(descriptor, &first, 1);
    if (fault->harm == Harm::kills_midway) raise(SIGKILL);
    return written;
}

int fsync(int descriptor) {
    static const auto next = real<int (*)(int)>("fsync");
    return strike(Call::fsync) ? -1 : next(descriptor);
}

int rename(const char* from, const char* to) noexcept {
    static const auto next = real<int (*)(const char*, const char*)>("rename");
    return strike(Call::rename) ? -1 : next(from, to);
}

// The descriptor is free again even where close() reports that the last bytes could not be written.
int close(int descriptor) {
    static const auto next = real<int (*)(int)>("close");
    const Fault* fault = strike(Call::close);
    const int result = next(descriptor);
    if (!fault) return result;
    errno = fault->error;
    return -1;
}

int fclose(FILE* file) {
    static const auto next = real<int (*)(FILE*)>("fclose");
    const Fault* fault = strike(Call::close);
    const int result = next(file);
    if (!fault) return result;
    errno = fault->error;
    return EOF;
}

}  // extern "C"
