// A call, watched: how it ends, how long it takes, how much memory it needs at its worst, and what it leaves behind.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "tests/experiments_common.h"
#include "tests/hostile/formats.h"
#include "tests/hostile/system.h"

namespace koine::testing {

struct Outcome {
    enum class End { returned, refused, other_error, bad_alloc, forbidden };
    End end = End::returned;  ///< refused: by a DataError; other_error: another Error; forbidden: anything else
    std::string kind, text;   ///< of the DataError; of any exception
    const std::type_info* type = nullptr;
    double ms = 0;
    int64_t peak_bytes = 0;          ///< above what was in use before
    int64_t n_left_bytes = 0;        ///< still in use when the call has ended
    int64_t n_left_descriptors = 0;  ///< 0 or 1: whether there are more of them

    bool has_returned() const { return end == End::returned; }
    bool is_clean() const { return n_left_bytes == 0 && n_left_descriptors == 0; }
};

/// Calls, and says how it went. `what` is for the message if the call never comes back: a minute is enough for anything
/// here, then the program ends.
Outcome watch(const std::string& what, const std::function<void()>& call);

/// The same, up to three times while something is left behind: what is kept for good, by a function that is called for
/// the first time, is left once; a leak each time. `prepare` is called before each.
Outcome watch_leaks(
    const std::string& what, const std::function<void()>& call, const std::function<void()>& prepare = [] {});

/// The same while a fault waits to happen to this thread; `has_struck` says whether its turn came.
Outcome watch_fault(
    const std::string& what, const Fault& fault, bool& has_struck, const std::function<void()>& call,
    const std::function<void()>& prepare = [] {});

/// The bytes as a file, without the detours that testing::ScratchFolder::write takes.
void put_file(const std::string& path, const Bytes& contents);

/// A row of the table in a folder of its own, which is the working directory. Data sets and models of this machine are
/// not seen; the cache of the hub would be in "hub".
class Stage {
public:
    explicit Stage(const Format& format_);

    const Format& format;
    TemporaryFolder folder;
    std::string path;  ///< of the file
    uint64_t beside_bytes = 0;

    void put(const Bytes& contents) const;
    /// Removes whatever is at the path.
    void clear() const;
    void load() const { format.load(folder.path); }

private:
    EnvironmentVariable data, cache, hub;
    std::optional<Capture> silence;
};

/// Is $KOINE_HOSTILE_REPORT set?
bool wants_report();

}  // namespace koine::testing
