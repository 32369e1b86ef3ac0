// data/zip.h: archives that contradict themselves, lie or explode. Catalogue rows P17 to P20 and P22; what a torch.save
// file needs beyond being an archive is in test_torch_pickle.cpp.
#include <chrono>

#include "data/zip.h"
#include "tests/torch_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

const std::vector<ZipSample> kTwo{{"m/a", bytes_of("first")}, {"m/b", bytes_of("the second")}};

/// Opens an archive and reads every entry. Returns the contents, each behind its name.
std::string read_archive(const std::string& path) {
    const InputFile file(path);
    const ZipDirectory zip(file, path);
    std::string all;
    for (const ZipEntry& entry : zip.entries()) {
        const Bytes contents = read_entry(file, path, entry, 1 << 20);
        all += entry.name + "=" + std::string(contents.begin(), contents.end()) + ";";
    }
    return all;
}

std::string read_archive(const Bytes& bytes) {
    const ScratchFolder folder;
    return read_archive(folder.write("x.zip", bytes));
}

void check_archive(const Bytes& bytes, const std::string& kind, const std::string& part) {
    check_refused([&] { read_archive(bytes); }, kind, part);
}

/// The archive of two entries with a number changed.
Bytes changed(const ZipLayout& zip, size_t offset, uint64_t value, int n_bytes) {
    Bytes bytes = zip.bytes;
    put_le(bytes, offset, value, n_bytes);
    return bytes;
}

Bytes cat(const Bytes& a, const std::string& b) { return a + bytes_of(b); }

Bytes one_named(const std::string& name) { return zip_archive({{name, bytes_of("x")}}).bytes; }

}  // namespace

TEST_CASE("zip archives are read, stored and deflated, with and without descriptors and zip64 records", "[zip]") {
    for (const bool has_zip64 : {false, true}) {
        for (const bool is_deflated : {false, true}) {
            for (const bool has_descriptor : {false, true}) {
                auto samples = kTwo;
                for (ZipSample& s : samples) {
                    s.is_deflated = is_deflated;
                    s.has_descriptor = has_descriptor;
                }
                CHECK(read_archive(zip_archive(samples, has_zip64).bytes) == "m/a=first;m/b=the second;");
            }
        }
    }
    CHECK(read_archive(zip_archive({{"m/", {}, false, false}, {"m/empty", {}}}).bytes) == "m/=;m/empty=;");

    const ScratchFolder folder;
    const std::string path = folder.write("x.zip", zip_archive(kTwo).bytes);
    const InputFile file(path);
    const ZipDirectory zip(file, path);
    REQUIRE(zip.find("m/b") != nullptr);
    CHECK(zip.find("m/b")->size == 10);
    CHECK(zip.find("m/") == nullptr);
    CHECK(zip.find("m/c") == nullptr);
    CHECK(kind_of([&] { read_entry(file, path, *zip.find("m/b"), 9); }) == "LIMIT");
}

