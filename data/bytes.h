// Untrusted bytes: reading whole files, and one bounded reader that every parser goes through.
//
// A parser never touches a pointer: it asks a ByteReader, which knows the file's name, the place in it and how many
// bytes are left, and throws a DataError that says all three. Sizes are multiplied with mul_checked and compared with
// remaining() before anything is allocated. What a format means is not known here: see gzip.h, idx.h, csv.h.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/error.h"

namespace koine {

/// a * b, or nothing when it does not fit in 64 bits.
std::optional<uint64_t> mul_checked(uint64_t a, uint64_t b);

/// a + b, or nothing when it does not fit in 64 bits.
std::optional<uint64_t> add_checked(uint64_t a, uint64_t b);

/// A cursor over bytes in memory; it views them, the caller keeps them. Every read names the field that it reads
/// ("magic", "number of images"), which appears in the error when the file ends too early (kind TRUNC).
class ByteReader {
public:
    /// `base_` is the place of the first byte in the file, for messages about a part of a file.
    ByteReader(std::span<const uint8_t> bytes_, std::string file_, uint64_t base_ = 0)
        : bytes(bytes_), name(std::move(file_)), base(base_) {}

    const std::string& file() const { return name; }
    /// Place of the next byte in the file.
    uint64_t offset() const { return base + position; }
    uint64_t remaining() const { return bytes.size() - position; }
    bool at_end() const { return remaining() == 0; }

    /// The next n bytes.
    std::span<const uint8_t> take(uint64_t n, std::string_view field);
    /// The next n bytes as text; nothing is checked about their encoding.
    std::string_view take_text(uint64_t n, std::string_view field);
    /// All bytes before the next `end`, which is taken too; at most `limit` of them (kind LIMIT).
    std::string_view take_until(uint8_t end, uint64_t limit, std::string_view field);
    /// Goes to a place in the file, which may be its end; outside it, kind OFFSET.
    void seek(uint64_t offset, std::string_view field);

    uint8_t u8(std::string_view field) { return take(1, field)[0]; }
    uint16_t le16(std::string_view field) { return uint16_t(little_endian(2, field)); }
    uint32_t le32(std::string_view field) { return uint32_t(little_endian(4, field)); }
    uint64_t le64(std::string_view field) { return little_endian(8, field); }
    uint32_t be32(std::string_view field);

    /// Checks that `count` items of at least `item_bytes` (> 0) bytes each can still follow, before anyone allocates
    /// for them; kind LIMIT otherwise.
    void check_count(uint64_t count, uint64_t item_bytes, std::string_view field) const;

    /// Throws DataError(kind) at this place, or at another one.
    [[noreturn]] void fail(const char* kind, const std::string& problem) const { fail_at(offset(), kind, problem); }
    [[noreturn]] void fail_at(uint64_t offset, const char* kind, const std::string& problem) const;

private:
    uint64_t little_endian(int n_bytes, std::string_view field);

    std::span<const uint8_t> bytes;
    std::string name;
    uint64_t base = 0;  // place of bytes[0] in the file
    size_t position = 0;
};

/// A regular file, open for reading. Opening throws DataError(IO) when it is missing, unreadable, a directory, a pipe
/// or a device, without ever waiting for one.
class InputFile {
public:
    explicit InputFile(const std::string& path);
    ~InputFile();
    InputFile(const InputFile&) = delete;
    InputFile& operator=(const InputFile&) = delete;

    /// Size in bytes when it was opened.
    uint64_t size() const { return n_bytes; }
    /// Reads up to out.size() bytes and returns how many; 0 only at the end. Throws DataError(IO).
    size_t read(std::span<uint8_t> out);
    /// Fills `out` from a place in the file; where read() goes on does not change. Throws DataError: IO; TRUNC, naming
    /// `field`, when the file ends before that.
    void read_at(uint64_t offset, std::span<uint8_t> out, std::string_view field) const;

private:
    std::string path;
    int descriptor = -1;
    uint64_t n_bytes = 0;
};

/// The whole file. Throws DataError: IO (see InputFile), LIMIT when it is longer than `max_bytes`.
std::vector<uint8_t> read_file(const std::string& path, uint64_t max_bytes = UINT64_MAX);
/// The same as text.
std::string read_text(const std::string& path, uint64_t max_bytes = UINT64_MAX);

}  // namespace koine
