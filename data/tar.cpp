// Reading tar; see tar.h.
#include "data/tar.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "data/csv.h"

namespace koine {
namespace {

constexpr uint64_t kBlock = 512;
constexpr size_t kSizeAt = 124;
/// The largest long name or pax header that is accepted; a path has at most 4096 bytes on Linux.
constexpr uint64_t kMaxExtension = 1 << 20;

using Block = std::array<uint8_t, kBlock>;

std::string_view field(const Block& block, size_t offset, size_t n_bytes) {
    return {reinterpret_cast<const char*>(block.data()) + offset, n_bytes};
}

/// Text up to the first NUL.
std::string_view until_nul(std::string_view text) { return text.substr(0, text.find('\0')); }

/// Octal digits, blanks before them, blanks and NULs behind them; no digit at all is 0.
std::optional<uint64_t> octal(std::string_view text) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    uint64_t value = 0;
    while (!text.empty() && text[0] >= '0' && text[0] <= '7') {
        value = 8 * value + uint64_t(text[0] - '0');  // at most 12 digits: 36 bits
        text.remove_prefix(1);
    }
    if (text.find_first_not_of(std::string_view(" \0", 2)) != std::string_view::npos) return std::nullopt;
    return value;
}

/// The sum of the block's bytes, its own field counted as blanks. Old programs added signed characters.
bool has_right_checksum(const Block& block) {
    constexpr size_t kAt = 148, kBytes = 8;
    const auto stored = octal(field(block, kAt, kBytes));
    if (!stored) return false;
    int64_t sum = int64_t(' ') * kBytes, signed_sum = sum;
    for (size_t i = 0; i < kBlock; i++) {
        if (i >= kAt && i < kAt + kBytes) continue;
        sum += block[i];
        signed_sum += int8_t(block[i]);
    }
    return int64_t(*stored) == sum || int64_t(*stored) == signed_sum;
}

}  // namespace

/// One header, or nothing for the block of zeros.
std::optional<TarReader::Header> TarReader::read_header() {
    header_offset = in.offset();
    const bool is_first = header_offset == 0;
    Block block;
    const size_t n = in.read(block);
    if (n == 0 && is_first) fail_header("MISSING", "the file is empty, expected a tar archive");
    if (n < kBlock && is_first) fail_header("MAGIC", "is no tar archive: shorter than one header");
    if (n == 0) fail_header("TRUNC", "the archive ends without the block of zeros that is its end");
    if (n < kBlock) fail_header("TRUNC", "the archive ends inside a header");
    if (std::all_of(block.begin(), block.end(), [](uint8_t byte) { return byte == 0; })) return std::nullopt;
    if (!has_right_checksum(block)) {
        if (is_first) fail_header("MAGIC", "is no tar archive, or damaged: the first header's checksum is wrong");
        fail_header("VALUE", "the header's checksum is wrong");
    }
    if (block[kSizeAt] & 0x80) {  // base 256, in two's complement
        if (block[kSizeAt] & 0x40) fail_header("VALUE", "the size is negative");
        fail_header("LIMIT", "the size is written in base 256, as for 8 GiB or more");
    }
    const auto size = octal(field(block, kSizeAt, 12));
    if (!size) fail_header("SYNTAX", "the size is no octal number");

    // Long paths have their front in another field, which the name without its folders does not need.
    return Header{char(block[156]), std::string(until_nul(field(block, 0, 100))), *size};
}

