// What the tests of data/ share: a scratch folder, small files made in memory, and the damage that is done to them.
#pragma once
#include <malloc.h>
#include <omp.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/storage.h"
#include "tests/catch.h"
#include "tests/scratch.h"

namespace koine::testing {

inline Bytes bytes_of(const std::string& text) { return Bytes(text.begin(), text.end()); }

inline Bytes operator+(Bytes a, const Bytes& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

/// Contents through zlib; `window_bits` say what is put around them, see deflateInit2: MAX_WBITS + 16 gzip, -MAX_WBITS
/// nothing.
inline Bytes deflated(const Bytes& contents, int level, int window_bits) {
    z_stream stream{};
    deflateInit2(&stream, level, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY);
    Bytes out(deflateBound(&stream, uLong(contents.size())));
    stream.next_in = const_cast<Bytef*>(contents.data());
    stream.avail_in = uInt(contents.size());
    stream.next_out = out.data();
    stream.avail_out = uInt(out.size());
    deflate(&stream, Z_FINISH);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}
/// One gzip member.
inline Bytes gzipped(const Bytes& contents, int level = 6) { return deflated(contents, level, MAX_WBITS + 16); }

/// An IDX file of unsigned bytes: header for `extents`, then `values`.
inline Bytes idx_bytes(const std::vector<uint32_t>& extents, const Bytes& values) {
    Bytes out = {0, 0, 8, uint8_t(extents.size())};
    for (uint32_t extent : extents) {
        for (int shift : {24, 16, 8, 0}) out.push_back(uint8_t(extent >> shift));
    }
    return out + values;
}

/// The whole file, empty when there is none.
inline Bytes contents_of(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return Bytes(std::istreambuf_iterator<char>(in), {});
}

/// The kind of a DataError, "" for none. To compare it is a check, which the catalogue of bad inputs counts.
class ErrorKind {
public:
    explicit ErrorKind(std::string kind) : text(std::move(kind)) {}
    bool empty() const { return text.empty(); }  ///< not counted: says only that there was an error
    const std::string& str() const { return text; }
    friend bool operator==(const ErrorKind& found, std::string_view expected) {
        if (found.text == expected) note_verified(expected.empty() ? "OK" : found.text, "");
        return found.text == expected;
    }
    friend std::ostream& operator<<(std::ostream& out, const ErrorKind& kind) {
        return out << (kind.empty() ? "no error" : kind.text);
    }

private:
    std::string text;
};

/// The kind of the DataError that a call throws, and "" when it throws none. Anything else it throws goes through.
inline ErrorKind kind_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const DataError& error) {
        return ErrorKind(error.kind);
    }
    return ErrorKind("");
}

/// A number in a file, stored big- or little-endian.
struct LengthField {
    size_t offset;
    int n_bytes;
    bool is_big_endian;
};

/// The call throws a DataError of this kind whose text mentions `part`.
inline void check_refused(const std::function<void()>& call, const std::string& kind, const std::string& part) {
    try {
        call();
        FAIL_CHECK("nothing was thrown; expected " << kind << " mentioning: " << part);
    } catch (const DataError& error) {
        CHECK(error.kind == kind);
        CHECK(mentions(error.what(), part));
        note_verified(error.kind, part);
    }
}

/// The generic sweep (catalogue of bad inputs, "Generic sweep per valid sample"): every cut, every bit of the first
/// `header` bytes flipped, every length field at its extremes, one byte too many. `parse` must return or throw a
/// DataError, nothing else; it must refuse every cut when `refuses_cuts`. Returns how many inputs were refused.
inline int sweep(const Bytes& good, size_t header, const std::vector<LengthField>& fields, bool refuses_cuts,
                 const std::function<void(const Bytes&)>& parse) {
    int n_refused = 0;
    const auto is_refused = [&](const Bytes& input) {
        const bool refused = !kind_of([&] { parse(input); }).empty();
        n_refused += refused;
        return refused;
    };
    REQUIRE_FALSE(is_refused(good));
    for (size_t n = 0; n < good.size(); n++) {
        const bool refused = is_refused(Bytes(good.begin(), good.begin() + std::ptrdiff_t(n)));
        if (refuses_cuts && !refused) FAIL_CHECK("cut after " << n << " of " << good.size() << " bytes, and accepted");
    }
    for (size_t bit = 0; bit < 8 * header; bit++) {
        Bytes flipped = good;
        flipped[bit / 8] ^= uint8_t(1 << (bit % 8));
        is_refused(flipped);
    }
    for (const LengthField& field : fields) {
        for (uint64_t value :
             {uint64_t{0}, uint64_t{1}, uint64_t{1} << 31, uint64_t{1} << 63, UINT64_MAX, UINT64_MAX >> 1}) {
            Bytes changed = good;
            for (int i = 0; i < field.n_bytes; i++) {
                const int shift = 8 * (field.is_big_endian ? field.n_bytes - 1 - i : i);
                changed[field.offset + size_t(i)] = uint8_t(value >> shift);
            }
            is_refused(changed);
        }
    }
    for (int byte = 0; byte < 256; byte++) is_refused(good + Bytes{uint8_t(byte)});
    return n_refused;
}

#ifndef __SANITIZE_ADDRESS__  // whose own bookkeeping would be measured
/// How many KB of memory a call adds at its worst moment, measured in a process of its own, which first gives back what
/// earlier tests have left free: memory that is found is not added.
inline long added_kb(const std::function<void()>& call) {
    int pipe_ends[2];
    REQUIRE(pipe(pipe_ends) == 0);
    const pid_t child = fork();
    if (child == 0) {
        omp_set_num_threads(1);  // the threads that the parent may have started are not in this process
        pool().trim();
        malloc_trim(0);
        std::ofstream("/proc/self/clear_refs") << 5;  // the largest size so far is forgotten
        rusage before{}, after{};
        getrusage(RUSAGE_SELF, &before);
        call();
        getrusage(RUSAGE_SELF, &after);
        const long added = after.ru_maxrss - before.ru_maxrss;
        const bool is_written = write(pipe_ends[1], &added, sizeof added) == sizeof added;
        _exit(is_written ? 0 : 1);
    }
    long added = -1;
    const bool is_read = read(pipe_ends[0], &added, sizeof added) == sizeof added;
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    waitpid(child, nullptr, 0);
    REQUIRE(is_read);
    return added;
}
#endif

}  // namespace koine::testing
