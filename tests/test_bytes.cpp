// The bounded reader, whole-file reading and UTF-8 validation: what every parser of untrusted files stands on.
#include <sys/stat.h>
#include <unistd.h>

#include <regex>

#include "data/bytes.h"
#include "data/utf8.h"
#include "tests/data_samples.h"

using namespace koine;
using namespace koine::testing;

TEST_CASE("the bounded reader reads numbers in both byte orders and knows its place", "[data]") {
    const Bytes bytes = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19};
    ByteReader in(bytes, "sample", 100);
    CHECK(in.u8("a") == 1);
    CHECK(in.le16("b") == 0x0302);
    CHECK(in.be32("c") == 0x04050607);
    CHECK(in.le32("d") == 0x0b0a0908);
    CHECK(in.le64("e") == 0x131211100f0e0d0c);
    CHECK(in.at_end());
    CHECK(in.offset() == 119);
    in.seek(101, "start");
    CHECK(in.u8("again") == 2);
}

TEST_CASE("the bounded reader refuses what is not there, and says what and where", "[data]") {
    const Bytes bytes = bytes_of("abc\ndef");
    ByteReader in(bytes, "sample");
    CHECK(in.take_until('\n', 3, "word") == "abc");
    CHECK(in.offset() == 4);
    CHECK_ERROR(in.le32("count"), DataError, "sample: byte 4: the file ends inside count: wanted 4 bytes, 3 are left");
    CHECK(in.offset() == 4);  // a failed read takes nothing
    CHECK(kind_of([&] { in.take_until('\n', 2, "word"); }) == "LIMIT");
    CHECK(kind_of([&] { in.take_until('\n', 3, "word"); }) == "TRUNC");
    CHECK(kind_of([&] { in.take_until('\n', UINT64_MAX, "word"); }) == "TRUNC");
    CHECK(kind_of([&] { in.take(UINT64_MAX, "rest"); }) == "TRUNC");
    CHECK(kind_of([&] { in.seek(8, "table"); }) == "OFFSET");
    CHECK(kind_of([&] { in.check_count(1, 3, "count"); }).empty());
    CHECK(kind_of([&] { in.check_count(2, 2, "count"); }) == "LIMIT");
    CHECK(kind_of([&] { in.check_count(uint64_t{1} << 62, 8, "count"); }) == "LIMIT");
    CHECK(in.take_text(3, "rest") == "def");
}

TEST_CASE("a count is held against the bytes that are left", "[data][A9]") {
    const Bytes bytes(100);
    ByteReader in(bytes, "sample");
    in.take(40, "start");
    CHECK_OK((in.check_count(20, 3, "count"), in.offset() == 40));
    check_refused([&] { in.check_count(21, 3, "count"); }, "LIMIT",
                  "sample: byte 40: count is 21, but only 60 bytes are left");
    check_refused([&] { in.check_count(uint64_t{1} << 62, 8, "count"); }, "LIMIT", "count is 4611686018427387904");
    check_refused([&] { in.take(UINT64_MAX, "values"); }, "TRUNC",
                  "the file ends inside values: wanted 18446744073709551615 bytes, 60 are left");
}

TEST_CASE("sizes are multiplied and added without wrapping", "[data][A10]") {
    CHECK(mul_checked(0, UINT64_MAX) == uint64_t{0});
    CHECK(mul_checked(1, UINT64_MAX) == UINT64_MAX);
    CHECK(mul_checked(uint64_t{1} << 32, uint64_t{1} << 31) == uint64_t{1} << 63);
    CHECK_FALSE(mul_checked(uint64_t{1} << 32, uint64_t{1} << 32));
    CHECK_FALSE(mul_checked(3, UINT64_MAX / 3 + 1));
    CHECK(add_checked(UINT64_MAX, 0) == UINT64_MAX);
    CHECK_FALSE(add_checked(UINT64_MAX, 1));
}

