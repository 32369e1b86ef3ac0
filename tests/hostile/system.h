// A system that can fail. The test program defines malloc, read, write and their kind itself, in front of the C
// library's: it counts what is allocated, and any one call can be made to fail, to do half of its work, or to be the
// last thing that the process did.
//
// For glibc on Linux: the real functions are found as __libc_malloc and by dlsym(RTLD_NEXT). What the C library does
// within itself (stat, opendir) is not seen. AddressSanitizer has a malloc of its own: not together with it.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace koine::testing {

/// Kinds of calls. `malloc` stands for calloc, realloc and the aligned ones, `open` and `close` also for fopen and
/// fclose, `write` for writev.
enum class Call { malloc, open, read, pread, write, fsync, rename, close, n_kinds };
inline constexpr size_t kCalls = size_t(Call::n_kinds);
const char* name_of(Call call);

/// What happens to a call.
enum class Harm {
    fails,        ///< returns null or -1, errno is Fault::error; close() closes all the same
    is_short,     ///< read, pread, write: only half of the bytes, at least one
    kills,        ///< SIGKILL in its place
    kills_midway  ///< write: half of the bytes, then SIGKILL
};

struct Fault {
    Call call;
    Harm harm = Harm::fails;
    int error = 0;
    int64_t nth = 1;             ///< the first, the second, ... of this kind from now on, in this thread
    bool and_all_later = false;  ///< not only that one
};

/// As long as one lives, its fault waits to happen to this thread. One at a time.
class Armed {
public:
    explicit Armed(const Fault& fault);
    ~Armed();
    Armed(const Armed&) = delete;
    Armed& operator=(const Armed&) = delete;

    bool has_struck() const;
};

/// Allocations that were let through although they were to fail, since the program began: where operator new may not
/// throw, because what calls it lies within noexcept, and std::terminate would end the program. Our own code has no
/// such place. nlohmann-json's destructor is one: it keeps a stack of what is still to be destroyed
/// (json_value::destroy). What libgomp allocates is not even counted: it exits, and says why.
int64_t n_let_through();

/// Calls of a kind, by all threads, since the program began.
int64_t n_calls(Call call);

/// Bytes of all blocks that are in use, as large as malloc made them, in all threads.
int64_t live_bytes();
/// The largest live_bytes() since restart_peak().
int64_t peak_bytes();
void restart_peak();

}  // namespace koine::testing
