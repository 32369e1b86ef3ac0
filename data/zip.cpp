// The directory of a zip archive; see zip.h. The contents are zip_entry.cpp's.
#include "data/zip.h"

#include <algorithm>
#include <numeric>

#include "data/json.h"

namespace koine {
namespace {

constexpr uint32_t kLocalMagic = 0x04034b50, kCentralMagic = 0x02014b50, kDescriptorMagic = 0x08074b50;
constexpr uint32_t kEndMagic = 0x06054b50, kEnd64Magic = 0x06064b50, kLocatorMagic = 0x07064b50;
constexpr uint64_t kEndBytes = 22, kLocatorBytes = 20, kEnd64Bytes = 56, kLocalBytes = 30;

constexpr uint16_t kEncrypted = 1 << 0 | 1 << 6 | 1 << 13;  // the contents; strongly; the directory
constexpr uint16_t kHasDescriptor = 1 << 3;
constexpr uint16_t kKnownFlags = 1 << 1 | 1 << 2 | kHasDescriptor | 1 << 11;  // 1, 2: how well deflated; 11: UTF-8
constexpr uint16_t kStored = 0, kDeflated = 8;
constexpr uint32_t kSeeZip64 = UINT32_MAX;  // the number is in an extra field
constexpr uint16_t kZip64Field = 1;

std::string str(uint64_t n) { return std::to_string(n); }

// What local and central headers have in common.
struct Header {
    uint16_t flags = 0, method = 0;
    uint32_t crc = 0;
    uint64_t packed_size = 0, size = 0;
    uint16_t name_bytes = 0, extra_bytes = 0;

