// Where the time of a run goes. With KOINE_PROFILE=1 in the environment every op counts its calls, its time, its
// multiplications and additions, and the bytes that it must at least move; when the program ends, a table of all ops
// goes to stderr, and a file that chrome://tracing or ui.perfetto.dev shows as a picture of the run.
// KOINE_PROFILE=FILE.json names that file, which is else koine_trace.json.
//
// Each op has a Profiled in its first line; the engine (var.cpp) has one for each step backwards. Without profiling
// that is the test of a bool.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "tensor/device.h"

namespace koine {

/// Whether ops are counted: KOINE_PROFILE in the environment (unset, empty or 0: no), or set here.
bool& profile_mode();

/// The time from here to the end of the scope is that of `op`, less that of ops inside of it. `op` must live as long as
/// the program. On a GPU the scope waits for the kernels at its end, so that their time is counted where it belongs.
class Profiled {
public:
    enum class Pass { forward, backward };

    explicit Profiled(const char* op, Pass pass = Pass::forward) : is_on(profile_mode()) {
        if (is_on) begin(op, pass);
    }
    ~Profiled() {
        if (is_on) end();
    }
    Profiled(const Profiled&) = delete;
    Profiled& operator=(const Profiled&) = delete;

private:
    static void begin(const char* op, Pass pass);
    static void end() noexcept;
    bool is_on;
};

/// Adds to what the innermost Profiled of this thread has done: multiplications and additions, as the definition of the
/// op has them (a convolution by Winograd is counted like a direct one).
void profile_flop(int64_t n);
/// Bytes that the innermost Profiled of this thread must move, in place of what record() takes for them: its inputs and
/// its output.
void profile_bytes(int64_t n);
/// What record() and the engine say; counts only where profile_bytes was not called.
void profile_default_bytes(int64_t n, Device device);

/// One row of the table.
struct ProfileRow {
    const char* op;
    Profiled::Pass pass;
    int64_t calls;
    double seconds;  ///< without that of ops inside of it, summed over threads
    int64_t flop, bytes;
};
/// All ops that have ended so far, the most expensive first.
std::vector<ProfileRow> profile_rows();
/// The table as text.
std::string profile_table();
/// The calls so far in the format of chrome://tracing (Trace Event Format). False when the file cannot be written.
bool write_profile_trace(const std::string& path);
/// Forgets everything.
void clear_profile();

}  // namespace koine
