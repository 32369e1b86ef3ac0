// The system that fails, and the eyes that watch: do they do what the other tests take for granted?
#include "tests/hostile/system.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <memory>
#include <thread>

#include "data/bytes.h"
#include "tests/hostile/watch.h"

using namespace koine;
using namespace koine::testing;

namespace {

// Out of line, so that what they allocate is not optimised away.
[[gnu::noinline]] std::unique_ptr<char[]> block(size_t n) { return std::make_unique_for_overwrite<char[]>(n); }
[[gnu::noinline]] size_t within_noexcept(size_t n) noexcept { return std::vector<char>(n).size(); }

}  // namespace

TEST_CASE("an allocation fails when it is its turn, once or from then on, in this thread", "[hostile][system]") {
    for (int64_t nth = 1; nth <= 3; nth++) {
        int n_done = 0, n_elsewhere = 0;
        std::thread other;
        {
            const Armed armed({.call = Call::malloc, .nth = nth});
            try {
                for (; n_done < 5; n_done++) block(10);
            } catch (const std::bad_alloc&) {
            }
            CHECK((armed.has_struck() && n_done == nth - 1));
            CHECK(block(10) != nullptr);  // once
        }
        other = std::thread([&] {
            for (; n_elsewhere < 5; n_elsewhere++) block(10);
        });
        other.join();
        CHECK(n_elsewhere == 5);
    }
    const Armed armed({.call = Call::malloc, .nth = 2, .and_all_later = true});
    void* first = std::malloc(1);
    void* second = std::malloc(1);
    void* third = std::calloc(1, 1);
    void* fourth = std::aligned_alloc(64, 64);
    const bool as_told = first && !second && !third && !fourth && errno == ENOMEM && !std::realloc(first, 100);
    std::free(first);
    CHECK(as_told);
}

TEST_CASE("where bad_alloc would end the program, an allocation is let through and counted", "[hostile][system]") {
    const int64_t before = n_let_through();
    const Armed armed({.call = Call::malloc});
    const size_t n = within_noexcept(10);
    const bool is_patient = !armed.has_struck();
    std::unique_ptr<char[]> next;
    bool has_thrown = false;
    try {
        next = block(10);
    } catch (const std::bad_alloc&) {
        has_thrown = true;
    }
    CHECK((n == 10 && is_patient && has_thrown));
    CHECK(n_let_through() == before + 1);
}

TEST_CASE("files fail as they are told", "[hostile][system]") {
    const ScratchFolder folder;
    const std::string path = folder.write("a", bytes_of("0123456789"));
    const int64_t n_opened = n_calls(Call::open), n_read = n_calls(Call::read), n_allocated = n_calls(Call::malloc);
    const int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
    CHECK(n_calls(Call::open) == n_opened + 1);
    std::array<char, 10> bytes{};
    const auto fails = [&](Call call, int error, auto act) {
        const Armed armed({.call = call, .error = error});
        errno = 0;
        return act() && errno == error && armed.has_struck();
    };
    CHECK(fails(Call::read, EIO, [&] { return read(file, bytes.data(), 10) == -1; }));
    CHECK(fails(Call::pread, EINTR, [&] { return pread(file, bytes.data(), 10, 0) == -1; }));
    CHECK(fails(Call::write, ENOSPC, [&] { return write(file, "x", 1) == -1; }));
    CHECK(fails(Call::fsync, EIO, [&] { return fsync(file) == -1; }));
    CHECK(fails(Call::rename, EIO, [&] { return rename(path.c_str(), (path + "b").c_str()) == -1; }));
    CHECK(fails(Call::open, EMFILE, [&] { return open(path.c_str(), O_RDONLY) == -1; }));
    CHECK(fails(Call::open, EACCES, [&] { return std::fopen(path.c_str(), "r") == nullptr; }));
    {
        const Armed armed({.call = Call::open, .error = EMFILE});
        CHECK_FALSE(std::ofstream(path + "b").is_open());
    }
    {
        const Armed armed({.call = Call::read, .harm = Harm::is_short});
        CHECK(read(file, bytes.data(), 10) == 5);
        CHECK(read(file, bytes.data(), 10) == 5);
        CHECK(read(file, bytes.data(), 10) == 0);
    }
    CHECK(n_calls(Call::read) >= n_read + 4);
    CHECK(n_calls(Call::malloc) > n_allocated);
    CHECK(contents_of(path) == bytes_of("0123456789"));
    {
        const Armed armed({.call = Call::write, .harm = Harm::is_short});
        CHECK(pwrite(file, "", 0, 0) == 0);  // not seen, and not used by us
        CHECK(write(file, "abcdef", 6) == 3);
    }
    CHECK(contents_of(path) == bytes_of("0123456789abc"));
    CHECK(fails(Call::close, EIO, [&] { return close(file) == -1; }));
    CHECK(fcntl(file, F_GETFD) == -1);  // closed all the same
}

TEST_CASE("what a call needs and leaves behind is seen", "[hostile][system]") {
    static std::vector<std::unique_ptr<char[]>> kept;
    kept.reserve(8);
    const auto leak = [] { kept.push_back(block(1000)); };
    CHECK(watch_leaks("", leak).n_left_bytes >= 1000);
    CHECK(kept.size() == 3);  // three times, to be sure
    CHECK(watch_leaks("", [] { block(1000); }).is_clean());

    std::unique_ptr<char[]> once;
    const auto keep_once = [&] {
        if (!once) once = block(1000);
    };
    CHECK(watch_leaks("", keep_once).is_clean());

    const Outcome large = watch("", [] { block(5 << 20); });
    CHECK((large.peak_bytes >= 5 << 20 && large.peak_bytes < 6 << 20));
    CHECK(watch("", [] { block(100); }).peak_bytes < 1000);

    int file = -1;
    CHECK(watch("", [&] { file = open("/dev/null", O_RDONLY | O_CLOEXEC); }).n_left_descriptors == 1);
    close(file);
    const Outcome refused = watch("", [] { throw DataError("IO", "file", "place", "problem"); });
    CHECK(
        (refused.end == Outcome::End::refused && refused.kind == "IO" && refused.text == "file: place: problem [IO]"));
    CHECK(refused.is_clean());
    CHECK(watch("", [] { throw ValueError("x"); }).end == Outcome::End::other_error);
    CHECK(watch("", [] { throw std::bad_alloc(); }).end == Outcome::End::bad_alloc);
    CHECK(watch("", [] { throw std::out_of_range("x"); }).end == Outcome::End::forbidden);
    CHECK(watch("", [] { usleep(20000); }).ms >= 20);
}

TEST_CASE("every message about a file that is none can be made without a file left open", "[hostile][system][A19]") {
    const ScratchFolder folder;
    for (int64_t nth = 1; nth < 20; nth++) {
        bool has_struck = false;
        const Outcome o = watch_fault("a folder as a file", {.call = Call::malloc, .nth = nth}, has_struck,
                                      [&] { read_file(folder.path); });
        CHECK(o.is_clean());
        CHECK((o.end == Outcome::End::refused || (has_struck && o.end == Outcome::End::bad_alloc)));
    }
}
