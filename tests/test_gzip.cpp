// Gzip reading: rows G1 to G6 of the catalogue of bad inputs, and the generic sweep.
#include "data/gzip.h"
#include "tests/data_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

Bytes read_all(const Bytes& file) {
    GzipReader in(file, "sample");
    Bytes out;
    while (!in.at_end()) {
        const auto bytes = in.peek();
        out.insert(out.end(), bytes.begin(), bytes.end());
        in.skip(bytes.size());
    }
    return out;
}

ErrorKind kind_of_reading(const Bytes& file) {
    return kind_of([&] { read_all(file); });
}

/// Hardly compressible, longer than the reader's chunks.
Bytes noise(size_t n) {
    Bytes out(n);
    uint32_t state = 1;
    for (uint8_t& byte : out) byte = uint8_t((state = state * 1664525u + 1013904223u) >> 24);
    return out;
}

}  // namespace

TEST_CASE("gzip and plain files are told apart by their first bytes, not by name", "[data][G3]") {
    const ScratchFolder scratch;
    const Bytes text = bytes_of("koine is the common language");
    CHECK_OK(read_maybe_gzip(scratch.write("plain.gz", text), 100) == text);
    CHECK(read_maybe_gzip(scratch.write("compressed", gzipped(text)), 100) == text);
    CHECK(read_maybe_gzip(scratch.write("empty.gz", {}), 100).empty());
    CHECK(read_maybe_gzip(scratch.write("one", {0x1f}), 100) == Bytes{0x1f});
    CHECK(read_maybe_gzip(scratch.write("nothing.gz", gzipped({})), 0).empty());
    CHECK(read_maybe_gzip(scratch / "plain.gz", text.size()) == text);
}

TEST_CASE("gzip: more than is accepted, and no file", "[data]") {
    const ScratchFolder scratch;
    const Bytes text = bytes_of("koine is the common language");
    scratch.write("plain.gz", text);
    CHECK(kind_of([&] { read_maybe_gzip(scratch / "plain.gz", text.size() - 1); }) == "LIMIT");
    CHECK(kind_of([&] { read_maybe_gzip(scratch / "nowhere", 100); }) == "IO");
}

TEST_CASE("gzip contents longer than a chunk come whole, in any step", "[data]") {
    const ScratchFolder scratch;
    const Bytes contents = noise(300000);
    for (const Bytes& file : {contents, gzipped(contents)}) {
        const std::string path = scratch.write("file", file);
        for (size_t step : {size_t{1000}, size_t{65536}, size_t{400000}}) {
            GzipReader in(path);
            Bytes out, piece(step);
            while (const size_t n = in.read(piece))
                out.insert(out.end(), piece.begin(), piece.begin() + std::ptrdiff_t(n));
            CHECK(out == contents);
            CHECK(in.offset() == contents.size());
            CHECK(in.max_remaining() < 10000);
        }
    }
}

TEST_CASE("the bound on what can follow is never too small", "[data]") {
    for (const Bytes& contents : {noise(5000), Bytes(3000000, 0), bytes_of("a")}) {
        for (const Bytes& file : {gzipped(contents, 9), gzipped(contents, 1) + gzipped(noise(10))}) {
            const size_t total = read_all(file).size();
            GzipReader in(file, "sample");
            Bytes piece(777);
            for (size_t left = total; left > 0;) {
                REQUIRE(in.max_remaining() >= left);
                left -= in.read(piece);
            }
        }
    }
}

TEST_CASE("a gzip file that is cut says so, wherever it is cut", "[data][G1]") {
    const Bytes file = gzipped(noise(200));
    for (size_t n = 2; n < file.size(); n++) {
        if (kind_of_reading(Bytes(file.begin(), file.begin() + std::ptrdiff_t(n))) != "TRUNC")
            FAIL_CHECK("cut after " << n);
    }
    CHECK_ERROR(read_all(Bytes(file.begin(), file.end() - 1)), DataError,
                "of the gzip file: the gzip stream ends before its trailer");
}

TEST_CASE("a wrong CRC, a wrong length and damaged data are errors", "[data][G2]") {
    const Bytes file = gzipped(noise(200));
    for (size_t back : {8, 5}) {
        Bytes damaged = file;
        damaged[file.size() - back] ^= 1;
        CHECK_ERROR(read_all(damaged), DataError, "incorrect data check");
    }
    Bytes damaged = file;
    damaged[file.size() - 4] ^= 1;
    CHECK_ERROR(read_all(damaged), DataError, "incorrect length check");
    CHECK(kind_of_reading(damaged) == "VALUE");
    damaged = file;
    damaged[2] = 7;  // compression method
    CHECK(kind_of_reading(damaged) == "VALUE");
    damaged = file;
    damaged[10] |= 6;  // block type 3 does not exist
    CHECK(kind_of_reading(damaged) == "VALUE");
}

TEST_CASE("gzip members are joined", "[data][G4]") {
    const Bytes a = noise(100000), b = bytes_of("second"), none;
    CHECK_OK(read_all(gzipped(a) + gzipped(none) + gzipped(b)) == a + b);
    Bytes many, expected;
    for (int i = 0; i < 500; i++) {
        many = many + gzipped({uint8_t(i)});
        expected.push_back(uint8_t(i));
    }
    const ScratchFolder scratch;
    CHECK(read_all(many) == expected);
    CHECK(read_maybe_gzip(scratch.write("many", many), 1000) == expected);
    // The CRC of a member in the middle counts as well.
    Bytes damaged = gzipped(b);
    damaged[damaged.size() - 8] ^= 1;
    check_refused([&] { read_all(damaged + gzipped(b)); }, "VALUE", "incorrect data check");
}

TEST_CASE("garbage behind the last gzip member is refused", "[data][G5]") {
    const Bytes file = gzipped(noise(200));
    CHECK_ERROR(read_all(file + bytes_of("garbage")), DataError, "trailing");
    for (const Bytes& garbage : {bytes_of("x"), Bytes(512, 0), Bytes{0x1f, 0x8c, 8}, Bytes{0x8b}}) {
        CHECK(kind_of_reading(file + garbage) == "SYNTAX");
    }
    check_refused([&] { read_all(file + Bytes{0x1f, 0x8b}); }, "TRUNC", "ends");  // a second member that is cut
}

TEST_CASE("gzip: generic sweep", "[data][sweep][A11]") {
    const Bytes good = gzipped(bytes_of("a small good sample, a small good sample"));
    // Cuts to 0 and 1 bytes are valid plain files; the rest must be refused.
    const int n_refused = sweep(good, 10, {{good.size() - 4, 4, false}, {good.size() - 8, 4, false}}, false,
                                [](const Bytes& file) { read_all(file); });
    // All other cuts, all appended bytes, all changed trailers.
    CHECK(n_refused >= int(good.size()) - 2 + 256 + 12);
}
