// The tar reader: what the formats look like, what other programs write, and everything that it must refuse.
#include <chrono>

#include "data/tar.h"
#include "tests/tar_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

constexpr uint64_t kMax = 1 << 20;

using Files = std::vector<std::pair<std::string, std::string>>;

/// Name and contents of every regular file, read to its end.
Files read_tar(const Bytes& bytes, uint64_t max_bytes = kMax) {
    GzipReader in(bytes, "a.tar");
    TarReader tar(in, max_bytes);
    Files files;
    while (tar.next()) {
        const Bytes contents = tar.read(tar.size());
        CHECK(contents.size() == tar.size());
        files.emplace_back(tar.name(), std::string(contents.begin(), contents.end()));
    }
    return files;
}

/// A member whose header is changed, and its checksum made right.
Bytes changed(size_t offset, const std::string& text, const Bytes& contents = bytes_of("abc")) {
    Bytes member = tar_member("file", contents);
    put_text(member, offset, text);
    set_tar_checksum(member, 0);
    return member;
}

std::string pax(const std::string& key, const std::string& value) {
    const std::string rest = " " + key + "=" + value + "\n";
    size_t length = rest.size() + 1;
    while (std::to_string(length).size() + rest.size() != length) length++;
    return std::to_string(length) + rest;
}

const Files kOne = {{"file", "abc"}};

}  // namespace

TEST_CASE("tar: files come out one after the other, without their folders", "[data][tar]") {
    const Bytes tar = tar_header("set/", 0, '5') + tar_member("set/a.bin", bytes_of("first")) +
                      tar_member("set/deep/er/b.bin", bytes_of(std::string(1000, 'b'))) + tar_member("c", {}) +
                      tar_member("d", bytes_of(std::string(512, 'd'))) + tar_end();
    const Files expected = {
        {"a.bin", "first"}, {"b.bin", std::string(1000, 'b')}, {"c", ""}, {"d", std::string(512, 'd')}};
    CHECK(read_tar(tar) == expected);
    CHECK(read_tar(gzipped(tar)) == expected);
    CHECK(read_tar(tar + Bytes(10240)) == expected);  // as `tar` fills up its last record
    CHECK(read_tar(tar_end()).empty());
    // A file may be read in pieces, in part, or not at all.
    GzipReader in(tar, "a.tar");
    TarReader reader(in, kMax);
    REQUIRE(reader.next());
    CHECK(reader.read(2) == bytes_of("fi"));
    CHECK(reader.read(2) == bytes_of("rs"));
    CHECK(reader.read(2) == bytes_of("t"));
    CHECK(reader.read(2).empty());
    REQUIRE(reader.next());
    CHECK(reader.read(3) == bytes_of("bbb"));
    REQUIRE(reader.next());
    CHECK(reader.size() == 0);
    REQUIRE(reader.next());
    CHECK_FALSE(reader.next());
}

TEST_CASE("tar: headers as different programs write them", "[data][tar]") {
    CHECK(read_tar(changed(156, std::string(1, '\0')) + tar_end()) == kOne);                  // type of before 1988
    CHECK(read_tar(changed(156, "7") + tar_end()) == kOne);                                   // "contiguous"
    CHECK(read_tar(changed(257, "ustar  " + std::string(1, '\0')) + tar_end()) == kOne);      // GNU
    CHECK(read_tar(changed(257, std::string(8, '\0')) + tar_end()) == kOne);                  // before POSIX
    CHECK(read_tar(changed(124, "         3 " + std::string(1, '\0')) + tar_end()) == kOne);  // blanks for zeros
    // The front of a long path, in POSIX; other things there, in GNU tar.
    CHECK(read_tar(changed(345, "a/long/path") + tar_end()) == kOne);
    // Names of 100 letters have no NUL behind them.
    const std::string longest(100, 'n');
    CHECK(read_tar(tar_member(longest, bytes_of("x")) + tar_end()) == Files{{longest, "x"}});
    // Old programs added the letters as signed numbers.
    Bytes sign = tar_member("caf\xc3\xa9", bytes_of("x"));
    int64_t sum = 8 * ' ';
    for (size_t i = 0; i < 512; i++) sum += i >= 148 && i < 156 ? 0 : int8_t(sign[i]);
    put_text(sign, 148, tar_octal(uint64_t(sum), 7) + ' ');
    CHECK(read_tar(sign + tar_end()) == Files{{"caf\xc3\xa9", "x"}});
}

