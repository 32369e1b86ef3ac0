// Loaders while the system fails: every allocation, read, open and close of every load, one after the other. A load
// that fails throws what it should, leaves nothing behind, and the next one succeeds.
#include <algorithm>
#include <cerrno>
#include <map>

#include "tests/hostile/watch.h"

using namespace koine;
using namespace koine::testing;

namespace {

struct Case {
    const char* name;
    Fault fault;
};

// An error of the disk; a short read and a signal are none.
const std::vector<Case> kFileCases = {
    {"read: EIO", {.call = Call::read, .error = EIO}},
    {"read: short", {.call = Call::read, .harm = Harm::is_short}},
    {"read: all short", {.call = Call::read, .harm = Harm::is_short, .and_all_later = true}},
    {"read: EINTR", {.call = Call::read, .error = EINTR}},
    {"pread: EIO", {.call = Call::pread, .error = EIO}},
    {"pread: short", {.call = Call::pread, .harm = Harm::is_short}},
    {"pread: all short", {.call = Call::pread, .harm = Harm::is_short, .and_all_later = true}},
    {"pread: EINTR", {.call = Call::pread, .error = EINTR}},
    {"open: EMFILE", {.call = Call::open, .error = EMFILE}},
    {"close: EIO", {.call = Call::close, .error = EIO}},
};
const std::vector<Case> kMallocCases = {
    {"malloc: once", {.call = Call::malloc}},
    {"malloc: from then on", {.call = Call::malloc, .and_all_later = true}},
};

// Every call up to the 2000th, then steps of a sixteenth.
int64_t next(int64_t nth) { return nth < 2000 ? nth + 1 : nth + nth / 16; }

bool is_harmless(const Fault& fault) {
    return fault.harm == Harm::is_short || fault.error == EINTR || fault.call == Call::close;
}

/// Nothing is left behind, but for what Format::writes allows.
bool is_clean(const Outcome& o, const Format& format) { return o.is_clean() || format.writes; }

/// What is wrong with a load during which the fault struck; "" for nothing.
std::string complaint(const Outcome& o, const Fault& fault, const Format& format) {
    const bool may_lose = format.writes && fault.call == Call::malloc;
    if (o.n_left_bytes != 0 && !may_lose) return "left " + std::to_string(o.n_left_bytes) + " bytes of memory in use";
    if (o.n_left_descriptors != 0) return "left a file open";
    if (o.end == Outcome::End::forbidden) return "threw what is no Error: " + o.text;
    if (fault.call == Call::malloc) return "";  // bad_alloc, an Error, or done without
    const bool is_reported = o.end == Outcome::End::refused && o.kind == "IO";
    if (format.writes && (fault.call == Call::open || fault.call == Call::close)) {
        return o.has_returned() || is_reported ? "" : "is no DataError(IO): " + o.text;
    }
    if (is_harmless(fault)) return o.has_returned() ? "" : "is no reason to fail: " + o.text;
    if (o.has_returned()) return "went unnoticed";
    return is_reported ? "" : "is no DataError(IO): " + o.text;
}

/// Loads again and again, the first, the second, ... call struck, until a load ends before its turn comes. Returns how
/// often a fault struck.
int try_all(const Stage& stage, const Case& c) {
    int n_struck = 0, n_failed = 0;
    for (int64_t nth = 1;; nth = next(nth)) {
        Fault fault = c.fault;
        fault.nth = nth;
        bool has_struck = false;
        const std::string what = stage.format.name + ", " + c.name + ", call " + std::to_string(nth);
        const Outcome o = watch_fault(what, fault, has_struck, [&] { stage.load(); });
        if (!has_struck) {
            CHECK((o.has_returned() && o.is_clean()));
            return n_struck;
        }
        n_struck++;
        const std::string problem = complaint(o, fault, stage.format);
        if (!problem.empty() && n_failed++ < 5) FAIL_CHECK(what << ": " << problem);
        if (n_failed > 100) return n_struck;
        const Outcome again = watch("after " + what, [&] { stage.load(); });
        if (!again.has_returned() && n_failed++ < 5) FAIL_CHECK("after " << what << ": " << again.text);
    }
}

/// Does the row make trees of JSON, which may not be destroyed without memory? See system.h.
bool makes_json(const Format& format) {
    const auto is_json = [](const Bytes& bytes) { return !bytes.empty() && bytes[0] == '{'; };
    return is_json(format.good) || std::any_of(format.beside.begin(), format.beside.end(),
                                               [&](const auto& file) { return is_json(file.second); });
}

void try_cases(const std::vector<Case>& cases) {
    std::map<std::string, int> n_struck;
    for (const Format& format : formats()) {
        INFO(format.name);
        const Stage stage(format);
        // What is made once and kept is made now: buffers of the pool's bins, threads, tables.
        for (int i = 0; i < 3; i++) REQUIRE_NOTHROW(stage.load());
        int n = 0;
        const int64_t let_through = n_let_through();
        for (const Case& c : cases) {
            const int struck = try_all(stage, c);
            n_struck[c.name] += struck;
            n += struck;
        }
        CHECK(n > 0);
        CHECK((n_let_through() == let_through || makes_json(format)));
        if (wants_report()) std::printf("%-36s %6d faults\n", format.name.c_str(), n);
    }
    if (!wants_report()) return;
    for (const auto& [name, n] : n_struck) std::printf("%6d  %s\n", n, name.c_str());
    std::printf("%6d allocations were let through (system.h)\n", int(n_let_through()));
    std::fflush(stdout);
}

}  // namespace

TEST_CASE("a load that the disk fails says so, leaves nothing, and succeeds the next time", "[hostile][A19]") {
    try_cases(kFileCases);
}

TEST_CASE("a load that runs out of memory throws, leaves nothing, and succeeds the next time", "[hostile][A19]") {
    try_cases(kMallocCases);
}

// What is found when there is an error to describe, too: messages are made of memory.
TEST_CASE("a file that is refused while memory runs out leaves nothing", "[hostile][A19]") {
    int n_struck = 0;
    for (const Format& format : formats()) {
        INFO(format.name);
        const Stage stage(format);
        std::vector<Bytes> inputs = {{}, Bytes(format.good.begin(), format.good.end() - 1), format.good + Bytes{'{'}};
        Bytes changed = format.good;
        changed[changed.size() / 2] ^= 0x10;
        inputs.push_back(changed);
        for (const Bytes& input : inputs) {
            stage.put(input);
            for (int64_t nth = 1;; nth = next(nth)) {
                bool has_struck = false;
                const std::string what = format.name + ", damaged, malloc " + std::to_string(nth);
                const Outcome o =
                    watch_fault(what, {.call = Call::malloc, .nth = nth}, has_struck, [&] { stage.load(); });
                if (!has_struck) break;
                n_struck++;
                INFO(what << ": " << o.text);
                CHECK((is_clean(o, format) && o.end != Outcome::End::forbidden));
            }
        }
        stage.clear();
        std::filesystem::create_directory(stage.path);
        bool has_struck = true;
        for (int64_t nth = 1; has_struck; nth++) {
            const std::string what = format.name + ", a folder, malloc " + std::to_string(nth);
            const Outcome o = watch_fault(what, {.call = Call::malloc, .nth = nth}, has_struck, [&] { stage.load(); });
            INFO(what << ": " << o.text);
            CHECK((is_clean(o, format) && o.end != Outcome::End::forbidden));
        }
    }
    if (wants_report()) std::printf("%6d  malloc, on damaged files\n", n_struck);
}