TEST_CASE("whole files: contents, and every kind of thing that is not a file", "[data]") {
    const ScratchFolder scratch;
    const Bytes contents = bytes_of(std::string(100000, 'x'));
    const std::string path = scratch.write("file", contents);
    CHECK(read_file(path) == contents);
    CHECK(read_file(path, contents.size()) == contents);
    CHECK(kind_of([&] { read_file(path, contents.size() - 1); }) == "LIMIT");
    CHECK(read_file(scratch.write("empty", {})).empty());
    CHECK_FALSE(read_file("/proc/self/status").empty());  // its size is 0 until it is read
    CHECK(kind_of([&] { read_file("/proc/self/status", 3); }) == "LIMIT");

    CHECK_ERROR(read_file(scratch / "nowhere"), DataError, "No such file");
    CHECK_ERROR(read_file(scratch.path), DataError, "is a directory");
    REQUIRE(mkfifo((scratch / "pipe").c_str(), 0600) == 0);
    CHECK_ERROR(read_file(scratch / "pipe"), DataError, "is a pipe");  // and does not wait for a writer
    CHECK_ERROR(read_file("/dev/null"), DataError, "regular file");
    CHECK(kind_of([&] { read_file(scratch / "nowhere"); }) == "IO");
    if (geteuid() != 0) {  // root may read everything
        chmod(path.c_str(), 0);
        CHECK_ERROR(read_file(path), DataError, "Permission denied");
    }
}

TEST_CASE("UTF-8 is what RFC 3629 says it is", "[data][D7]") {
    for (const char* good : {"", "plain", "è già", "日本語", "\U0001F600", "\xed\x9f\xbf", "\xee\x80\x80",
                             "\xf4\x8f\xbf\xbf", "\xc2\x80"}) {
        CHECK(utf8_valid_prefix(good) == std::string(good).size());
    }
    const std::vector<std::vector<std::string>> bad = {
        {"\x80", "\xff"},                                              // no first byte
        {"\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf"},  // overlong
        {"\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80"},      // a surrogate, above U+10FFFF
        {"\xc3", "\xe2\x82", "\xf0\x9f\x98"},                          // cut
        {"\xc3(", "\xe2(\xa1", "\xf0\x90\x80("},                       // no continuation
    };
    for (const auto& group : bad) {
        for (const std::string& text : group) {
            INFO(text);
            CHECK(utf8_length(text) == 0);
            CHECK(utf8_valid_prefix("ab" + text + "cd") == 2);
        }
    }
    // Every sequence of two bytes: valid exactly when it is two ASCII characters or one code point of two bytes.
    int n_valid = 0;
    for (int a = 0; a < 256; a++) {
        for (int b = 0; b < 256; b++) n_valid += utf8_valid_prefix(std::string{char(a), char(b)}) == 2;
    }
    CHECK(n_valid == 128 * 128 + (0xdf - 0xc2 + 1) * 64);
}

TEST_CASE("what reads files neither asserts nor maps them", "[data][A10][A29]") {
    // An assert is gone under -DNDEBUG, and a page of a mapped file that shrinks is a SIGBUS. Memory alone may be
    // mapped.
    const std::regex unwanted("(^|[^_a-z])assert\\s*\\(|<cassert>|<assert.h>|mmap(64)?\\s*\\((?![^;]*MAP_ANONYMOUS)");
    int n_files = 0;
    for (const char* folder : {"data", "nn", "autograd", "experiments", "experiments/common"}) {
        for (const auto& entry : std::filesystem::directory_iterator(std::string(KOINE_SOURCE_DIR) + "/" + folder)) {
            const std::string name = entry.path().string();
            if (!name.ends_with(".cpp") && !name.ends_with(".h")) continue;
            const Bytes bytes = contents_of(name);
            const std::string text(bytes.begin(), bytes.end());
            INFO(name);
            CHECK_FALSE(std::regex_search(text, unwanted));
            n_files++;
        }
    }
    CHECK(n_files > 150);
}

TEST_CASE("an input file is a regular file, and is read where it has bytes", "[data]") {
    const ScratchFolder folder;
    const std::string path = folder.write("four", {1, 2, 3, 4});
    const InputFile file(path);
    Bytes two(2);
    file.read_at(2, two, "the end");
    CHECK(two == Bytes{3, 4});
    check_refused([&] { file.read_at(3, two, "the end"); }, "TRUNC", "the file ends inside the end");
    check_refused([&] { file.read_at(UINT64_MAX - 1, two, "a far place"); }, "TRUNC", "no file reaches to a far place");
    CHECK(read_file(path, 4).size() == 4);
    check_refused([&] { read_file(path, 3); }, "LIMIT", "4");
    check_refused([&] { InputFile("/dev/null"); }, "IO", "is a pipe, socket or device");
    check_refused([&] { InputFile{folder.path}; }, "IO", "is a directory");
}
