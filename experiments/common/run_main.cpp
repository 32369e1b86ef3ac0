#include "experiments/common/run_main.h"

#include <omp.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include "autograd/var.h"
#include "experiments/common/progress.h"
#include "experiments/common/text.h"

namespace koine {
namespace {

volatile std::sig_atomic_t signal_arrived = 0;

void note_signal(int) { signal_arrived = 1; }

void catch_signals() {
    signal_arrived = 0;
    struct sigaction action = {};
    action.sa_handler = note_signal;
    action.sa_flags = SA_RESTART | SA_RESETHAND;  // the second signal finds the default again, and kills
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error of write(), as on a full disk
}

int say(const Flags& flags, const std::string& kind, const std::string& what, int code) {
    const bool is_bold = has_colour();
    std::fprintf(stderr, "%s: %s%s%s%s\n", flags.name.c_str(), is_bold ? "\033[1;31m" : "", kind.c_str(),
                 is_bold ? "\033[0m" : "", without_controls(what).c_str());
    return code;
}

// Repeats the steps since the last checkpoint, and looks at what every op returns: the sentence that names the first
// one to fail. Training takes no look at that, which would double its time.
std::string first_op(Flags& flags, const std::function<void()>& body, const std::string& before) {
    if (anomaly_mode() || flags.run_folder.empty() || interrupted()) return "";
    say(flags, "not finite:", " repeating the steps since the last checkpoint to find the op", 5);
    anomaly_mode() = true;
    flags.resume = flags.run_folder;
    flags.quiet = true;
    try {
        body();
    } catch (const NonFiniteError& e) {
        if (e.what() == before) return "\n  every op returned finite numbers: what came of them was too large";
        return std::string("\n  the first op to fail: ") + e.what();
    } catch (const std::exception& e) {
        return std::string("\n  the first op to fail was not found: ") + e.what();
    }
    return "\n  repeated, the same steps were finite, and the run is complete; they should be the same every time";
}

}  // namespace

Interrupted::Interrupted(const std::filesystem::path& run_folder)
    : Interruption("interrupted; the checkpoint is written, go on with --resume " + run_folder.string()) {}

bool interrupted() { return signal_arrived != 0; }

int run_main(Flags& flags, int argc, const char* const* argv, const std::function<void()>& body) {
    const auto error = [&](const std::string& what, int code) { return say(flags, "error:", " " + what, code); };
    try {
        if (!parse(flags, argc, argv)) return 0;
        omp_set_num_threads(static_cast<int>(flags.threads));
        catch_signals();
        body();
        return 0;
    } catch (const Interruption& e) {
        return say(flags, "", e.what(), 130);
    } catch (const UsageError& e) {
        return error(e.what(), 2);
    } catch (const DataError& e) {
        return error(e.what(), 3);
    } catch (const CheckpointError& e) {
        return error(e.what(), 3);
    } catch (const DeviceError& e) {
        return error(e.what(), 4);
    } catch (const NonFiniteError& e) {
        return error(e.what() + first_op(flags, body, e.what()), 5);
    } catch (const CheckError& e) {
        return error(e.what(), 5);
    } catch (const std::bad_alloc&) {
        return error("out of memory", 1);
    } catch (const std::exception& e) {
        return error(e.what(), 1);
    } catch (...) {
        return error("unknown exception", 1);
    }
}

}  // namespace koine
