// The outside of every experiment: switches in, exit code out, and Ctrl-C turned into a checkpoint.
#pragma once
#include <filesystem>
#include <functional>

#include "experiments/common/flags.h"

namespace koine {

/// Thrown by whoever saw interrupted(), in words that say what is kept: exit code 130.
struct Interruption : Error {
    using Error::Error;
};
/// The same, thrown by a training loop that has written its checkpoint.
struct Interrupted : Interruption {
    explicit Interrupted(const std::filesystem::path& run_folder);
};

/// The run ended, but a number that it must show is out of its bounds: exit code 5.
struct CheckError : Error {
    using Error::Error;
};

/// True once SIGINT or SIGTERM has arrived. A second signal ends the program at once.
bool interrupted();

/// A whole main(): reads the switches into `flags`, sets the number of threads, runs `body` and returns the exit code:
/// 0 done, 1 failed, 2 usage, 3 data missing or corrupt, or a file cannot be written, 4 device missing, 5 not finite or
/// a failed check, 130 interrupted. An error becomes one line on stderr, `NAME: error: what is wrong`. After a
/// NonFiniteError in a run folder `body` is called once more, in anomaly mode and as --resume would: it goes from the
/// last checkpoint to the same error, and a second line names the op that was first.
int run_main(Flags& flags, int argc, const char* const* argv, const std::function<void()>& body);

}  // namespace koine
