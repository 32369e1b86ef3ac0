// Every format against every kind of damage, and against things that are no files. The invariants of the catalogue of
// bad inputs: no crash, no hang, nothing but the documented errors, a second at most, memory of twice the file and 16
// MB, nothing left behind.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tests/hostile/watch.h"

using namespace koine;
using namespace koine::testing;
namespace fs = std::filesystem;

namespace {

constexpr double kMostMs = 1000;
constexpr int64_t kSlack = 16 << 20;

struct Tally {
    int n = 0, n_refused = 0, n_failed = 0;
    double worst_ms = 0;
    int64_t worst_peak = 0;
};

/// "byte 12 is 0x83, was 0x03", for a damaged sample.
std::string difference(const Bytes& good, const Bytes& input) {
    const auto at = size_t(std::mismatch(good.begin(), good.end(), input.begin(), input.end()).first - good.begin());
    std::string text = std::to_string(input.size()) + " bytes for " + std::to_string(good.size()) + ", ";
    if (at >= good.size() || at >= input.size()) return text + "the same as far as both go";
    return text + "byte " + std::to_string(at) + " is " + std::to_string(input[at]) + ", was " +
           std::to_string(good[at]);
}

/// Is it a message for people: no control characters, and the file is named?
bool is_readable(const std::string& text, const Stage& stage) {
    const bool is_plain =
        std::none_of(text.begin(), text.end(), [](char c) { return (uint8_t(c) < 0x20 && c != '\n'); });
    const std::string name = fs::path(stage.format.file).filename().string();
    return is_plain && (text.find(stage.folder.path) != text.npos || text.find(name) != text.npos);
}

bool is_documented(const Outcome& o, const Format& format) {
    return o.end == Outcome::End::returned || o.end == Outcome::End::refused ||
           (o.end == Outcome::End::other_error && format.other_error && *o.type == *format.other_error);
}

/// What is wrong with how a load went; "" for nothing.
std::string complaint(const Outcome& o, const Stage& stage, uint64_t file_bytes) {
    if (!is_documented(o, stage.format)) return "threw what is not documented: " + o.text;
    if (!o.has_returned() && !is_readable(o.text, stage)) return "an unreadable message: " + o.text;
    if (o.ms > kMostMs) return "took " + std::to_string(o.ms) + " ms";
    if (o.peak_bytes > int64_t(2 * (file_bytes + stage.beside_bytes)) + kSlack) {
        return "took " + std::to_string(o.peak_bytes) + " bytes of memory";
    }
    if (o.n_left_bytes != 0) return "left " + std::to_string(o.n_left_bytes) + " bytes of memory in use";
    if (o.n_left_descriptors != 0) return "left a file open";
    return "";
}

/// Loads what is at the path, counts it, and complains. True when it was refused.
bool try_load(const Stage& stage, uint64_t file_bytes, const std::string& what, Tally& tally) {
    const Outcome o = watch_leaks(stage.format.name + ": " + what, [&] { stage.load(); });
    tally.n++;
    tally.n_refused += !o.has_returned();
    tally.worst_ms = std::max(tally.worst_ms, o.ms);
    tally.worst_peak = std::max(tally.worst_peak, o.peak_bytes);
    const std::string problem = complaint(o, stage, file_bytes);
    if (!problem.empty() && tally.n_failed++ < 5) FAIL_CHECK(stage.format.name << ": " << what << ": " << problem);
    return !o.has_returned();
}

/// A binary number at the extremes of its width, for which sweep() has no names: the largest signed one and its
/// neighbour, minus two.
void try_more_lengths(const Bytes& good, const std::vector<LengthField>& fields,
                      const std::function<void(const Bytes&)>& attempt) {
    for (const LengthField& field : fields) {
        const uint64_t largest = UINT64_MAX >> (64 - 8 * field.n_bytes + 1);
        for (uint64_t value : {largest, largest + 1, UINT64_MAX - 1}) {
            Bytes changed = good;
            for (int i = 0; i < field.n_bytes; i++) {
                const int shift = 8 * (field.is_big_endian ? field.n_bytes - 1 - i : i);
                changed[field.offset + size_t(i)] = uint8_t(value >> shift);
            }
            attempt(changed);
        }
    }
}

/// Every number that is written out in the sample, up to 60 of them, as the text of an extreme one.
void try_numbers(const Bytes& good, const std::function<void(const Bytes&)>& attempt) {
    const auto is_digit = [](uint8_t c) { return c >= '0' && c <= '9'; };
    int n_numbers = 0;
    for (auto at = good.begin(); n_numbers < 60; n_numbers++) {
        const auto begin = std::find_if(at, good.end(), is_digit);
        if (begin == good.end()) break;
        at = std::find_if_not(begin, good.end(), is_digit);
        for (const char* number :
             {"0", "1", "-1", "2147483647", "2147483648", "4294967296", "9223372036854775807", "9223372036854775808",
              "18446744073709551615", "1e308", "1e999", "0.5", "", "99999999999999999999999999999999999999999"}) {
            attempt(Bytes(good.begin(), begin) + bytes_of(number) + Bytes(at, good.end()));
        }
    }
}

void report(const Format& format, const Tally& tally) {
    if (!wants_report()) return;
    std::printf("%-36s %7d inputs %7d refused  worst %8.2f ms %8.1f KB\n", format.name.c_str(), tally.n,
                tally.n_refused, tally.worst_ms, double(tally.worst_peak) / 1024);
    std::fflush(stdout);
}

int64_t n_descriptors() { return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator()); }

}  // namespace