    void read(ByteReader& in) {
        in.take(2, "the version of zip needed");
        flags = in.le16("the flags");
        method = in.le16("the compression method");
        in.take(4, "the time");
        crc = in.le32("the checksum");
        packed_size = in.le32("the packed size");
        size = in.le32("the size");
        name_bytes = in.le16("the length of the name");
        extra_bytes = in.le16("the length of the extra fields");
    }
};

// An entry with what only the checks need.
struct Part {
    ZipEntry entry;
    Header header;
    uint64_t offset = 0;  // of the local header
};

// The zip64 field among the extra fields, if there is one.
std::optional<ByteReader> find_zip64(ByteReader extra) {
    std::optional<ByteReader> found;
    while (!extra.at_end()) {
        const uint16_t id = extra.le16("the extra fields");
        const uint16_t n_bytes = extra.le16("the extra fields");
        const uint64_t offset = extra.offset();
        const auto bytes = extra.take(n_bytes, "an extra field");
        if (id != kZip64Field) continue;
        if (found) extra.fail("OFFSET", "a second zip64 field");
        found.emplace(bytes, extra.file(), offset);
    }
    return found;
}

// Replaces numbers of a central header that are "see the zip64 field" by those in the field, in the format's order. The
// field must hold these and nothing else: some programs read it even when nothing refers to it.
void read_zip64(const ByteReader& extra, std::initializer_list<uint64_t*> numbers) {
    std::optional<ByteReader> field = find_zip64(extra);
    uint64_t n_wanted = 0;
    for (const uint64_t* number : numbers) n_wanted += *number == kSeeZip64;
    if (!field && n_wanted > 0) extra.fail("OFFSET", "sizes are said to be in a zip64 field, and there is none");
    if (!field) return;
    if (field->remaining() != 8 * n_wanted) {
        extra.fail("OFFSET",
                   "the zip64 field has " + str(field->remaining()) + " bytes, expected " + str(8 * n_wanted));
    }
    for (uint64_t* number : numbers) {
        if (*number == kSeeZip64) *number = field->le64("the zip64 field");
    }
}

void check_name(const ByteReader& in, const std::string& name) {
    const auto refuse = [&](const char* why) { in.fail("UNSAFE", "the name " + shown(name) + " " + why); };
    if (name.empty()) refuse("is empty");
    if (name.front() == '/') refuse("is an absolute path");
    for (const char c : name) {
        if (c == '\\' || uint8_t(c) < ' ') refuse("has a backslash or a control character in it");
    }
    for (size_t begin = 0; begin < name.size();) {
        const size_t end = std::min(name.find('/', begin), name.size());
        const std::string_view component = std::string_view(name).substr(begin, end - begin);
        if (component.empty() || component == "." || component == "..") refuse("has a part that is empty, . or ..");
        begin = end + 1;
    }
}

// ---- the end records ----------------------------------------------------------------------------------------------

struct End {
    uint64_t n_entries = 0, directory_bytes = 0, directory_offset = 0;
};

// Reads the zip64 end record, which the locator points to, and lets it agree with the 32-bit one.
End read_end64(ByteReader& in, const End& end) {
    if (in.le32("the disk in the zip64 locator") != 0) in.fail("OFFSET", "an archive on several disks");
    const uint64_t offset = in.le64("the place of the zip64 end record");
    if (in.le32("the number of disks") > 1) in.fail("OFFSET", "an archive on several disks");
    const uint64_t locator = in.offset() - kLocatorBytes;
    if (locator < kEnd64Bytes || offset != locator - kEnd64Bytes) {
        in.fail("OFFSET", "the zip64 end record is said to be at byte " + str(offset) + ", expected it just before " +
                              "its locator, which is at byte " + str(locator));
    }
    in.seek(offset, "the zip64 end record");
    if (in.le32("the zip64 end record") != kEnd64Magic) in.fail("OFFSET", "there is no zip64 end record here");
    if (in.le64("the size of the zip64 end record") != kEnd64Bytes - 12) {
        in.fail("OFFSET", "the zip64 end record is not of the size expected");
    }
    in.take(4, "the versions of zip");
    if (in.le64("the numbers of disks") != 0) in.fail("OFFSET", "an archive on several disks");
    const uint64_t n_here = in.le64("the number of entries on this disk");
    End end64;
    end64.n_entries = in.le64("the number of entries");
    end64.directory_bytes = in.le64("the size of the directory");
    end64.directory_offset = in.le64("the place of the directory");
    const auto agrees = [](uint64_t narrow, uint64_t wide, uint64_t absent) {
        return narrow == absent || narrow == wide;
    };
    if (n_here != end64.n_entries || !agrees(end.n_entries, end64.n_entries, UINT16_MAX) ||
        !agrees(end.directory_bytes, end64.directory_bytes, kSeeZip64) ||
        !agrees(end.directory_offset, end64.directory_offset, kSeeZip64)) {
        in.fail("OFFSET", "the zip64 end record and the other one contradict each other");
    }
    return end64;
}

End read_end(const InputFile& file, const std::string& path) {
    const uint64_t n_tail = std::min(file.size(), kEndBytes + kLocatorBytes + kEnd64Bytes);
    std::vector<uint8_t> tail(n_tail);
    const uint64_t tail_offset = file.size() - n_tail;
    file.read_at(tail_offset, tail, "the end of the archive");
    ByteReader in(tail, path, tail_offset);
    if (n_tail >= kEndBytes) in.seek(file.size() - kEndBytes, "the end record");
    if (n_tail < kEndBytes || in.le32("the end record") != kEndMagic) {
        in.fail("TRUNC",
                "the zip archive has no end record here: it is cut short, or something follows it, or a comment "
                "does, which torch.save does not write");
    }
    const uint64_t end_offset = in.offset() - 4;
    if (in.le32("the numbers of disks") != 0) in.fail("OFFSET", "an archive on several disks");
    const uint64_t n_here = in.le16("the number of entries on this disk");
    End end;
    end.n_entries = in.le16("the number of entries");
    end.directory_bytes = in.le32("the size of the directory");
    end.directory_offset = in.le32("the place of the directory");
    if (n_here != end.n_entries) in.fail("OFFSET", "an archive on several disks");
    if (const uint16_t n = in.le16("the length of the comment")) {
        in.fail("OFFSET", "a comment of " + str(n) + " bytes is announced, but the file ends here");
    }
    uint64_t directory_end = end_offset;
    if (end_offset >= kLocatorBytes) {
        in.seek(end_offset - kLocatorBytes, "the zip64 locator");
        if (in.le32("the zip64 locator") == kLocatorMagic) {
            end = read_end64(in, end);
            directory_end = end_offset - kLocatorBytes - kEnd64Bytes;
        }
    }
    if (add_checked(end.directory_offset, end.directory_bytes) != directory_end) {
        in.fail("OFFSET", "the directory is said to be at byte " + str(end.directory_offset) + " and to have " +
                              str(end.directory_bytes) + " bytes, but the end records begin at byte " +
                              str(directory_end));
    }
    if (end.n_entries > kMaxZipEntries) {
        in.fail("LIMIT",
                "the archive has " + str(end.n_entries) + " entries; at most " + str(kMaxZipEntries) + " are accepted");
    }
    if (end.n_entries == 0) in.fail("MISSING", "the archive has no entries");
    return end;
}

// ---- headers ------------------------------------------------------------------------------------------------------

Part read_central(ByteReader& in) {
    Part part;
    const uint64_t start = in.offset();
    if (in.le32("a header of the directory") != kCentralMagic) {
        in.fail_at(start, "OFFSET", "there is no header of the directory here; are there fewer entries than said?");
    }
    in.take(2, "the version of zip used");
    Header& header = part.header;
    header.read(in);
    const uint16_t comment_bytes = in.le16("the length of a comment");
    if (in.le16("the disk of an entry") != 0) in.fail("OFFSET", "an archive on several disks");
    in.take(6, "the attributes of an entry");
    part.offset = in.le32("the place of an entry");
    if (header.name_bytes > kMaxZipNameBytes) {
        in.fail("LIMIT",
                "a name has " + str(header.name_bytes) + " bytes; at most " + str(kMaxZipNameBytes) + " are accepted");
    }
    ZipEntry& entry = part.entry;
    entry.name = in.take_text(header.name_bytes, "the name of an entry");
    check_name(in, entry.name);
    const uint64_t extra_offset = in.offset();
    read_zip64(ByteReader(in.take(header.extra_bytes, "the extra fields"), in.file(), extra_offset),
               {&header.size, &header.packed_size, &part.offset});
    in.take(comment_bytes, "a comment");

    const auto fail = [&](const char* kind, const std::string& problem) {
        in.fail_at(start, kind, "entry " + shown(entry.name) + " " + problem);
    };
    if (header.flags & kEncrypted) fail("UNSAFE", "is encrypted, or says so: other programs may read it as it is");
    if (header.flags & ~kKnownFlags) fail("UNSAFE", "has flags that nobody knows: " + str(header.flags));
    if (header.method != kStored && header.method != kDeflated) {
        fail("DTYPE", "is compressed by method " + str(header.method) + "; 0 (stored) and 8 (deflated) are read");
    }
    entry.is_deflated = header.method == kDeflated;
    entry.size = header.size;
    entry.packed_size = header.packed_size;
    entry.crc = header.crc;
    if (!entry.is_deflated && entry.size != entry.packed_size) {
        fail("OFFSET",
             "is stored as it is, but " + str(entry.size) + " bytes are said to take " + str(entry.packed_size));
    }
    return part;
}

// Reads the local header, which must say the same, and finds where the contents begin. Returns where they end.
uint64_t read_local(const InputFile& file, const std::string& path, uint64_t directory_offset, Part& part) {
    ZipEntry& entry = part.entry;
    const auto fail = [&](const char* kind, const std::string& problem) {
        throw DataError(kind, path, "byte " + str(part.offset), "entry " + shown(entry.name) + " " + problem);
    };
    if (part.offset > directory_offset || directory_offset - part.offset < kLocalBytes) {
        fail("OFFSET", "lies outside the part of the file that holds entries");
    }
    std::vector<uint8_t> bytes(kLocalBytes);
    file.read_at(part.offset, bytes, "a local header");
    ByteReader in(bytes, path, part.offset);
    if (in.le32("a local header") != kLocalMagic) fail("OFFSET", "has no local header where the directory says");
    Header local;
    local.read(in);
    entry.data_offset = part.offset + kLocalBytes + local.name_bytes + local.extra_bytes;
    const std::optional<uint64_t> data_end = add_checked(entry.data_offset, entry.packed_size);
    if (!data_end || *data_end > directory_offset) fail("OFFSET", "reaches into the directory or beyond the file");

    bytes.resize(size_t(local.name_bytes) + local.extra_bytes);
    file.read_at(part.offset + kLocalBytes, bytes, "a local header");
    ByteReader rest(bytes, path, part.offset + kLocalBytes);
    const std::string_view name = rest.take_text(local.name_bytes, "the name of an entry");
    const uint64_t extra_offset = rest.offset();
    std::optional<ByteReader> zip64 =
        find_zip64(ByteReader(rest.take(local.extra_bytes, "the extra fields"), path, extra_offset));
    // What comes behind the contents, because it was not known before them, may be 0 here.
    const bool is_later = local.flags & kHasDescriptor;
    const auto agrees = [&](uint64_t here, uint64_t there) { return here == there || (is_later && here == 0); };
    const auto agrees_or_zip64 = [&](uint64_t here, uint64_t there) {
        return agrees(here, there) || (here == kSeeZip64 && zip64 && zip64->remaining() >= 16);
    };
    bool is_same = name == entry.name && local.flags == part.header.flags && local.method == part.header.method &&
                   agrees(local.crc, entry.crc) && agrees_or_zip64(local.size, entry.size) &&
                   agrees_or_zip64(local.packed_size, entry.packed_size);
    if (zip64) {
        // Both sizes, or the place, as PyTorch writes it behind the fourth gigabyte, or all three.
        const uint64_t n_bytes = zip64->remaining();
        if (n_bytes != 8 && n_bytes != 16 && n_bytes != 24) {
            fail("OFFSET", "has a zip64 field of " + str(n_bytes) + " bytes, expected 8, 16 or 24");
        }
        if (n_bytes >= 16) {
            is_same = is_same && agrees(zip64->le64("the size"), entry.size);
            is_same = is_same && agrees(zip64->le64("the packed size"), entry.packed_size);
        }
        if (n_bytes != 16) is_same = is_same && zip64->le64("the place of the entry") == part.offset;
    }
    if (!is_same) fail("UNSAFE", "is described differently in the directory and in its local header");
    return *data_end;
}

// The descriptor behind an entry's contents, 16 bytes or, with 64-bit sizes, 24.
void check_descriptor(const InputFile& file, const std::string& path, const ZipEntry& entry, uint64_t offset,
                      uint64_t n_bytes) {
    std::vector<uint8_t> bytes(n_bytes);
    file.read_at(offset, bytes, "a descriptor");
    ByteReader in(bytes, path, offset);
    const auto size = [&](const char* field) { return n_bytes == 24 ? in.le64(field) : uint64_t(in.le32(field)); };
    const bool is_one = in.le32("a descriptor") == kDescriptorMagic;
    if (!is_one || in.le32("the checksum") != entry.crc || size("the packed size") != entry.packed_size ||
        size("the size") != entry.size) {
        in.fail_at(offset, "UNSAFE", "entry " + shown(entry.name) + " is described differently behind it");
    }
}

}  // namespace

ZipDirectory::ZipDirectory(const InputFile& file, const std::string& path) {
    std::vector<uint8_t> start(std::min<uint64_t>(4, file.size()));
    file.read_at(0, start, "the magic number");
    if (start.size() < 4 || ByteReader(start, path).le32("the magic number") != kLocalMagic) {
        throw DataError("MAGIC", path, "byte 0", "is no zip archive, which begins with the bytes PK 3 4");
    }
    const End end = read_end(file, path);
    std::vector<Part> parts;
    {
        std::vector<uint8_t> directory(end.directory_bytes);
        file.read_at(end.directory_offset, directory, "the directory");
        ByteReader in(directory, path, end.directory_offset);
        for (uint64_t i = 0; i < end.n_entries; i++) parts.push_back(read_central(in));
        if (!in.at_end()) {
            in.fail("OFFSET", "the directory goes on behind its " + str(end.n_entries) + " entries");
        }
    }

    // Nothing overlaps, and nothing lies between: what nobody's header covers, another program may read.
    std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.offset < b.offset; });
    uint64_t expected = 0, total = 0;
    for (size_t i = 0; i < parts.size(); i++) {
        Part& part = parts[i];
        const auto fail = [&](const char* kind, const std::string& problem) {
            throw DataError(kind, path, "byte " + str(part.offset), "entry " + shown(part.entry.name) + problem);
        };
        if (part.offset != expected) {
            fail("OFFSET",
                 std::string(part.offset < expected ? " overlaps the one before it" : " has a hole before it") +
                     ", expected it at byte " + str(expected));
        }
        const uint64_t next = i + 1 < parts.size() ? parts[i + 1].offset : end.directory_offset;
        if (next == part.offset) fail("OFFSET", " overlaps the one after it");
        const uint64_t data_end = read_local(file, path, end.directory_offset, part);
        expected = data_end;
        if (part.header.flags & kHasDescriptor && next >= data_end + 16) {
            const uint64_t n_bytes = next - data_end == 24 ? 24 : 16;
            check_descriptor(file, path, part.entry, data_end, n_bytes);
            expected += n_bytes;
        }
        const std::optional<uint64_t> sum = add_checked(total, part.entry.size);
        if (!sum || exceeds_expansion(*sum, file.size())) {
            fail("LIMIT",
                 ": with it, the archive would unpack to more than " + str(kMaxExpansion) + " times its size: a bomb?");
        }
        total = *sum;
    }
    if (expected != end.directory_offset) {
        throw DataError("OFFSET", path, "byte " + str(expected),
                        "bytes that belong to no entry, up to the directory at byte " + str(end.directory_offset));
    }

    for (Part& part : parts) list.push_back(std::move(part.entry));
    by_name.resize(list.size());
    std::iota(by_name.begin(), by_name.end(), size_t{0});
    std::sort(by_name.begin(), by_name.end(), [&](size_t a, size_t b) { return list[a].name < list[b].name; });
    for (size_t i = 1; i < by_name.size(); i++) {
        if (list[by_name[i]].name != list[by_name[i - 1]].name) continue;
        throw DataError("DUP", path, "", "two entries have the name " + shown(list[by_name[i]].name));
    }
}

const ZipEntry* ZipDirectory::find(std::string_view name) const {
    const auto at = std::lower_bound(by_name.begin(), by_name.end(), name,
                                     [&](size_t i, std::string_view wanted) { return list[i].name < wanted; });
    return at != by_name.end() && list[*at].name == name ? &list[*at] : nullptr;
}

}  // namespace koine
