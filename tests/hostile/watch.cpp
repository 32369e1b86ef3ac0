#include "tests/hostile/watch.h"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <exception>
#include <new>

namespace koine::testing {
namespace {

// What is going on, for messages that must not allocate.
std::array<char, 300> current;

void say_current(const char* what) {
    const auto say = [](const char* text) { return ::write(STDERR_FILENO, text, std::strlen(text)); };
    if (say(what) < 0 || say(current.data()) < 0 || say("\n") < 0) _exit(3);
}

void end_hung(int) {
    say_current("did not come back: ");
    _exit(3);
}

[[noreturn]] void end_terminated() {
    say_current("std::terminate was called: ");
    std::abort();
}

// The next descriptor that would be given out: larger after a leak.
int lowest_descriptor() {
    const int d = fcntl(STDERR_FILENO, F_DUPFD, 0);
    close(d);
    return d;
}

struct Watchdog {
    explicit Watchdog(const std::string& what) {
        std::snprintf(current.data(), current.size(), "%s", what.c_str());
        static const bool is_set = [] {
            std::set_terminate(end_terminated);
            return std::signal(SIGALRM, end_hung) != SIG_ERR;
        }();
        if (is_set) alarm(60);
    }
    ~Watchdog() { alarm(0); }
};

}  // namespace

Outcome watch(const std::string& what, const std::function<void()>& call) {
    using Clock = std::chrono::steady_clock;
    Outcome out;
    const Watchdog watchdog(what);
    static std::array<char, 4096> text;  // nothing is allocated before the last look at the memory
    std::array<char, 16> kind{};
    text[0] = 0;
    const auto note = [&](Outcome::End end, const std::exception& error) {
        out.end = end;
        out.type = &typeid(error);
        std::snprintf(text.data(), text.size(), "%s", error.what());
    };
    pool().trim();
    const int descriptor = lowest_descriptor();
    const int64_t before = live_bytes();
    restart_peak();
    const auto start = Clock::now();
    try {
        call();
    } catch (const DataError& error) {
        note(Outcome::End::refused, error);
        std::snprintf(kind.data(), kind.size(), "%s", error.kind.c_str());
    } catch (const Error& error) {
        note(Outcome::End::other_error, error);
    } catch (const std::bad_alloc& error) {
        note(Outcome::End::bad_alloc, error);
    } catch (const std::exception& error) {
        note(Outcome::End::forbidden, error);
    }
    out.ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
    out.peak_bytes = peak_bytes() - before;
    pool().trim();
    out.n_left_bytes = live_bytes() - before;
    out.n_left_descriptors = lowest_descriptor() != descriptor;
    out.text = text.data();
    out.kind = kind.data();
    return out;
}

Outcome watch_leaks(const std::string& what, const std::function<void()>& call, const std::function<void()>& prepare) {
    Outcome out;
    for (int i = 0; i < 3; i++) {
        prepare();
        out = watch(what, call);
        if (out.is_clean()) break;
    }
    return out;
}

Outcome watch_fault(const std::string& what, const Fault& fault, bool& has_struck, const std::function<void()>& call,
                    const std::function<void()>& prepare) {
    // Disarmed before anybody looks at the exception.
    struct Watched {
        Armed armed;
        bool& has_struck;
        ~Watched() { has_struck = armed.has_struck(); }
    };
    return watch_leaks(
        what,
        [&] {
            const Watched watched{Armed(fault), has_struck};
            call();
        },
        prepare);
}

void put_file(const std::string& path, const Bytes& contents) {
    unlink(path.c_str());  // some file systems write a replaced file to the disk at once
    const int file = open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
    const bool is_written = file >= 0 && write(file, contents.data(), contents.size()) == ssize_t(contents.size());
    if (file >= 0) close(file);
    if (!is_written) throw Error("cannot write " + path);
}

Stage::Stage(const Format& format_)
    : format(format_),
      path(folder / format.file),
      data("KOINE_DATA", ""),
      cache("XDG_CACHE_HOME", folder / "cache"),
      hub("HF_HUB_CACHE", folder / "hub") {
    for (const auto& [name, bytes] : format.beside) {
        folder.write(name, bytes);
        beside_bytes += bytes.size();
    }
    folder.write(format.file, format.good);
    if (format.is_loud) silence.emplace(STDERR_FILENO);
}

void Stage::put(const Bytes& contents) const { put_file(path, contents); }

void Stage::clear() const { std::filesystem::remove_all(path); }

bool wants_report() { return std::getenv("KOINE_HOSTILE_REPORT") != nullptr; }

}  // namespace koine::testing