bool TarReader::next() {
    skip_contents();
    Extension extension;
    while (const auto header = read_header()) {
        const char type = header->type;
        if (type == 'L' || type == 'x') {
            begin_contents(header->size);
            if (file_size > kMaxExtension) {
                fail_header("LIMIT", "a name or pax header of " + std::to_string(file_size) + " bytes; at most " +
                                         std::to_string(kMaxExtension) + " are accepted");
            }
            if (type == 'x') {
                read_pax(extension);
            } else {
                const auto bytes = read(file_size);
                extension.name = until_nul({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
            }
        } else if (type == 'K' || type == 'g') {  // the target of a link; what holds for all files, which is no name
            begin_contents(header->size);
        } else {
            begin_contents(extension.size.value_or(header->size));
            // Programs disagree whether contents follow here: what one takes for a file, another does not see.
            if (type >= '1' && type <= '6' && file_size > 0) {
                fail_header("SYNTAX", "a link, folder or device with contents");
            }
            if (type == 'S') fail_header("SYNTAX", "a sparse file; these are not supported");
            const std::string name = extension.name.value_or(header->name);
            base_name = name.substr(name.rfind('/') + 1);
            const bool is_file = type == '0' || type == '\0' || type == '7';
            if (is_file && !extension.is_sparse && !base_name.empty()) return true;
            extension = {};
        }
        skip_contents();
    }
    check_end();
    return false;
}

/// Checks the size of what follows a header.
void TarReader::begin_contents(uint64_t size) {
    if (in.offset() > max_bytes || size > max_bytes - in.offset()) {
        fail_header("LIMIT", "a size of " + std::to_string(size) + " bytes; at most " + std::to_string(max_bytes) +
                                 " are accepted for the whole archive");
    }
    if (size > in.max_remaining()) {
        fail_header("TRUNC", "a size of " + std::to_string(size) + " bytes, but there are at most " +
                                 std::to_string(in.max_remaining()));
    }
    file_size = n_left = size;
    n_padding = (kBlock - size % kBlock) % kBlock;
}

std::vector<uint8_t> TarReader::read(uint64_t n) {
    n = std::min(n, n_left);
    std::vector<uint8_t> bytes;
    bytes.reserve(n);  // only addresses: the pages come with the data
    while (bytes.size() < n) {
        const auto ready = in.peek();
        if (ready.empty()) {
            in.fail("TRUNC", "the archive ends inside a file, " + std::to_string(n_left - bytes.size()) +
                                 " bytes before the file's end");
        }
        const size_t step = std::min<uint64_t>(ready.size(), n - bytes.size());
        bytes.insert(bytes.end(), ready.begin(), ready.begin() + std::ptrdiff_t(step));
        in.skip(step);
    }
    n_left -= n;
    return bytes;
}

void TarReader::skip_contents() {
    for (uint64_t n = n_left + n_padding; n > 0;) {
        const size_t step = std::min<uint64_t>(in.peek().size(), n);
        if (step == 0) in.fail("TRUNC", "the archive ends inside a file, " + std::to_string(n) + " bytes are missing");
        in.skip(step);
        n -= step;
    }
    n_left = n_padding = 0;
}

/// Records of a pax header: "LENGTH KEY=VALUE\n", where the length counts all of it.
void TarReader::read_pax(Extension& extension) {
    const auto bytes = read(file_size);
    std::string_view rest{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    while (!rest.empty()) {
        const size_t blank = rest.substr(0, 20).find(' ');
        const auto length = parse_integer(rest.substr(0, blank), 1, int64_t(rest.size()));
        if (blank == std::string_view::npos || !length || rest[size_t(*length) - 1] != '\n') {
            fail_header("SYNTAX", "a pax record without its length");
        }
        // The line's end stands behind the blank: before it there are only digits.
        const std::string_view record = rest.substr(blank + 1, size_t(*length) - blank - 2);
        rest.remove_prefix(size_t(*length));
        const size_t equals = record.find('=');
        if (equals == std::string_view::npos) fail_header("SYNTAX", "a pax record without '='");
        const std::string_view key = record.substr(0, equals), value = record.substr(equals + 1);
        if (key == "path") extension.name = until_nul(value);
        if (key == "size") {
            const auto size = parse_integer(value, 0, INT64_MAX);
            if (!size) fail_header("VALUE", "the size in a pax record is no number that is 0 or more");
            extension.size = uint64_t(*size);
        }
        // The contents are then a map of pieces, followed by the pieces.
        if (key.starts_with("GNU.sparse.")) extension.is_sparse = true;
    }
}

/// Only zeros may follow the end. Reading them also checks the CRC of a gzip file.
void TarReader::check_end() {
    while (!in.at_end()) {
        const auto bytes = in.peek();
        if (in.offset() + bytes.size() > max_bytes) {
            in.fail("LIMIT", "more than the " + std::to_string(max_bytes) + " bytes that are accepted for an archive");
        }
        if (std::any_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte != 0; })) {
            in.fail("SYNTAX", "something follows the end of the archive");
        }
        in.skip(bytes.size());
    }
}

void TarReader::fail_header(const char* kind, const std::string& problem) const {
    throw DataError(kind, in.file(), "tar header at byte " + std::to_string(header_offset), problem);
}

}  // namespace koine
