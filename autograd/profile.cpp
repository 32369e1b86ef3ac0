#include "autograd/profile.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>

#ifdef KOINE_CUDA
#include "tensor/cuda.h"
#endif

namespace koine {
namespace {

using Clock = std::chrono::steady_clock;
using Pass = Profiled::Pass;

// A scope that has not ended.
struct Open {
    const char* op;
    Pass pass;
    Clock::time_point begin;
    double inside = 0;  // seconds of the scopes in it
    int64_t flop = 0, bytes = 0;
    bool has_bytes = false;
};

// A call, for the trace.
struct Event {
    const char* op;
    Pass pass;
    int thread;
    double begin, seconds;  // since the first scope
};

// What a trace viewer can still show, and no more than 50 MB.
constexpr size_t kMaxEvents = 1'000'000;

struct Profile {
    std::mutex mutex;
    std::map<std::pair<std::string, Pass>, ProfileRow> rows;
    std::vector<Event> events;
    int64_t n_events = 0;  // those that were not kept, too
    Clock::time_point begin, end;
    int n_threads = 0;
    std::string trace_path;
};

// Never destroyed: threads may end after main.
Profile& profile() {
    static auto* the_profile = new Profile;
    return *the_profile;
}

thread_local std::vector<Open> open_scopes;
thread_local int thread_number = -1;
std::atomic<bool> uses_gpu{false};

double seconds_between(Clock::time_point a, Clock::time_point b) {
    return std::chrono::duration<double>(b - a).count();
}

void report_at_exit() {
    std::fputs(profile_table().c_str(), stderr);
    const Profile& p = profile();
    const char* path = p.trace_path.c_str();
    if (!write_profile_trace(p.trace_path)) {
        std::fprintf(stderr, "%s: cannot be written\n", path);
        return;
    }
    const std::string calls =
        p.n_events == int64_t(p.events.size())
            ? "every call"
            : "the first " + std::to_string(p.events.size()) + " of " + std::to_string(p.n_events) + " calls";
    std::fprintf(stderr, "%s: %s, for chrome://tracing or ui.perfetto.dev\n", path, calls.c_str());
}

}  // namespace

bool& profile_mode() {
    static bool is_on = [] {
        const char* value = std::getenv("KOINE_PROFILE");
        const std::string text = value ? value : "";
        if (text.empty() || text == "0") return false;
        profile().trace_path = text == "1" ? "koine_trace.json" : text;
        std::atexit(report_at_exit);
        return true;
    }();
    return is_on;
}

void Profiled::begin(const char* op, Pass pass) {
    Profile& p = profile();
    if (thread_number < 0) {
        const std::lock_guard lock(p.mutex);
        if (p.n_threads == 0) p.begin = Clock::now();
        thread_number = p.n_threads++;
    }
    open_scopes.push_back({op, pass, Clock::now()});
}

void Profiled::end() noexcept {
#ifdef KOINE_CUDA
    if (uses_gpu) cudaStreamSynchronize(cuda::stream());
#endif
    const Clock::time_point now = Clock::now();
    const Open scope = open_scopes.back();
    open_scopes.pop_back();
    const double seconds = seconds_between(scope.begin, now);
    if (!open_scopes.empty()) open_scopes.back().inside += seconds;
    Profile& p = profile();
    try {
        const std::lock_guard lock(p.mutex);
        p.end = now;
        ProfileRow& row =
            p.rows.try_emplace({scope.op, scope.pass}, ProfileRow{scope.op, scope.pass, 0, 0, 0, 0}).first->second;
        row.calls++;
        row.seconds += seconds - scope.inside;
        row.flop += scope.flop;
        row.bytes += scope.bytes;
        p.n_events++;
        if (p.events.size() < kMaxEvents) {
            p.events.push_back({scope.op, scope.pass, thread_number, seconds_between(p.begin, scope.begin), seconds});
        }
    } catch (const std::bad_alloc&) {
        // A row less in the table, and the run goes on.
    }
}

void profile_flop(int64_t n) {
    if (!open_scopes.empty()) open_scopes.back().flop += n;
}

void profile_bytes(int64_t n) {
    if (open_scopes.empty()) return;
    open_scopes.back().bytes += n;
    open_scopes.back().has_bytes = true;
}

void profile_default_bytes(int64_t n, Device device) {
    if (device == Device::cuda) uses_gpu = true;
    if (!open_scopes.empty() && !open_scopes.back().has_bytes) open_scopes.back().bytes += n;
}

std::vector<ProfileRow> profile_rows() {
    Profile& p = profile();
    std::vector<ProfileRow> rows;
    const std::lock_guard lock(p.mutex);
    for (const auto& [key, row] : p.rows) rows.push_back(row);
    std::stable_sort(rows.begin(), rows.end(),
                     [](const ProfileRow& a, const ProfileRow& b) { return a.seconds > b.seconds; });
    return rows;
}

std::string profile_table() {
    const std::vector<ProfileRow> rows = profile_rows();
    double total = 0;
    for (const ProfileRow& row : rows) total += row.seconds;
    char line[160];
    std::snprintf(line, sizeof line, "%-28s %10s %12s %7s %12s %9s %9s\n", "op", "calls", "ms", "share", "us a call",
                  "GFLOP/s", "GB/s");
    std::string text = line;
    for (const ProfileRow& row : rows) {
        const std::string name = std::string(row.op) + (row.pass == Pass::backward ? ", backward" : "");
        const auto rate = [&](int64_t amount) {
            char cell[32];
            std::snprintf(cell, sizeof cell, "%.1f", 1e-9 * double(amount) / std::max(row.seconds, 1e-9));
            return amount > 0 ? std::string(cell) : std::string("-");
        };
        std::snprintf(line, sizeof line, "%-28s %10" PRId64 " %12.2f %6.1f%% %12.2f %9s %9s\n", name.c_str(), row.calls,
                      1e3 * row.seconds, 100 * row.seconds / std::max(total, 1e-9),
                      1e6 * row.seconds / double(row.calls), rate(row.flop).c_str(), rate(row.bytes).c_str());
        text += line;
    }
    Profile& p = profile();
    const std::lock_guard lock(p.mutex);
    std::snprintf(line, sizeof line, "%.2f ms in ops on %d thread%s, of %.2f ms from the first op to the last\n",
                  1e3 * total, p.n_threads, p.n_threads == 1 ? "" : "s", 1e3 * seconds_between(p.begin, p.end));
    return text + line;
}

bool write_profile_trace(const std::string& path) {
    Profile& p = profile();
    const std::lock_guard lock(p.mutex);
    std::FILE* file = std::fopen(path.c_str(), "w");
    if (!file) return false;
    std::fprintf(file, "{\"otherData\":{\"calls\":%" PRId64 ",\"kept\":%zu},\"traceEvents\":[", p.n_events,
                 p.events.size());
    const char* separator = "\n";
    for (const Event& e : p.events) {
        std::fprintf(file,
                     "%s{\"name\":\"%s\",\"cat\":\"%s\",\"ph\":\"X\",\"pid\":0,\"tid\":%d,\"ts\":%.3f,\"dur\":%.3f}",
                     separator, e.op, e.pass == Pass::backward ? "backward" : "forward", e.thread, 1e6 * e.begin,
                     1e6 * e.seconds);
        separator = ",\n";
    }
    std::fputs("\n]}\n", file);
    const bool is_good = !std::ferror(file);
    return std::fclose(file) == 0 && is_good;
}

void clear_profile() {
    Profile& p = profile();
    const std::lock_guard lock(p.mutex);
    p.rows.clear();
    p.events.clear();
    p.n_events = 0;
    p.begin = p.end = Clock::now();
}

}  // namespace koine