TEST_CASE("every damage to every format is refused or read, soon, in little memory, and leaves nothing", "[hostile]") {
    for (const Format& format : formats()) {
        INFO(format.name);
        const Stage stage(format);
        for (int i = 0; i < 2; i++) REQUIRE_NOTHROW(stage.load());  // what is made once and kept is made now
        const int64_t before = n_descriptors();
        Tally tally;
        const auto attempt = [&](const Bytes& input) {
            stage.put(input);
            if (!try_load(stage, input.size(), difference(format.good, input), tally)) return;
            throw DataError("REFUSED", format.file, "", "");  // for sweep(), which counts them
        };
        sweep(format.good, format.n_header(), format.fields, format.refuses_cuts, attempt);
        const auto quietly = [&](const Bytes& input) { kind_of([&] { attempt(input); }); };
        try_more_lengths(format.good, format.fields, quietly);
        try_numbers(format.good, quietly);
        CHECK(tally.n_failed == 0);
        CHECK((tally.n_refused > 0 || format.may_be_missing));
        CHECK(n_descriptors() == before);
        report(format, tally);
    }
}

TEST_CASE("what is no file is refused at once: folders, pipes, devices, links to nothing", "[hostile]") {
    for (const Format& format : formats()) {
        INFO(format.name);
        const Stage stage(format);
        const std::string path = stage.path;
        for (int i = 0; i < 2; i++) REQUIRE_NOTHROW(stage.load());
        Tally tally;
        const auto attempt = [&](const std::string& what, bool may_be_read, const std::function<bool()>& make) {
            INFO(what);
            stage.clear();
            REQUIRE(make());
            const bool is_refused = try_load(stage, 0, what, tally);
            CHECK((is_refused || may_be_read));
        };
        const bool optional = format.may_be_missing;
        attempt("a folder", optional, [&] { return fs::create_directory(path); });
        attempt("a pipe", optional, [&] { return mkfifo(path.c_str(), 0600) == 0; });
        attempt("a device without end", optional, [&] { return symlink("/dev/zero", path.c_str()) == 0; });
        attempt("an empty device", optional, [&] { return symlink("/dev/null", path.c_str()) == 0; });
        attempt("a link to nothing", optional, [&] { return symlink("nothing", path.c_str()) == 0; });
        attempt("nothing", optional, [] { return true; });
        // Nobody says that a list may not be empty.
        attempt("an empty file", !format.refuses_cuts, [&] { return stage.put({}), true; });
        attempt("a file of NUL", optional, [&] { return stage.put(Bytes(600)), true; });
        CHECK(tally.n_failed == 0);
        stage.clear();
        stage.put(format.good);
        CHECK_NOTHROW(stage.load());
    }
}

TEST_CASE("a file that may not be read is refused, by its name", "[hostile]") {
    for (const Format& format : formats()) {
        INFO(format.name);
        const Stage stage(format);
        for (int i = 0; i < 2; i++) REQUIRE_NOTHROW(stage.load());
        for (const int error : {EACCES, EPERM, ELOOP, ENFILE, EIO}) {
            const Outcome o = watch_leaks(format.name + ": cannot be opened", [&] {
                const Armed armed({.call = Call::open, .error = error, .and_all_later = true});
                stage.load();
            });
            CHECK(o.end == Outcome::End::refused);
            CHECK(o.kind == "IO");
            CHECK(o.is_clean());
            CHECK(mentions(o.text, std::strerror(error)));
            CHECK(is_readable(o.text, stage));
        }
    }
}
