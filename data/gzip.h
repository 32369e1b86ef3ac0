// Reading a file that may be gzip or plain, decided by its first two bytes and never by its name.
//
// The contents come in chunks, so a reader looks at a header first and then takes what the header promises: a small
// file that inflates to gigabytes costs nothing. Members that follow one another are joined (RFC 1952, section 2.2);
// their CRC-32 and length are checked. Writing gzip, and zip archives, are not here.
#pragma once
#include <zlib.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/bytes.h"

namespace koine {

/// The contents of a gzip or plain file, from front to back, in about 170 KB of memory. Every call may throw DataError:
/// IO, TRUNC (the gzip stream is cut), VALUE (damaged; wrong CRC or length), SYNTAX (something behind the last member).
class GzipReader {
public:
    /// Opens a file.
    explicit GzipReader(const std::string& path);
    /// Reads bytes in memory, which the caller keeps; `name` stands for the file in messages.
    GzipReader(std::span<const uint8_t> bytes, std::string name);
    ~GzipReader();
    GzipReader(const GzipReader&) = delete;
    GzipReader& operator=(const GzipReader&) = delete;

    const std::string& file() const { return name; }
    bool is_compressed() const { return stream != nullptr; }
    /// Place in the contents (after decompression) of the next byte.
    uint64_t offset() const { return position; }

    /// The contents that are ready, at least one byte; empty only at the end of an intact file.
    std::span<const uint8_t> peek();
    /// Steps over n of the bytes that peek() showed.
    void skip(size_t n);

    bool at_end() { return peek().empty(); }
    /// Fills `out` and returns its size, or less at the end of the contents.
    size_t read(std::span<uint8_t> out);

    /// No more than this many bytes of contents can follow: exact for a plain file; for gzip, the bytes that are left
    /// times 1032, which DEFLATE cannot exceed (a code of at least 2 bits for at most 258 bytes).
    uint64_t max_remaining() const;

    /// Throws DataError(kind) at this place of the contents.
    [[noreturn]] void fail(const char* kind, const std::string& problem) const;

private:
    void start();
    bool refill_input();
    void inflate_more();
    [[noreturn]] void fail_compressed(const char* kind, const std::string& problem) const;

    std::string name;
    std::unique_ptr<InputFile> source;   // null when the bytes are in memory
    std::unique_ptr<z_stream> stream;    // null for a plain file
    std::vector<uint8_t> input_buffer;   // as in the file
    std::vector<uint8_t> output_buffer;  // decompressed; unused for a plain file
    std::span<const uint8_t> input;      // read but not used yet
    std::span<const uint8_t> ready;      // contents not taken yet
    uint64_t file_size = 0;
    uint64_t n_input = 0;      // bytes of the file read so far
    uint64_t position = 0;     // in the contents
    bool is_finished = false;  // the last member's trailer was seen
};

/// The whole contents, at most `max_bytes` (kind LIMIT). Throws as GzipReader does.
std::vector<uint8_t> read_maybe_gzip(const std::string& path, uint64_t max_bytes);

}  // namespace koine
