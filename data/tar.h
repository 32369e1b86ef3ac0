// Tar archives, plain or gzip, from front to back; nothing is unpacked to disk.
//
// A member is a header block of 512 bytes (name, type, size in octal digits, a checksum over the block), then its
// contents, filled up to whole blocks. A block of zeros is the end. Names that do not fit stand in a member before
// their own: type 'L' (GNU) or 'x' (pax, which may also give the size).
// Sources: POSIX.1-2017, "pax", sections ustar and pax; the GNU tar manual, "Basic Tar Format".
//
// Only regular files are handed out. Links, folders, devices and unknown types are stepped over: no name here ever
// becomes a path. Writing archives is not here.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "data/gzip.h"

namespace koine {

/// The regular files of an archive. Every call may throw DataError: MISSING (no bytes), MAGIC (no tar archive), TRUNC
/// (the archive ends too early, or a size says so), VALUE (a wrong checksum, a negative size), SYNTAX (a header that
/// makes no sense; something behind the end), LIMIT (more than max_bytes), and what GzipReader throws.
class TarReader {
public:
    /// `in` must outlive the reader. An archive of more than `max_bytes`, decompressed, is refused.
    TarReader(GzipReader& in_, uint64_t max_bytes_) : in(in_), max_bytes(max_bytes_) {}

    /// Steps to the next regular file; false at the end, when the archive has been checked to its last byte.
    bool next();
    /// Name of the file without its folders. It comes from the archive: compare it, do not open it.
    const std::string& name() const { return base_name; }
    uint64_t size() const { return file_size; }
    /// The next bytes of the file: n, or as many as are left.
    std::vector<uint8_t> read(uint64_t n);

private:
    struct Header {
        char type;
        std::string name;
        uint64_t size;
    };
    /// What the members before a file said about it.
    struct Extension {
        std::optional<std::string> name;
        std::optional<uint64_t> size;
        bool is_sparse = false;
    };
    std::optional<Header> read_header();
    void begin_contents(uint64_t size);
    void read_pax(Extension& extension);
    void skip_contents();
    void check_end();
    [[noreturn]] void fail_header(const char* kind, const std::string& problem) const;

    GzipReader& in;
    uint64_t max_bytes;
    std::string base_name;
    uint64_t header_offset = 0;
    uint64_t file_size = 0;
    uint64_t n_left = 0;     // of the file's contents
    uint64_t n_padding = 0;  // behind them
};

}  // namespace koine