TEST_CASE("tar: long names of GNU tar and pax headers", "[data][tar]") {
    const std::string longer = std::string(200, 'f') + "/" + std::string(150, 'n');
    const Files expected = {{std::string(150, 'n'), "abc"}, {"next", "y"}};
    const Bytes file = tar_member("cut", bytes_of("abc")), next = tar_member("next", bytes_of("y")) + tar_end();
    CHECK(read_tar(tar_member("././@LongLink", bytes_of(longer + '\0'), 'L') + file + next) == expected);
    CHECK(read_tar(tar_member("././@LongLink", bytes_of("a link's target" + std::string(600, 't')), 'K') +
                   tar_member("././@LongLink", bytes_of(longer), 'L') + file + next) == expected);
    CHECK(read_tar(tar_member("PaxHeaders/cut", bytes_of(pax("mtime", "1.5") + pax("path", longer)), 'x') + file +
                   next) == expected);
    // What holds for all files is stepped over; what belonged to a folder does not pass to the file behind it.
    CHECK(read_tar(tar_member("g", bytes_of(pax("comment", std::string(600, 'c'))), 'g') +
                   tar_member("x", bytes_of(pax("path", "folder/")), 'x') + tar_header("f/", 0, '5') + file + next) ==
          Files{{"cut", "abc"}, {"next", "y"}});
    // The size in a pax header counts, not the one in the file's own.
    CHECK(read_tar(tar_member("x", bytes_of(pax("size", "2")), 'x') + file + next) ==
          Files{{"cut", "ab"}, {"next", "y"}});
    const auto refuses_pax = [&](const std::string& records, const char* kind, const char* part) {
        check_refused([&] { read_tar(tar_member("x", bytes_of(records), 'x') + file + next); }, kind, part);
    };
    refuses_pax(pax("size", "-1"), "VALUE", "byte 0: the size in a pax record is no number that is 0 or more");
    refuses_pax(pax("size", "1e3"), "VALUE", "no number");
    refuses_pax(pax("size", "99999999999999999999"), "VALUE", "no number");
    refuses_pax(pax("size", "9223372036854775807"), "LIMIT", "a size of 9223372036854775807 bytes");
    refuses_pax("path=x\n", "SYNTAX", "a pax record without its length");
    refuses_pax("99 path=x\n", "SYNTAX", "without its length");
    refuses_pax("0 path=x\n", "SYNTAX", "without its length");
    refuses_pax("-9 path=x\n", "SYNTAX", "without its length");
    refuses_pax("2 path=x\n", "SYNTAX", "without its length");
    refuses_pax("8 path=x\n", "SYNTAX", "without its length");  // one less than right
    refuses_pax("9 path x\n", "SYNTAX", "a pax record without '='");
    refuses_pax("3 \n", "SYNTAX", "a pax record without '='");
    refuses_pax(std::string(20, '9') + " path=x\n", "SYNTAX", "without its length");
}

TEST_CASE("tar: links, devices and odd members are stepped over, never followed", "[data][tar]") {
    const Bytes file = tar_member("file", bytes_of("abc")) + tar_end();
    for (char type : {'1', '2', '3', '4', '5', '6'}) {
        Bytes link = tar_header("train.bin", 0, type);
        put_text(link, 157, "/etc/passwd");
        set_tar_checksum(link, 0);
        CHECK(read_tar(link + file) == kOne);
        // With contents, one program sees a file in them, another does not.
        check_refused([&] { read_tar(tar_member("train.bin", file, type) + file); }, "SYNTAX",
                      "a link, folder or device with contents");
    }
    for (char type : {'A', 'D', 'M', 'V', 'X', '8', '\x7f'}) {
        CHECK(read_tar(tar_member("train.bin", bytes_of("odd"), type) + file) == kOne);
    }
    CHECK(read_tar(tar_member("folder/", {}) + file) == kOne);  // a folder, before 1988
    CHECK(read_tar(
              tar_member("x", bytes_of(pax("GNU.sparse.major", "1") + pax("path", "GNUSparseFile.0/train.bin")), 'x') +
              tar_member("train.bin", bytes_of("0\n")) + file) == kOne);
    check_refused([&] { read_tar(tar_member("train.bin", {}, 'S') + file); }, "SYNTAX", "a sparse file");
}