TEST_CASE("an entry is read in parts, and checked when all of it was read", "[zip][P18]") {
    Bytes contents(700'000);
    for (size_t i = 0; i < contents.size(); i++) contents[i] = uint8_t(i * i >> 8);
    for (const bool is_deflated : {false, true}) {
        const ZipLayout good = zip_archive({{"m/a", contents, is_deflated}});
        Bytes bad = good.bytes;
        bad[good.data[0] + (is_deflated ? 300 : 650'000)] ^= 1;
        const ScratchFolder folder;
        const std::string path = folder.write("good", good.bytes), bad_path = folder.write("bad", bad);
        const InputFile file(path), bad_file(bad_path);
        const ZipDirectory zip(file, path), bad_zip(bad_file, bad_path);
        for (const bool checks_crc : {false, true}) {
            ZipEntryReader in(file, path, zip.entries()[0], checks_crc);
            Bytes part(1000);
            in.skip(300'123);
            in.read(part);
            CHECK(std::equal(part.begin(), part.end(), contents.begin() + 300'123));
            in.read(std::span(part).first(1));
            CHECK(part[0] == contents[301'123]);
            in.finish();
            CHECK_ERROR(in.read(part), ValueError, "beyond the end");
        }
        const auto read_bad = [&](bool checks_crc) {
            ZipEntryReader in(bad_file, bad_path, bad_zip.entries()[0], checks_crc);
            in.skip(10);
            in.finish();
        };
        CHECK(kind_of([&] { read_bad(true); }) == "VALUE");
        if (!is_deflated) CHECK(kind_of([&] { read_bad(false); }) == "");  // that is what the switch is for
    }
}

TEST_CASE("P17: the end record is missing or lies", "[zip][P17]") {
    const ZipLayout zip = zip_archive(kTwo), zip64 = zip_archive(kTwo, true);
    check_archive(Bytes(zip.bytes.begin(), zip.bytes.begin() + std::ptrdiff_t(zip.end)), "TRUNC", "no end record");
    check_archive(bytes_of("PK\x03\x04"), "TRUNC", "no end record");
    check_archive(cat(zip.bytes, "x"), "TRUNC", "something follows it");
    check_archive(changed(zip, zip.end + 20, 7, 2), "OFFSET", "a comment of 7 bytes is announced");
    check_archive(changed(zip, zip.end + 16, zip.directory + 1, 4), "OFFSET", "the directory is said to be at byte");
    check_archive(changed(zip, zip.end + 16, UINT32_MAX, 4), "OFFSET", "the directory is said to be at byte");
    check_archive(changed(zip, zip.end + 12, 1, 4), "OFFSET", "the directory is said to be at byte");
    const auto with_count = [&](uint64_t n) { return changed(zip, zip.end + 8, n << 16 | n, 4); };
    check_archive(with_count(3), "TRUNC", "a header of the directory");
    check_archive(with_count(1), "OFFSET", "the directory goes on behind its 1 entries");
    check_archive(with_count(0), "MISSING", "no entries");
    check_archive(changed(zip, zip.end + 10, 3, 2), "OFFSET", "several disks");
    check_archive(changed(zip, zip.end + 4, 1, 2), "OFFSET", "several disks");

    // zip64: the record's place, its size, its numbers, and the two end records against each other.
    check_archive(changed(zip64, zip64.end - 12, 0, 8), "OFFSET", "expected it just before its locator");
    check_archive(changed(zip64, zip64.end - 12, UINT64_MAX, 8), "OFFSET", "expected it just before its locator");
    check_archive(changed(zip64, zip64.end64 + 4, 45, 8), "OFFSET", "not of the size expected");
    check_archive(changed(zip64, zip64.end64 + 24, 3, 8), "OFFSET", "contradict each other");
    check_archive(changed(zip64, zip64.end64 + 32, 3, 8), "OFFSET", "contradict each other");
    check_archive(changed(zip64, zip64.end64 + 40, UINT64_MAX, 8), "OFFSET", "contradict each other");
    check_archive(changed(zip64, zip64.end64, 0, 4), "OFFSET", "there is no zip64 end record here");
    check_archive(changed(zip64, zip64.end - 4, 2, 4), "OFFSET", "several disks");
    Bytes unsure = zip64.bytes;  // "see zip64" is no contradiction
    put_le(unsure, zip64.end + 8, UINT64_MAX, 8);
    put_le(unsure, zip64.end + 16, UINT32_MAX, 4);
    CHECK_OK(read_archive(unsure) == "m/a=first;m/b=the second;");
    Bytes huge = unsure;
    put_le(huge, zip64.end64 + 24, uint64_t{1} << 62, 8);
    put_le(huge, zip64.end64 + 32, uint64_t{1} << 62, 8);
    check_archive(huge, "LIMIT", "at most 100000 are accepted");
    put_le(unsure, zip64.end64 + 48, UINT64_MAX, 8);
    check_archive(unsure, "OFFSET", "the directory is said to be at byte 18446744073709551615");
}

TEST_CASE("P17: zip64 fields in headers", "[zip][P17]") {
    // The archive of one entry with this extra field in its local and its central header.
    const auto with_fields = [](const std::string& local, const std::string& central) {
        const ZipLayout zip = zip_archive({{"m/a", bytes_of("first")}});
        Bytes bytes = zip.bytes;
        const auto put = [&](size_t header, size_t length_at, size_t name_end, const std::string& field) {
            put_le(bytes, header + length_at, field.size(), 2);
            const Bytes extra = bytes_of(field);
            bytes.insert(bytes.begin() + std::ptrdiff_t(header + name_end), extra.begin(), extra.end());
        };
        put(zip.central[0], 30, 46 + 3, central);
        put(zip.local[0], 28, 30 + 3, local);
        const size_t end = zip.end + local.size() + central.size();
        put_le(bytes, end + 12, zip.end - zip.directory + central.size(), 4);
        put_le(bytes, end + 16, zip.directory + local.size(), 4);
        if (!central.empty()) put_le(bytes, zip.central[0] + local.size() + 20, UINT64_MAX, 8);
        return bytes;
    };
    const auto field = [](uint64_t size, uint64_t packed) {
        return le(1, 2) + le(16, 2) + le(size, 8) + le(packed, 8);
    };
    const auto place = [](uint64_t offset) { return le(1, 2) + le(8, 2) + le(offset, 8); };
    const std::string all = le(1, 2) + le(24, 2) + le(5, 8) + le(5, 8) + le(0, 8);
    const std::string good = field(5, 5), unknown = field(0, 0), padding = "FB" + le(3, 2) + "ZZZ";
    for (const std::string& local : {std::string(), padding, good, unknown, padding + unknown, place(0), all}) {
        for (const std::string& central : {std::string(), good, padding + good}) {
            CHECK(read_archive(with_fields(local, central)) == "m/a=first;");
        }
    }
    check_archive(with_fields(field(6, 6), good), "UNSAFE", "described differently");
    check_archive(with_fields(place(1), good), "UNSAFE", "described differently");
    check_archive(with_fields(good + good, good), "OFFSET", "a second zip64 field");
    check_archive(with_fields(le(1, 2) + le(4, 2) + le(5, 4), good), "OFFSET", "a zip64 field of 4 bytes");
    check_archive(with_fields("", padding), "OFFSET", "zip64 field, and there is none");
    check_archive(with_fields("", good + good), "OFFSET", "a second zip64 field");
    check_archive(with_fields("", le(1, 2) + le(8, 2) + le(5, 8)), "OFFSET",
                  "the zip64 field has 8 bytes, expected 16");
    check_archive(with_fields("", le(1, 2) + le(17, 2) + le(5, 8)), "TRUNC", "an extra field");
    check_archive(with_fields("", field(5, 6)), "OFFSET", "is stored as it is");
    check_archive(with_fields("", field(UINT64_MAX, UINT64_MAX)), "OFFSET", "reaches into the directory");
}

TEST_CASE("P17: an end record in a comment, and a directory of which there are two", "[zip][P17]") {
    const ZipLayout zip = zip_archive(kTwo);
    // The comment of the first end record is a directory of one entry and a second end record: programs that look from
    // the front and from the back see different archives.
    const Bytes header(zip.bytes.begin() + std::ptrdiff_t(zip.central[0]),
                       zip.bytes.begin() + std::ptrdiff_t(zip.central[1]));
    Bytes both = zip.bytes;
    const size_t n_comment = header.size() + 22;
    put_le(both, zip.end + 20, n_comment, 2);
    const size_t second = both.size();
    both = cat(both + header,
               "PK\x05\x06" + le(0, 4) + le(1, 2) + le(1, 2) + le(header.size(), 4) + le(second, 4) + le(0, 2));
    check_archive(both, "OFFSET", "bytes that belong to no entry");
    Bytes in_front = both;
    in_front[both.size() - 1] = 1;
    check_archive(in_front, "OFFSET", "a comment of 256 bytes is announced");
}

TEST_CASE("P18: encryption, wrong checksums, headers that disagree", "[zip][P18][A8]") {
    const ZipLayout zip = zip_archive(kTwo);
    const auto both_flags = [&](uint16_t flags) {
        Bytes bytes = changed(zip, zip.central[1] + 8, flags, 2);
        put_le(bytes, zip.local[1] + 6, flags, 2);
        return bytes;
    };
    for (const int bit : {0, 6, 13}) check_archive(both_flags(uint16_t(8 | 1 << bit)), "UNSAFE", "is encrypted");
    for (const int bit : {4, 5, 7, 14})
        check_archive(both_flags(uint16_t(8 | 1 << bit)), "UNSAFE", "flags that nobody");
    CHECK_OK(read_archive(both_flags(8 | 1 << 11)) == "m/a=first;m/b=the second;");
    check_archive(changed(zip, zip.central[1] + 8, 9, 2), "UNSAFE", "is encrypted");
    check_archive(changed(zip, zip.local[1] + 6, 9, 2), "UNSAFE", "described differently");

    Bytes bad = zip.bytes;
    bad[zip.data[1]] ^= 1;
    check_archive(bad, "VALUE", "\"m/b\" is damaged: its CRC-32");
    check_archive(changed(zip, zip.central[1] + 16, 1, 4), "UNSAFE", "described differently behind it");
    Bytes crc = changed(zip, zip.central[1] + 16, 1, 4);
    put_le(crc, zip.directory - 12, 1, 4);
    check_archive(crc, "VALUE", "\"m/b\" is damaged");

    // Local against central: name, method, checksum, sizes.
    check_archive(changed(zip, zip.local[0] + 30 + 2, 'c', 1), "UNSAFE", "described differently");
    check_archive(changed(zip, zip.local[0] + 8, 8, 2), "UNSAFE", "described differently");
    for (const size_t field : {14, 18, 22}) {
        check_archive(changed(zip, zip.local[0] + field, 1, 4), "UNSAFE", "described differently");
    }
    auto plain = kTwo;
    plain[0].has_descriptor = plain[1].has_descriptor = false;
    const ZipLayout no_descriptor = zip_archive(plain);
    for (const size_t field : {14, 18, 22}) {
        check_archive(changed(no_descriptor, no_descriptor.local[0] + field, 0, 4), "UNSAFE", "described differently");
    }
    check_archive(changed(zip, zip.directory - 16, 0, 4), "UNSAFE", "described differently behind it");
    check_archive(changed(zip, zip.directory - 4, 11, 4), "UNSAFE", "described differently behind it");
}

TEST_CASE("P19: names that come twice, and names that leave the folder", "[zip][P19]") {
    check_archive(zip_archive({kTwo[0], kTwo[1], kTwo[0]}).bytes, "DUP", "\"m/a\"");
    for (const char* name : {"../m", "m/../a", "m/..", "/m/a", "//m", "m//a", ".", "./m", "m\\a", "..\\m", "m\na"}) {
        INFO(name);
        check_archive(one_named(name), "UNSAFE", "the name");
    }
    check_archive(one_named(""), "UNSAFE", "is empty");
    check_archive(one_named(std::string("m/a\0.pkl", 8)), "UNSAFE", "\"m/a\\u0000.pkl\"");
    CHECK_OK(read_archive(one_named("m/..a/...")) == "m/..a/...=x;");
    CHECK(read_archive(one_named(std::string(1024, 'n'))).size() == 1024 + 3);
    check_archive(one_named(std::string(1025, 'n')), "LIMIT", "a name has 1025 bytes");
}

TEST_CASE("P20: overlapping entries, holes, entries outside the file", "[zip][P20]") {
    const ZipLayout zip = zip_archive(kTwo);
    check_archive(changed(zip, zip.central[1] + 42, 0, 4), "OFFSET", "overlaps the one after it");
    check_archive(changed(zip, zip.central[1] + 42, zip.local[1] - 1, 4), "OFFSET", "has a hole before it");
    check_archive(changed(zip, zip.central[1] + 42, zip.data[0], 4), "OFFSET", "overlaps the one before it");
    check_archive(changed(zip, zip.central[0] + 42, 1, 4), "OFFSET", "has a hole before it");
    check_archive(changed(zip, zip.central[1] + 42, zip.end, 4), "OFFSET", "hole before it");
    check_archive(changed(zip, zip.central[1] + 42, UINT32_MAX, 4), "OFFSET", "zip64 field, and there is none");
    for (const uint64_t size : {uint64_t{11}, uint64_t{1} << 31, uint64_t{UINT32_MAX - 1}}) {
        Bytes longer = changed(zip, zip.central[1] + 20, size, 4);
        put_le(longer, zip.central[1] + 24, size, 4);
        CHECK(kind_of([&] { read_archive(longer); }) == "OFFSET");
    }
    check_archive(changed(zip, zip.central[1] + 24, 11, 4), "OFFSET", "is stored as it is");

    // The quine-like bomb: many directory headers for one and the same entry.
    std::vector<ZipSample> many(1000, kTwo[0]);
    for (size_t i = 0; i < many.size(); i++) many[i].name = "m/" + std::to_string(i);
    ZipLayout bomb = zip_archive(many);
    for (const size_t central : bomb.central) put_le(bomb.bytes, central + 42, 0, 4);
    check_archive(bomb.bytes, "OFFSET", "overlaps the one after it");
}

TEST_CASE("P20: what unpacks to more than it should, or to less", "[zip][P20]") {
    const Bytes zeros(8 << 20);
    const ZipLayout bomb = zip_archive({{"m/a", zeros, true}});
    CHECK(bomb.bytes.size() < 9000);  // 1028 : 1
    check_archive(bomb.bytes, "LIMIT", "8 times its size");

    // The same with a size that was made small: one byte more than that is unpacked, no more.
    const auto with_size = [](ZipLayout zip, uint64_t size) {
        put_le(zip.bytes, zip.central[0] + 24, size, 4);
        put_le(zip.bytes, zip.directory - 4, size, 4);
        return zip.bytes;
    };
    check_archive(with_size(bomb, 100), "LIMIT", "unpacks to more than the 100 bytes said");
    check_archive(with_size(bomb, 0), "LIMIT", "unpacks to more than the 0 bytes said");
    const ZipLayout small = zip_archive({{"m/a", bytes_of("contents"), true}});
    check_archive(with_size(small, 9), "TRUNC", "unpacks to fewer than the 9 bytes said");

    for (const int method : {1, 9, 12, 14, 93, 99}) {
        Bytes bytes = changed(small, small.central[0] + 10, uint64_t(method), 2);
        put_le(bytes, small.local[0] + 8, uint64_t(method), 2);
        check_archive(bytes, "DTYPE", "compressed by method " + std::to_string(method));
    }
    Bytes damaged = small.bytes;
    damaged[small.data[0]] = 0xff;
    check_archive(damaged, "VALUE", "damaged data");
    // Stored bytes behind the last deflated block.
    ZipLayout longer = zip_archive({{"m/a", bytes_of("contents"), true, false}});
    const size_t n_packed = longer.directory - longer.data[0];
    longer.bytes.insert(longer.bytes.begin() + std::ptrdiff_t(longer.directory), 'x');
    put_le(longer.bytes, longer.local[0] + 18, n_packed + 1, 4);
    put_le(longer.bytes, longer.central[0] + 1 + 20, n_packed + 1, 4);
    put_le(longer.bytes, longer.end + 1 + 16, longer.directory + 1, 4);
    check_archive(longer.bytes, "OFFSET", "bytes behind its deflated data");
}

TEST_CASE("P22: only what begins as an archive is one", "[zip][P22]") {
    const Bytes zip = zip_archive(kTwo).bytes;
    for (const char* front : {"x", "%PDF-1.4\n", "#!/bin/sh\n"}) {
        check_archive(bytes_of(front) + zip, "MAGIC", "PK 3 4");
    }
    check_archive({}, "MAGIC", "PK 3 4");
    // Its offsets made right, so that many programs would open it.
    const ZipLayout two = zip_archive(kTwo);
    Bytes shifted = bytes_of(
                        "PK\x03\x04"
                        "????") +
                    two.bytes;
    for (const size_t central : two.central) {
        put_le(shifted, central + 8 + 42, two.local[central == two.central[1]] + 8, 4);
    }
    put_le(shifted, two.end + 8 + 16, two.directory + 8, 4);
    check_archive(shifted, "OFFSET", "hole before it, expected it at byte 0");
}

TEST_CASE("generic sweep over a zip archive: every cut, every bit, every length", "[zip][sweep][A11]") {
    auto samples = kTwo;
    samples[1].is_deflated = true;
    const ZipLayout zip = zip_archive(samples, true);
    std::vector<LengthField> fields;
    for (const size_t local : zip.local) {
        for (const size_t field : {18, 22}) fields.push_back({local + field, 4, false});
        for (const size_t field : {26, 28}) fields.push_back({local + field, 2, false});
    }
    for (const size_t central : zip.central) {
        for (const size_t field : {20, 24, 42}) fields.push_back({central + field, 4, false});
        for (const size_t field : {28, 30, 32}) fields.push_back({central + field, 2, false});
    }
    for (const size_t field : {4, 24, 32, 40, 48}) fields.push_back({zip.end64 + field, 8, false});
    fields.push_back({zip.end - 12, 8, false});
    for (const size_t field : {12, 16}) fields.push_back({zip.end + field, 4, false});
    const auto start = std::chrono::steady_clock::now();
    const ScratchFolder folder;
    const int n_refused = sweep(zip.bytes, zip.bytes.size(), fields, true, [&](const Bytes& bytes) {
        std::filesystem::remove(folder / "x");  // overwriting it would wait for the disk each time
        read_archive(folder.write("x", bytes));
    });
    CHECK(n_refused > 2000);
    CHECK(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < 60);
}
