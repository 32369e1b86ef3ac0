// The bounded reader and whole-file reading; see bytes.h.
#include "data/bytes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace koine {

std::optional<uint64_t> mul_checked(uint64_t a, uint64_t b) {
    if (b != 0 && a > UINT64_MAX / b) return std::nullopt;
    return a * b;
}

std::optional<uint64_t> add_checked(uint64_t a, uint64_t b) {
    if (a > UINT64_MAX - b) return std::nullopt;
    return a + b;
}

std::span<const uint8_t> ByteReader::take(uint64_t n, std::string_view field) {
    if (n > remaining()) {
        fail("TRUNC", "the file ends inside " + std::string(field) + ": wanted " + std::to_string(n) + " bytes, " +
                          std::to_string(remaining()) + " are left");
    }
    const auto taken = bytes.subspan(position, n);
    position += n;
    return taken;
}

std::string_view ByteReader::take_text(uint64_t n, std::string_view field) {
    const auto taken = take(n, field);
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
}

std::string_view ByteReader::take_until(uint8_t end, uint64_t limit, std::string_view field) {
    const auto rest = bytes.subspan(position);
    // One byte more than the limit is looked at: the end may stand right behind a field of the largest size.
    const auto window = rest.first(limit < rest.size() ? limit + 1 : rest.size());
    const auto found = std::find(window.begin(), window.end(), end);
    if (found == window.end()) {
        if (window.size() < rest.size() || window.size() > limit) {
            fail("LIMIT", std::string(field) + " is longer than " + std::to_string(limit) + " bytes");
        }
        fail("TRUNC", "the file ends inside " + std::string(field));
    }
    const auto text = take_text(uint64_t(found - window.begin()), field);
    position++;
    return text;
}

void ByteReader::seek(uint64_t offset, std::string_view field) {
    if (offset < base || offset - base > bytes.size()) {
        fail("OFFSET", std::string(field) + " points to byte " + std::to_string(offset) + ", outside bytes " +
                           std::to_string(base) + " to " + std::to_string(base + bytes.size()));
    }
    position = size_t(offset - base);
}

uint32_t ByteReader::be32(std::string_view field) {
    const auto b = take(4, field);
    return uint32_t(b[0]) << 24 | uint32_t(b[1]) << 16 | uint32_t(b[2]) << 8 | uint32_t(b[3]);
}

uint64_t ByteReader::little_endian(int n_bytes, std::string_view field) {
    const auto b = take(uint64_t(n_bytes), field);
    uint64_t value = 0;
    for (int i = 0; i < n_bytes; i++) value |= uint64_t(b[size_t(i)]) << (8 * i);
    return value;
}

void ByteReader::check_count(uint64_t count, uint64_t item_bytes, std::string_view field) const {
    if (count > remaining() / item_bytes) {
        fail("LIMIT", std::string(field) + " is " + std::to_string(count) + ", but only " +
                          std::to_string(remaining()) + " bytes are left and each item takes at least " +
                          std::to_string(item_bytes));
    }
}

void ByteReader::fail_at(uint64_t offset, const char* kind, const std::string& problem) const {
    throw DataError(kind, name, "byte " + std::to_string(offset), problem);
}

InputFile::InputFile(const std::string& path_) : path(path_) {
    // Opening a pipe without O_NONBLOCK would wait for a writer, perhaps for ever.
    descriptor = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (descriptor < 0) throw DataError("IO", path, "", std::string("cannot be opened: ") + std::strerror(errno));
    struct stat info {};
    const int problem = fstat(descriptor, &info) != 0 ? errno : 0;
    if (problem == 0 && S_ISREG(info.st_mode)) {
        n_bytes = uint64_t(info.st_size);
        return;
    }
    close(descriptor);  // no destructor runs for an object whose constructor threw; before anything allocates
    if (problem != 0) throw DataError("IO", path, "", std::string("cannot be examined: ") + std::strerror(problem));
    throw DataError("IO", path, "",
                    S_ISDIR(info.st_mode) ? "is a directory, expected a file"
                                          : "is a pipe, socket or device, expected a regular file");
}

InputFile::~InputFile() { close(descriptor); }

size_t InputFile::read(std::span<uint8_t> out) {
    for (;;) {
        const ssize_t n = ::read(descriptor, out.data(), out.size());
        if (n >= 0) return size_t(n);
        if (errno != EINTR) throw DataError("IO", path, "", std::string("cannot be read: ") + std::strerror(errno));
    }
}

void InputFile::read_at(uint64_t offset, std::span<uint8_t> out, std::string_view field) const {
    const auto fail = [&](const char* kind, const std::string& problem) {
        throw DataError(kind, path, "byte " + std::to_string(offset), problem);
    };
    if (offset > uint64_t(INT64_MAX) - out.size()) fail("TRUNC", "no file reaches to " + std::string(field));
    while (!out.empty()) {
        const ssize_t n = pread(descriptor, out.data(), out.size(), off_t(offset));
        if (n == 0) fail("TRUNC", "the file ends inside " + std::string(field));
        if (n < 0 && errno != EINTR) fail("IO", std::string("cannot be read: ") + std::strerror(errno));
        if (n < 0) continue;
        out = out.subspan(size_t(n));
        offset += uint64_t(n);
    }
}

std::vector<uint8_t> read_file(const std::string& path, uint64_t max_bytes) {
    InputFile file(path);
    const auto too_long = [&](uint64_t size) {
        throw DataError("LIMIT", path, "",
                        "has at least " + std::to_string(size) + " bytes; at most " + std::to_string(max_bytes) +
                            " are expected here");
    };
    if (file.size() > max_bytes) too_long(file.size());
    // The size is a hint: the file may grow or shrink while it is read. One byte more shows the end without a resize.
    std::vector<uint8_t> bytes(file.size() + 1);
    size_t n = 0;
    while (const size_t got = file.read(std::span(bytes).subspan(n))) {
        n += got;
        if (n > max_bytes) too_long(n);
        if (n == bytes.size()) bytes.resize(n + 65536);
    }
    bytes.resize(n);
    return bytes;
}

std::string read_text(const std::string& path, uint64_t max_bytes) {
    const std::vector<uint8_t> bytes = read_file(path, max_bytes);
    return std::string(bytes.begin(), bytes.end());
}

}  // namespace koine