TEST_CASE("tar: each way to be wrong has its kind and place", "[data][tar]") {
    const Bytes good = tar_member("file", bytes_of("abc")), second = tar_member("second", bytes_of("xyz"));
    const auto refuses = [](const Bytes& bytes, const char* kind, const std::string& part) {
        check_refused([&] { read_tar(bytes); }, kind, part);
    };
    refuses({}, "MISSING", "a.tar: tar header at byte 0: the file is empty, expected a tar archive");
    refuses(Bytes(511), "MAGIC", "is no tar archive: shorter than one header");
    refuses(bytes_of(std::string(600, 'x')), "MAGIC",
            "is no tar archive, or damaged: the first header's checksum is wrong");
    Bytes flipped = good + second + tar_end();
    flipped[1024] ^= 1;
    refuses(flipped, "VALUE", "tar header at byte 1024: the header's checksum is wrong");
    flipped = good + second + tar_end();
    put_text(flipped, 1024 + 148, "zzzzzzz");
    refuses(flipped, "VALUE", "tar header at byte 1024: the header's checksum is wrong");
    // Sizes.
    refuses(changed(124, "00000000008" + std::string(1, '\0')) + tar_end(), "SYNTAX", "the size is no octal number");
    refuses(changed(124, "-0000000001" + std::string(1, '\0')) + tar_end(), "SYNTAX", "the size is no octal number");
    refuses(changed(124, std::string("3\0"
                                     "0000000003",
                                     12)) +
                tar_end(),
            "SYNTAX", "the size is no octal number");
    refuses(changed(124, "\x80" + std::string(10, '\0') + "\x03") + tar_end(), "LIMIT", "written in base 256");
    refuses(changed(124, std::string(12, '\xff')) + tar_end(), "VALUE", "the size is negative");
    refuses(changed(124, "\xc0" + std::string(11, '\0')) + tar_end(), "VALUE", "the size is negative");
    refuses(changed(124, tar_octal(2000, 12)) + tar_end(), "TRUNC", "a size of 2000 bytes, but there are at most 1536");
    refuses(changed(124, tar_octal(0777777777777, 11)) + tar_end(), "LIMIT",
            "at most 1048576 are accepted for the whole archive");
    refuses(gzipped(changed(124, tar_octal(1000000, 12)) + tar_end()), "TRUNC", "a size of 1000000 bytes, but");
    refuses(tar_header("././@LongLink", (1 << 20), 'L') + Bytes(1 << 20), "LIMIT", "for the whole archive");
    check_refused([&] { read_tar(tar_header("l", (1 << 20) + 1, 'L') + Bytes(1 << 21), 1 << 22); }, "LIMIT",
                  "a name or pax header of 1048577 bytes; at most 1048576");
    // Ends.
    refuses(good, "TRUNC", "tar header at byte 1024: the archive ends without the block of zeros that is its end");
    refuses(good + Bytes(100), "TRUNC", "the archive ends inside a header");
    refuses(Bytes(good.begin(), good.begin() + 514), "TRUNC", "a size of 3 bytes, but there are at most 2");
    refuses(Bytes(good.begin(), good.begin() + 600), "TRUNC", "the archive ends inside a file");
    refuses(good + tar_end() + second, "SYNTAX", "something follows the end of the archive");
    refuses(good + tar_end() + Bytes(kMax), "LIMIT", "more than the 1048576 bytes");
}

TEST_CASE("tar: every cut is refused, whatever is damaged is a DataError", "[data][tar][A11]") {
    const Bytes tar = tar_member("././@LongLink", bytes_of("set/a.bin"), 'L') + tar_member("cut", bytes_of("first")) +
                      tar_member("x", bytes_of(pax("path", "set/b.bin")), 'x') + tar_member("cut", bytes_of("second")) +
                      Bytes(512);
    const auto parse = [](const Bytes& bytes) { read_tar(bytes); };
    CHECK(sweep(tar, tar.size(), {{124, 8, true}, {512 + 512 + 124, 8, true}, {148, 8, true}}, true, parse) > 4000);
    // Fields that are wrong while the checksum is right.
    for (size_t field = 0; field < 512; field++) {
        for (uint8_t value : {0x00, 0x30, 0x39, 0x7f, 0x80, 0xff}) {
            Bytes changed_tar = tar;
            changed_tar[1024 + field] = value;
            set_tar_checksum(changed_tar, 1024);
            kind_of([&] { parse(changed_tar); });  // a DataError or nothing; all else fails the test
        }
    }
    CHECK(sweep(gzipped(tar), 10, {}, true, parse) > 0);
}

TEST_CASE("tar: a bomb is refused soon and costs no memory", "[data][tar][G6]") {
    // 64 MB of zeros behind a small header; 64 MB that nobody asked for; a size without the bytes.
    const Bytes zeros(64 << 20);
    const Bytes behind = gzipped(tar_end() + zeros), inside = gzipped(tar_member("odd", zeros, 'A') + tar_end()),
                promised = gzipped(tar_header("file", 60 << 20) + Bytes(200000), 0);
    const auto start = std::chrono::steady_clock::now();
    const auto attack = [&] {
        check_refused([&] { read_tar(behind); }, "LIMIT", "more than the 1048576 bytes");
        check_refused([&] { read_tar(inside); }, "LIMIT", "a size of 67108864 bytes");
        check_refused([&] { read_tar(promised, 1 << 30); }, "TRUNC", "the archive ends inside a file");
    };
    attack();
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(2));
#ifndef __SANITIZE_ADDRESS__
    CHECK(added_kb(attack) < 16 * 1024);
#endif
}

TEST_CASE("tar: archives that the tar program writes, in all of its formats", "[data][tar]") {
    if (std::system("tar --version 2> /dev/null | grep -q GNU") != 0) SKIP_TEST("no GNU tar");
    const ScratchFolder scratch;
    const std::string long_name = std::string(120, 'n') + ".bin";
    scratch.write("set/train.bin", Bytes(5000, 7));
    scratch.write("set/" + long_name, bytes_of("long"));
    scratch.write("set/" + std::string(90, 'f') + "/deep.bin", bytes_of("deep"));
    std::filesystem::create_symlink("/etc/passwd", scratch / "set/symbolic");
    std::filesystem::create_hard_link(scratch / "set/train.bin", scratch / "set/hard");
    REQUIRE(std::system(("mkfifo '" + (scratch / "set/pipe") + "'").c_str()) == 0);
    for (const std::string format : {"v7", "oldgnu", "gnu", "ustar", "posix"}) {
        const bool fits = format != "v7" && format != "ustar";  // names of 124 letters
        const std::string file = scratch / (format + ".tar.gz");
        const std::string except = fits ? "" : "--exclude='nnn*' ";
        const std::string command = "tar --sort=name --format=" + format + " -C '" + scratch.path + "' " + except +
                                    "-czf '" + file + "' " +
                                    (format == "v7" ? "--exclude=pipe --exclude='fff*' " : "") + "set";
        REQUIRE(std::system(command.c_str()) == 0);
        Files files = read_tar(contents_of(file));
        // Of two hard links the first that tar meets is the file.
        Files expected = {{"hard", std::string(5000, 7)}};
        if (fits) expected.emplace_back(long_name, "long");
        if (format != "v7") expected.emplace_back("deep.bin", "deep");
        std::sort(files.begin(), files.end());
        std::sort(expected.begin(), expected.end());
        INFO(format);
        CHECK(files == expected);
    }
}
